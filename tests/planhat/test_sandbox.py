"""The sandbox as Planhat: six operations, look-ups, limits, state; over HTTP, as a client meets it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from relay.errors import SettingsInvalid
from relay.planhat.limits import MAX_ITEMS
from relay.planhat.sandbox import Quotas, Sandbox, create_sandbox
from relay.planhat.sandbox.inspection import arrived
from relay.planhat.sandbox.seed import read_seed
from relay.planhat.sandbox.server import bind, running

ACME = "5f0000000000000000000001"


def item(external_id: str, **more: Any) -> dict[str, Any]:
    return {"companyId": "extid-acme", "externalId": external_id, "type": "Slack thread", **more}


def upsert(http: httpx.Client, *items: object, status: int = 200) -> dict[str, Any]:
    answer = http.put("/conversations", json=items)
    assert answer.status_code == status
    envelope: dict[str, Any] = answer.json()
    return envelope


# ---- the six operations


def test_a_created_conversation_comes_back_with_what_planhat_generates(http: httpx.Client) -> None:
    sent = item(
        "a",
        subject="Hello",
        description="<p>Hi &amp; <b>bye</b></p>",
        date="2016-10-21T15:24:05.000Z",
        users=[{"id": "5d0000000000000000000001"}],
        endusers=[{"id": "5e0000000000000000000001"}],
        custom={"Channel": "C1"},
    )
    made = http.post("/conversations", json=sent).json()
    assert made["companyId"] == ACME
    assert made["companyName"] == "Acme"
    assert made["users"] == [{"id": "5d0000000000000000000001", "name": "Alex Agent", "isOwner": True}]
    assert made["endusers"] == [{"id": "5e0000000000000000000001", "name": "Ada Example"}]
    assert made["snippet"] == "Hi & bye"
    # Planhat fills the buckets after the answer; weeks begin on Sunday.
    assert made["timeBucket"] == []
    read = http.get(f"/conversations/{made['_id']}").json()
    assert read["timeBucket"] == ["2016", "2016-Q4", "2016-10", "2016-W43"]
    assert read["isCustomType"] is True
    generated = {"companyId": ACME, "users": made["users"], "endusers": made["endusers"]}
    assert {name: read[name] for name in sent} == {**sent, **generated}


def test_an_update_is_partial_replaces_lists_merges_custom_and_null_clears(http: httpx.Client) -> None:
    http.post(
        "/conversations", json=item("a", subject="s", activityTags=["x", "y"], custom={"A": 1}, starred=True)
    )
    changed = http.put(
        "/conversations/extid-a", json={"activityTags": ["z"], "custom": {"B": 2}, "starred": None}
    ).json()
    assert changed["subject"] == "s"
    assert changed["activityTags"] == ["z"]
    assert changed["custom"] == {"A": 1, "B": 2}
    assert changed["starred"] is False


def test_a_deleted_conversation_is_gone_and_its_external_id_free(http: httpx.Client) -> None:
    made = http.post("/conversations", json=item("a")).json()
    assert http.delete("/conversations/extid-a").status_code == 404  # the document names the _id only
    assert http.delete(f"/conversations/{made['_id']}").json()["externalId"] == "a"
    assert http.delete(f"/conversations/{made['_id']}").status_code == 404
    assert http.post("/conversations", json=item("a")).json()["_id"] != made["_id"]


def test_a_list_gives_30_unless_told_and_never_more_than_2000(http: httpx.Client) -> None:
    upsert(http, *(item(f"x-{n}") for n in range(2100)))
    assert len(http.get("/conversations").json()) == 30
    assert len(http.get("/conversations", params={"limit": 9999}).json()) == 2000
    assert len(http.get("/conversations", params={"limit": 2000, "offset": 2000}).json()) == 100
    row = http.get("/conversations", params={"limit": 1, "nonsense": "ignored"}).json()[0]
    assert "description" not in row


@pytest.mark.parametrize(
    "bad", [{"subject": 1}, {"date": "soon"}, {"companyId": "nobody"}, {"companyId": None}, {"type": "email"}]
)
def test_a_single_refusal_is_a_400_that_changes_nothing(http: httpx.Client, bad: dict[str, object]) -> None:
    answer = http.post("/conversations", json={**item("a"), **bad})
    assert answer.status_code == 400
    assert next(iter(bad)) in answer.json()["error"]
    assert http.get("/_sandbox/conversations").json() == []


def test_creating_an_external_id_again_is_refused_in_one_company_and_fine_in_another(
    http: httpx.Client,
) -> None:
    http.post("/conversations", json=item("a"))
    again = http.post("/conversations", json=item("a"))
    assert (again.status_code, again.json()) == (400, {"error": "externalId duplicated"})
    assert http.post("/conversations", json={**item("a"), "companyId": "srcid-crm-globex"}).status_code == 200


# ---- the bulk upsert


def test_a_bulk_answer_tells_created_updated_and_unchanged_apart(http: httpx.Client) -> None:
    first = upsert(http, item("a"), item("b"))
    ids = {keys["externalId"]: keys["_id"] for keys in first["insertsKeys"]}
    assert first["created"] == 2
    assert first["upsertedIds"] == list(ids.values())
    second = upsert(http, item("a"), item("b", subject="new"), item("c", sourceId="s"))
    assert (second["created"], second["updated"], second["nonupdates"]) == (1, 1, 1)
    assert second["modified"] == [ids["b"]]
    assert second["updatesKeys"] == [{"_id": ids["b"]}]
    assert second["insertsKeys"][0]["sourceId"] == "s"
    # The unchanged one is a count and nothing else.
    assert ids["a"] not in orjson.dumps(second).decode()


def test_good_items_go_through_beside_bad_ones_and_the_status_says_how_many(http: httpx.Client) -> None:
    mixed = upsert(http, item("a"), {"externalId": "b"}, 7, {"_id": "nobody"}, status=206)
    assert mixed["created"] == 1
    assert mixed["createdErrors"] == ["companyId is required", "not an object", "_id not found"]
    assert upsert(http, {"externalId": "b"}, status=400)["created"] == 0
    wrong_update = upsert(http, item("a", subject=7), status=400)
    assert wrong_update["updatedErrors"] == ["subject must be a string"]


def test_an_unknown_type_silently_becomes_a_note(http: httpx.Client) -> None:
    assert upsert(http, item("a", type="Nobody made this"))["createdErrors"] == []
    assert http.get("/conversations/extid-a").json()["type"] == "note"
    assert upsert(http, item("a", type="Nobody made this"))["nonupdates"] == 1


@pytest.mark.parametrize("count", [0, 1, MAX_ITEMS - 1, MAX_ITEMS])
def test_up_to_five_thousand_items_are_taken(http: httpx.Client, count: int) -> None:
    assert upsert(http, *(item(f"x-{n}") for n in range(count)))["created"] == count


def test_more_than_five_thousand_items_are_refused_whole(http: httpx.Client) -> None:
    answer = http.put("/conversations", json=[item(f"x-{n}") for n in range(MAX_ITEMS + 1)])
    assert answer.status_code == 400
    assert "5000" in answer.json()
    assert http.get("/_sandbox/stats").json()["conversations"] == 0


def test_one_external_id_may_stand_in_two_companies(http: httpx.Client) -> None:
    both = upsert(http, item("a"), {**item("a"), "companyId": "extid-globex"})
    assert both["created"] == 2
    assert upsert(http, {"externalId": "a", "subject": "whose?"}, status=400)["createdErrors"] == [
        "externalId is used by several companies"
    ]


def test_a_conversation_moves_by_its_id_unless_its_external_id_is_taken_there(http: httpx.Client) -> None:
    made = upsert(http, item("a"), item("b"))["insertsKeys"]
    moved = upsert(http, {"_id": made[0]["_id"], "companyId": "extid-globex"})
    assert moved["updated"] == 1
    assert http.get("/conversations/extid-a").json()["companyName"] == "Globex"
    upsert(http, item("a"))
    clash = upsert(http, {"_id": made[0]["_id"], "companyId": "extid-acme"}, status=400)
    assert clash["updatedErrors"] == ["externalId duplicated"]
    renamed = upsert(http, {"_id": made[1]["_id"], "externalId": "a"}, status=400)
    assert renamed["updatedErrors"] == ["externalId duplicated"]


def test_two_of_one_key_in_one_request_make_one_conversation(http: httpx.Client) -> None:
    twice = upsert(http, item("a", subject="one"), item("a", subject="two"))
    assert (twice["created"], twice["updated"]) == (1, 1)
    assert [row["subject"] for row in http.get("/_sandbox/conversations").json()] == ["two"]


@pytest.mark.parametrize("body", [b"", b"{}", b"7", b"[", b'"x"', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_array_is_a_400(http: httpx.Client, body: bytes) -> None:
    assert http.put("/conversations", content=body).status_code == 400


def test_generated_and_unknown_properties_are_dropped_in_silence(http: httpx.Client) -> None:
    upsert(http, item("a", isSeen=True, companyName="Fake", bogus=1))
    shown = http.get("/conversations/extid-a").json()
    assert shown["isSeen"] is False
    assert shown["companyName"] == "Acme"
    assert "bogus" not in shown


# ---- look-ups


def test_company_lists_know_the_documented_filters_and_ignore_others(http: httpx.Client) -> None:
    everything = http.get("/companies").json()
    assert http.get("/companies", params={"externalId": "globex", "domain": "x"}).json() == everything
    assert [row["name"] for row in http.get("/companies", params={"companyId": ACME}).json()] == ["Acme"]
    assert [row["_id"] for row in http.get("/companies", params={"limit": 1, "select": "name"}).json()] == [
        ACME
    ]
    assert http.get("/leancompanies", params={"externalId": "nobody"}).json() == []
    assert "domains" not in http.get("/leancompanies").json()[0]
    assert http.get("/companies/srcid-crm-acme").json()["_id"] == ACME
    assert http.get("/companies/extid-nobody").status_code == 404


def test_endusers_are_found_by_address_and_archived_ones_only_when_asked_for(http: httpx.Client) -> None:
    def found(**query: str) -> list[str]:
        return [row["email"] for row in http.get("/endusers", params=query).json()]

    assert found(email="ADA@example.com") == ["ada@example.com"]
    assert len(found(email="kim@consultants.example")) == 2
    assert found(email="lost@umbrella.example") == []
    assert found(email="lost@umbrella.example", archived="true") == ["lost@umbrella.example"]
    assert len(found(companyId=ACME)) == 3


def test_the_tenant_can_be_given_further_companies_people_and_types(http: httpx.Client) -> None:
    seeds = {
        "companies": [{"name": "New", "externalId": "new", "domains": ["new.example"]}],
        "endusers": [{"email": "n@new.example", "companyId": "c9"}],
        "types": ["Training"],
    }
    assert http.post("/_sandbox/seed", json=seeds).status_code == 200
    assert http.get("/companies/extid-new").json()["name"] == "New"
    assert upsert(http, {"companyId": "extid-new", "externalId": "a", "type": "Training"})["created"] == 1
    assert http.get("/conversations/extid-a").json()["type"] == "Training"
    assert http.post("/_sandbox/seed", json={"planets": []}).status_code == 400
    http.post("/_sandbox/reset")
    assert http.get("/companies/extid-new").status_code == 404
    assert http.get("/endusers", params={"email": "n@new.example"}).json() == []
    upsert(http, item("a", type="Training"))
    assert http.get("/conversations/extid-a").json()["type"] == "note"


# ---- who may, how often


def test_calls_without_a_token_are_401_and_basic_with_the_token_as_user_is_taken(http: httpx.Client) -> None:
    for header in ({"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Basic !"}):
        assert http.get("/conversations", headers=header).status_code == 401
    assert http.get("/conversations", auth=("t", "")).status_code == 200


def test_over_the_minutes_quota_calls_get_429_until_the_next_minute() -> None:
    now_s = [1000.0]
    sandbox = create_sandbox(quotas=Quotas(per_minute=3, per_second=0, parallel=0), clock=lambda: now_s[0])
    with (
        running(sandbox) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer t"}, trust_env=False) as http,
    ):
        answers = [http.get("/users") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["x-rate-limit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert answers[0].headers["x-rate-limit-limit"] == "3"
        now_s[0] += 60
        assert http.get("/users").status_code == 200


def test_the_quotas_of_a_second_and_in_parallel_hold_too() -> None:
    sandbox = create_sandbox(quotas=Quotas(0, 2, 0), clock=lambda: 7.0)
    with (
        running(sandbox) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer t"}, trust_env=False) as http,
    ):
        assert [http.get("/users").status_code for _ in range(3)] == [200, 200, 429]
    sandbox = create_sandbox(quotas=Quotas(0, 0, 1))
    with (
        running(sandbox) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer t"}, trust_env=False) as http,
    ):
        http.post("/_sandbox/faults", json={"latency_ms": 300})
        with ThreadPoolExecutor(2) as pool:
            statuses = sorted(
                answer.status_code for answer in pool.map(lambda _: http.get("/users"), range(2))
            )
        assert statuses == [200, 429]
        assert http.get("/_sandbox/stats").json()["most_parallel"] == 2


# ---- state


def test_everything_survives_a_restart_when_it_has_a_folder(tmp_path: Path) -> None:
    def everything(sandbox: Sandbox) -> list[dict[str, Any]]:
        return arrived(sandbox.store)

    first = create_sandbox(state=tmp_path)
    first.store.seed(read_seed({"companies": [{"_id": "c9", "name": "New", "externalId": "new"}]}))
    first.store.upsert([item("a"), item("b"), {**item("c"), "companyId": "extid-new"}])
    first.store.upsert([item("a", subject="later")])
    gone = first.store.find("extid-b")
    assert gone is not None
    first.store.delete(gone)
    second = create_sandbox(state=tmp_path)
    assert everything(second) == everything(first)
    assert len(everything(second)) == 2
    assert second.store.upsert([item("a", subject="later")]).envelope["nonupdates"] == 1
    second.reset()
    assert everything(create_sandbox(state=tmp_path)) == []


def test_a_last_line_cut_by_a_crash_is_left_out(tmp_path: Path) -> None:
    create_sandbox(state=tmp_path).store.upsert([item("a")])
    with (tmp_path / "sandbox.jsonl").open("ab") as journal:
        journal.write(b'{"put": [{"id": "x", "comp')
    assert len(create_sandbox(state=tmp_path).store) == 1


def test_a_journal_that_has_outgrown_what_it_holds_is_rewritten(tmp_path: Path) -> None:
    sandbox = create_sandbox(state=tmp_path)
    sandbox.store.seed(read_seed({"types": ["Training"]}))
    size = 10_000_000
    for number in range(8):
        sandbox.store.upsert([item("a", subject=str(number), description="x" * size, type="Training")])
    assert (tmp_path / "sandbox.jsonl").stat().st_size < 4 * size
    again = create_sandbox(state=tmp_path)
    assert [(row["subject"], row["type"]) for row in arrived(again.store)] == [("7", "Training")]


@pytest.mark.parametrize("line", [b'{"put": [{"a": 1}]}', b"7", b'{"put": 7}', b'{"seed": []}'])
def test_a_file_that_no_sandbox_wrote_is_said_so_and_left_alone(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "sandbox.jsonl").write_bytes(line + b"\n")
    with pytest.raises(SettingsInvalid, match="not what a sandbox wrote"):
        create_sandbox(state=tmp_path)
    assert (tmp_path / "sandbox.jsonl").read_bytes() == line + b"\n"


def test_a_folder_that_cannot_be_used_and_a_port_that_is_taken_are_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsInvalid, match="cannot be written"):
        create_sandbox(state=tmp_path / "file")
    with bind("127.0.0.1", 0) as taken, pytest.raises(SettingsInvalid, match="cannot listen"):
        bind("127.0.0.1", taken.getsockname()[1])


# ---- its own routes


def test_what_arrived_is_shown_whole_in_order_with_how_often_it_was_written(http: httpx.Client) -> None:
    upsert(http, item("a"), item("b"))
    upsert(http, item("a", subject="new"))
    rows = http.get("/_sandbox/conversations").json()
    assert [(row["externalId"], row["_sandbox"]["writes"]) for row in rows] == [("a", 2), ("b", 1)]
    newest = http.get("/_sandbox/conversations", params={"newest": 1, "limit": 1}).json()
    assert [row["externalId"] for row in newest] == ["a"]
    assert len(http.get("/_sandbox/conversations", params={"externalId": "b"}).json()) == 1
    assert len(http.get("/_sandbox/conversations", params={"_id": rows[0]["_id"]}).json()) == 1


def test_every_call_is_in_the_log(http: httpx.Client) -> None:
    began_s = time.time() - 1
    upsert(http, item("a"), item("b"))
    http.get("/conversations/nobody")
    http.get("/nowhere")
    calls = http.get("/_sandbox/calls", params={"since": str(began_s)}).json()
    assert [(call["operation"], call["items"], call["status"]) for call in calls] == [
        ("upsert", 2, 200),
        ("get", 0, 400),
        ("unknown", 0, 404),
    ]
    assert calls[0]["bytes"] > 100
    assert (
        http.get("/_sandbox/calls", params={"operation": "get"}).json()[0]["path"] == "/conversations/nobody"
    )
    assert http.get("/_sandbox/calls", params={"since": "x"}).status_code == 400


def test_the_page_is_served_under_a_policy_that_forbids_inline_script(http: httpx.Client) -> None:
    page = http.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script src=" in page.text
    assert "<script>" not in page.text
    assert "style=" not in page.text
    for name in ("sandbox.js", "sandbox.css"):
        assert http.get(f"/static/{name}").status_code == 200
    assert "innerHTML" not in http.get("/static/sandbox.js").text
    assert http.get("/static/..%2Fapp.py").status_code == 404


def test_five_thousand_items_take_no_longer_than_a_bench_can_bear(http: httpx.Client) -> None:
    body = orjson.dumps([item(f"x-{n}", subject="hello", description="x" * 200) for n in range(MAX_ITEMS)])
    took_ms = []
    for _ in range(3):
        assert http.put("/conversations", content=body).status_code == 200
        took_ms.append(http.get("/_sandbox/calls").json()[-1]["ms"])
    # 30-60 ms on an idle core; the bound only has to catch what grows with the square.
    assert min(took_ms) < 1000
