"""Companies, endusers, users, custom fields, activity tags and tickets, as Planhat's own clients ask for them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

ACME = "5f0000000000000000000001"
GLOBEX = "5f0000000000000000000002"
ADA = "5e0000000000000000000001"

MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "companies": (
        {"name": "New", "externalId": "new"},
        {"name": "Other", "externalId": "o"},
        {"name": "Renamed"},
    ),
    "endusers": (
        {"companyId": "extid-acme", "email": "n@example.com", "externalId": "n"},
        {"companyId": "extid-acme", "email": "o@example.com", "externalId": "o"},
        {"position": "CFO"},
    ),
    "users": (
        {"email": "n@ourteam.example", "firstName": "N", "externalId": "n"},
        {"email": "o@ourteam.example", "externalId": "o"},
        {"lastName": "Renamed"},
    ),
    "customfields": (
        {"name": "New", "parent": "conversation", "type": "text"},
        {"name": "Other", "parent": "conversation", "type": "date"},
        {"isFeatured": True},
    ),
    "activitytags": ({"name": "New"}, {"name": "Other"}, {"name": "Renamed"}),
}


def made(http: httpx.Client, path: str, **properties: Any) -> dict[str, Any]:
    answer = http.post(path, json=properties)
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()
    return row


def keys(rows: list[dict[str, Any]]) -> list[str]:
    return [row["_id"] for row in rows]


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


# ---- every model


@pytest.mark.parametrize("model", MODELS)
def test_a_record_is_made_read_changed_listed_and_deleted(http: httpx.Client, model: str) -> None:
    first, _, changes = MODELS[model]
    row = made(http, f"/{model}", **first)
    assert http.get(f"/{model}/{row['_id']}").json() == row
    if "externalId" in first:
        assert http.get(f"/{model}/extid-{first['externalId']}").json()["_id"] == row["_id"]
    for method in ("PUT", "PATCH"):
        changed = http.request(method, f"/{model}/{row['_id']}", json=changes).json()
        assert without(changed, "slug", "lastUpdated") == without({**row, **changes}, "slug", "lastUpdated")
    assert row["_id"] in keys(http.get(f"/{model}", params={"limit": 1000}).json())
    assert http.delete(f"/{model}/{row['_id']}").json() == {"n": 1, "ok": 1, "deletedCount": 1}
    assert http.get(f"/{model}/{row['_id']}").status_code == 404
    assert row["_id"] not in keys(http.get(f"/{model}", params={"limit": 1000}).json())


@pytest.mark.parametrize("model", MODELS)
def test_a_bulk_upsert_makes_changes_and_leaves_alone(http: httpx.Client, model: str) -> None:
    first, second, changes = MODELS[model]
    row = made(http, f"/{model}", **first)
    envelope = http.put(f"/{model}", json=[{"_id": row["_id"], **changes}, second]).json()
    assert (envelope["created"], envelope["updated"]) == (1, 1)
    assert envelope["modified"] == [row["_id"]]
    [made_key] = envelope["insertsKeys"]
    assert made_key.get("externalId") == second.get("externalId")
    again = http.put(f"/{model}", json=[{"_id": made_key["_id"], **second}, {"_id": "nobody"}])
    assert again.status_code == 206
    assert again.json()["nonupdates"] == 1
    assert again.json()["createdErrors"] == ["_id not found"]


@pytest.mark.parametrize("model", MODELS)
def test_what_is_required_or_of_the_wrong_kind_is_refused_by_name(http: httpx.Client, model: str) -> None:
    assert http.post(f"/{model}", json={}).status_code == 400
    assert http.post(f"/{model}", json=[]).status_code == 400
    assert http.put(f"/{model}", json={}).status_code == 400
    first = MODELS[model][0]
    name = next(iter(first))
    answer = http.post(f"/{model}", json={**first, name: 7})
    assert answer.status_code == 400
    assert name in answer.json()["error"]


@pytest.mark.parametrize("model", ["companies", "endusers", "users"])
def test_unknown_properties_are_dropped_and_custom_merges_dotted_or_nested(
    http: httpx.Client, model: str
) -> None:
    row = made(http, f"/{model}", **MODELS[model][0], bogus=1, custom={"A": 1})
    assert "bogus" not in row
    changed = http.put(f"/{model}/{row['_id']}", json={"custom.B": 2, "custom": {"C": 3}}).json()
    assert changed["custom"] == {"A": 1, "B": 2, "C": 3}
    dotted = http.put(f"/{model}/{row['_id']}", json={"custom.B": 4}).json()
    assert dotted["custom"] == {"A": 1, "B": 4, "C": 3}
    assert http.put(f"/{model}/{row['_id']}", json={"custom": {}}).json()["custom"] == dotted["custom"]
    clash = http.put(f"/{model}/{row['_id']}", json={"custom": {"x": 1, "X": 2}})
    assert clash.status_code == 400


@pytest.mark.parametrize("model", ["companies", "users"])
def test_an_external_id_is_unique_among_all(http: httpx.Client, model: str) -> None:
    first, second, _ = MODELS[model]
    made(http, f"/{model}", **first)
    again = http.post(f"/{model}", json={**second, "externalId": first["externalId"]})
    assert (again.status_code, again.json()) == (400, {"error": "externalId duplicated"})


def test_a_path_without_a_model_or_with_a_bad_key_says_which(http: httpx.Client) -> None:
    assert http.get("/nowhere").json() == {"error": "Invalid or unauthorized model: nowhere"}
    assert http.patch("/companies", json={}).status_code == 404
    for model in (*MODELS, "conversations", "tickets"):
        assert "extid-" in http.get(f"/{model}/bare").json()["error"]
        assert http.get(f"/{model}/extid-nobody").json() == {"error": "No such document"}


# ---- companies


def test_lean_companies_are_found_by_several_statuses(http: httpx.Client) -> None:
    rows = http.get("/leancompanies", params={"status": "lost, prospect"}).json()
    assert [row["name"] for row in rows] == ["Umbrella", "Hooli"]
    assert all(set(row) == {"_id", "name", "externalId", "sourceId"} for row in rows)


def test_companies_are_asked_for_by_id_and_by_segment(http: httpx.Client) -> None:
    assert len(http.get("/companies", params={"companyId": f"{ACME}, {GLOBEX}"}).json()) == 2
    assert http.get("/companies", params={"s": "vip"}).json() == []
    http.put(f"/companies/{ACME}", json={"segments": ["vip"]})
    assert keys(http.get("/companies", params={"s": "vip"}).json()) == [ACME]


def test_a_company_lists_its_own_endusers_and_conversations(http: httpx.Client) -> None:
    talk = {"companyId": "extid-globex", "subject": "s"}
    first, second = made(http, "/conversations", **talk), made(http, "/conversations", **talk)
    made(http, "/conversations", **{**talk, "companyId": "extid-acme"})
    made(http, "/conversations", **talk, archived=True)
    rows = http.get("/companies/extid-globex/conversations").json()
    assert keys(rows) == [second["_id"], first["_id"]]
    people = http.get(f"/companies/{GLOBEX}/endusers").json()
    assert {row["companyName"] for row in people} == {"Globex"}
    assert len(people) == 2
    assert http.get("/companies/extid-nobody/endusers").status_code == 404


# ---- endusers and users


@pytest.mark.parametrize("parameter", ["companyId", "cId", "c"])
def test_endusers_of_a_company_are_found_by_the_old_names_too(http: httpx.Client, parameter: str) -> None:
    rows = http.get("/endusers", params={parameter: ACME}).json()
    assert {row["companyId"] for row in rows} == {ACME}


def test_an_enduser_without_a_company_goes_to_the_one_that_has_the_domain(http: httpx.Client) -> None:
    row = made(http, "/endusers", email="New@Globex.example", firstName="Nia", lastName="New")
    assert (row["companyId"], row["companyName"], row["name"]) == (GLOBEX, "Globex", "Nia New")
    nobody = http.post("/endusers", json={"email": "x@nowhere.example"})
    assert nobody.status_code == 400
    assert "companyId is required" in nobody.json()["error"]


def test_an_enduser_is_upserted_by_address_within_its_company(http: httpx.Client) -> None:
    same = {"companyId": "extid-acme", "email": "ADA@example.com", "position": "CTO"}
    envelope = http.put("/endusers", json=[same, {**same, "companyId": "extid-globex"}]).json()
    assert (envelope["updated"], envelope["created"]) == (1, 1)
    assert http.get(f"/endusers/{ADA}").json()["position"] == "CTO"
    assert len(http.get("/endusers", params={"email": "ada@example.com"}).json()) == 2


def test_a_renamed_company_and_enduser_show_their_new_names_everywhere(http: httpx.Client) -> None:
    talk = made(http, "/conversations", companyId=ACME, endusers=[{"id": ADA}])
    http.put(f"/companies/{ACME}", json={"name": "Acme Group"})
    http.put(f"/endusers/{ADA}", json={"name": "Ada Lovelace"})
    read = http.get(f"/conversations/{talk['_id']}").json()
    assert (read["companyName"], read["endusers"][0]["name"]) == ("Acme Group", "Ada Lovelace")
    assert http.get(f"/endusers/{ADA}").json()["companyName"] == "Acme Group"


def test_a_user_needs_an_address_and_gets_a_nickname(http: httpx.Client) -> None:
    row = made(http, "/users", email="una@ourteam.example", firstName="Una", lastName="User")
    assert row["nickName"] == "Una User"
    assert http.post("/users", json={"firstName": "x"}).status_code == 400


# ---- custom fields


def test_custom_fields_have_a_model_a_name_and_a_known_type(http: httpx.Client) -> None:
    rows = http.get("/customfields").json()
    assert {(row["parent"], row["name"], row["type"]) for row in rows} >= {
        ("conversation", "Channel", "text")
    }
    odd = http.post("/customfields", json={"name": "x", "parent": "conversation", "type": "picture"})
    assert odd.status_code == 400
    twice = http.post("/customfields", json={"name": "Channel", "parent": "conversation", "type": "text"})
    assert twice.json() == {"error": "name duplicated"}
    made(http, "/customfields", name="Channel", parent="company", type="text")


def test_which_custom_fields_nobody_sees_is_told_with_each_conversation(http: httpx.Client) -> None:
    def unseen() -> list[str]:
        [row] = http.get("/_sandbox/conversations").json()
        told: list[str] = row["_sandbox"]["invisible"]
        return told

    made(http, "/conversations", companyId=ACME, custom={"Channel": "C1", "channel2": "x", "link": "y"})
    assert unseen() == ["channel2", "link"]
    field = made(http, "/customfields", name="channel2", parent="conversation", type="text")
    assert unseen() == ["link"]
    http.put(f"/customfields/{field['_id']}", json={"isHidden": True})
    assert unseen() == ["channel2", "link"]


# ---- conversations by filter


@pytest.mark.parametrize("parameter", ["companyId", "cId", "c"])
def test_conversations_are_asked_for_by_company_and_by_type(http: httpx.Client, parameter: str) -> None:
    note = made(http, "/conversations", companyId=ACME, type="note")
    made(http, "/conversations", companyId=ACME, type="Slack thread")
    made(http, "/conversations", companyId=GLOBEX, type="note")
    rows = http.get("/conversations", params={parameter: ACME, "type": "note"}).json()
    assert keys(rows) == [note["_id"]]
    assert len(http.get("/conversations", params={parameter: f"extid-acme,{GLOBEX}"}).json()) == 3


# ---- tickets

TICKET = {
    "sourceId": "119",
    "source": "freshdesk",
    "status": "open",
    "history": [{"status": "open", "time": "2019-12-15T09:09:08.000Z"}],
    "title": "Test ticket",
    "description": "<p>Let us chat</p>",
    "url": "https://tickets.example/119",
    "email": "nina@globex.example",
    "name": "Nina",
    "date": "2021-06-24T19:38:16.000Z",
}


def test_a_ticket_finds_its_company_makes_its_enduser_and_is_a_conversation(http: httpx.Client) -> None:
    envelope = http.put(
        "/tickets", json=[TICKET, {"sourceId": "120", "title": "no address: dropped in silence"}]
    ).json()
    assert (envelope["created"], envelope["createdErrors"]) == (1, [])
    [row] = http.get("/tickets").json()
    assert row["timeBucket"] == ["2021", "2021-Q2", "2021-6", "2021-W26"]
    assert row["days"] == 18802
    assert (row["type"], row["subType"], row["subject"], row["snippet"]) == (
        *("ticket", "ticket", "Test ticket", "Let us chat"),
    )
    assert (row["companyName"], row["status"], row["email"]) == ("Globex", "open", "nina@globex.example")
    assert row["endusers"][0]["name"] == "Nina"
    assert http.get("/endusers", params={"email": "nina@globex.example"}).json()[0]["companyId"] == GLOBEX
    assert http.get(f"/conversations/{row['_id']}").json()["type"] == "ticket"


def test_tickets_are_filtered_by_status_address_company_and_words(http: httpx.Client) -> None:
    closed = {
        **TICKET,
        "sourceId": "120",
        "status": "closed",
        "email": "ada@example.com",
        "description": "Bye",
    }
    http.put("/tickets", json=[TICKET, closed])

    def found(**query: str) -> list[str]:
        return [row["sourceId"] for row in http.get("/tickets", params=query).json()]

    assert sorted(found()) == ["119", "120"]
    assert found(status="closed") == found(s="CLOSED") == found(email="ADA@example.com") == ["120"]
    assert found(search="chat") == found(companyId=GLOBEX) == found(cid=GLOBEX) == ["119"]
    assert len(found(l="1")) == 1


def test_a_ticket_is_changed_by_its_source_id_and_deleted(http: httpx.Client) -> None:
    http.put("/tickets", json=TICKET)
    again = http.put(
        "/tickets", json=[{"sourceId": "119", "email": TICKET["email"], "status": "solved"}]
    ).json()
    assert again["updated"] == 1
    [row] = http.get("/tickets").json()
    assert (row["status"], row["isOpen"], row["subject"]) == ("solved", False, "Test ticket")
    assert http.delete(f"/tickets/{row['_id']}").status_code == 200
    assert http.get("/tickets").json() == []
