"""Conversations in the document's own examples: what is sent there, what comes back, property by property."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from relay.planhat.sandbox import NO_QUOTAS, Behaviour, create_sandbox
from relay.planhat.sandbox.server import running
from relay.planhat.sandbox.shapes import ACCOUNT_ID, days, time_bucket

SEED = {
    "companies": [{"_id": "61006bc89a3e0b702ed8ea49", "name": "Tenet", "owner": "60ccb1c5965cc9e0f3848075"}],
    "users": [{"_id": "58e231b14246fc73139f29e8", "nickName": "Alex"}],
    "endusers": [
        {"_id": "610091916d643a7c418aef42", "name": "Lara Croft", "companyId": "61006bc89a3e0b702ed8ea49"}
    ],
}
EXAMPLE = {
    "users": [{"id": "58e231b14246fc73139f29e8"}],
    "date": "2021-07-29T15:29:34.330Z",
    "type": "note",
    "companyId": "61006bc89a3e0b702ed8ea49",
    "subject": "New conversation",
    "description": "Little call with the client.",
    "endusers": [{"id": "610091916d643a7c418aef42"}],
    "activityTags": [],
    "useSubject": True,
    "ownerId": "58e231b14246fc73139f29e8",
}
CHANGED = {
    "starred": False,
    "pinned": False,
    "autoTags": [],
    "activityTags": [],
    "emailTemplateIds": [],
    "isOpen": False,
    "tags": [],
    "waitsToBeFiltered": True,
    "timeBucket": [],
    "archived": False,
    "users": [{"id": "58e231b14246fc73139f29e8", "name": "Alex", "isOwner": True}],
    "date": "2021-07-29T15:29:34.330Z",
    "type": "note",
    "companyId": "61006bc89a3e0b702ed8ea49",
    "subject": "New conversation",
    "description": "Little call with the client.",
    "endusers": [{"id": "610091916d643a7c418aef42", "name": "Lara Croft"}],
    "snippet": "Little call with the client.",
    "companyName": "Tenet",
    "sender": [],
    "history": [],
    "__v": 0,
}
CREATED = CHANGED | {
    "owner": "60ccb1c5965cc9e0f3848075",
    "followers": [],
    "userId": ACCOUNT_ID,
    "note": "New conversation: Little call with the client.",
    "nickName": "Planhat sandbox",
}
READ = {
    *("_id", "type", "numberOfParts", "hasAttachments", "source", "subject", "snippet", "days", "companyId"),
    *(
        "timeBucket",
        "history",
        "tags",
        "isOpen",
        "users",
        "endusers",
        "date",
        "__v",
        "companyName",
        "createDate",
    ),
    *("numberOfRelevantParts", "userIds", "hasMore", "isCustomType", "assigneeName", "isSeen", "starred"),
    *("pinned", "archived"),
}
LISTED = {
    *(
        "date",
        "userIds",
        "hasMore",
        "isCustomType",
        "subject",
        "snippet",
        "_id",
        "type",
        "tags",
        "createDate",
    ),
    *("companyId", "companyName", "users", "endusers", "assigneeName", "activityTags", "hasAttachments"),
    *("isSeen", "starred", "pinned", "archived"),
}


@pytest.fixture
def made(http: httpx.Client) -> dict[str, Any]:
    assert http.post("/_sandbox/seed", json=SEED).status_code == 200
    answer = http.post("/conversations", json=EXAMPLE)
    assert answer.status_code == 200
    created: dict[str, Any] = answer.json()
    return created


def bare(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("_id", "createDate")}


def test_the_examples_create_answers_as_in_the_document(made: dict[str, Any]) -> None:
    assert bare(made) == CREATED


def test_the_examples_change_answers_as_in_the_document(http: httpx.Client, made: dict[str, Any]) -> None:
    changes = {"subject": "Chat with the client", "description": "<p>Slack chat with the client.</p>"}
    changed = http.put(f"/conversations/{made['_id']}", json=changes).json()
    # The document's own example has lost its <p>; Planhat's page on notes has the same example with it.
    assert bare(changed) == {**CHANGED, **changes, "snippet": "Slack chat with the client."}
    assert changed["_id"] == made["_id"]
    assert http.delete(f"/conversations/{made['_id']}").json() == changed


def test_a_read_shows_the_documents_properties_and_what_was_sent(
    http: httpx.Client, made: dict[str, Any]
) -> None:
    read = http.get(f"/conversations/{made['_id']}").json()
    assert set(read) == READ | {"description", "activityTags"}
    assert (read["days"], read["timeBucket"]) == (18837, ["2021", "2021-Q3", "2021-7", "2021-W31"])
    assert read["userIds"] == ["58e231b14246fc73139f29e8"]
    assert http.get("/conversations", params={"limit": 1}).json() == [{name: read[name] for name in LISTED}]


def test_what_was_sent_beside_the_example_is_in_every_answer(http: httpx.Client) -> None:
    sent = {
        "companyId": "extid-acme",
        "externalId": "a",
        "sourceId": "s",
        "outDate": "2026-01-01T00:00:00.000Z",
        "custom": {"Channel": "C1"},
        "source": "slack",
        "category": "chat",
        "startDate": "2026-01-01",
    }
    created = http.post("/conversations", json=sent).json()
    del sent["companyId"]
    key = created["_id"]
    for answer in (
        created,
        http.put(f"/conversations/{key}", json={"subject": "x"}).json(),
        http.get("/conversations/extid-a").json(),
        http.get("/conversations").json()[0],
        http.delete(f"/conversations/{key}").json(),
    ):
        assert sent.items() <= answer.items()


@pytest.mark.parametrize(
    ("date", "week"),
    [
        ("2016-10-21T15:24:05.000Z", "2016-W43"),
        ("2021-06-24T23:59:59.999Z", "2021-W26"),
        ("2021-01-01T00:00:00.000Z", "2021-W1"),
        ("2021-01-02T00:00:00.000Z", "2021-W1"),
        ("2021-01-03T00:00:00.000Z", "2021-W2"),
        ("2023-01-01T00:00:00.000Z", "2023-W1"),
        ("2023-01-07T00:00:00.000Z", "2023-W1"),
        ("2023-01-08T00:00:00.000Z", "2023-W2"),
    ],
)
def test_weeks_begin_on_sunday_and_the_first_has_the_first_of_january(date: str, week: str) -> None:
    assert time_bucket(date)[3] == week


def test_a_date_that_is_none_has_no_bucket() -> None:
    assert (time_bucket("soon"), days("soon")) == ([], 0)


def test_a_list_is_by_date_the_newest_first_and_stays_so_when_dates_change(http: httpx.Client) -> None:
    def order() -> list[str]:
        return [row["externalId"] for row in http.get("/conversations").json()]

    for day in (2, 3, 1):
        sent = {"companyId": "extid-acme", "externalId": f"d{day}", "date": f"2026-01-0{day}T00:00:00.000Z"}
        http.post("/conversations", json=sent)
    http.post(
        "/conversations",
        json={"companyId": "extid-acme", "externalId": "same", "date": "2026-01-01T00:00:00.000Z"},
    )
    assert order() == ["d3", "d2", "same", "d1"]
    http.put("/conversations/extid-d1", json={"date": "2026-02-01T00:00:00.000Z"})
    assert order() == ["d1", "d3", "d2", "same"]
    http.delete(f"/conversations/{http.get('/conversations/extid-d3').json()['_id']}")
    assert order() == ["d1", "d2", "same"]
    ascending = http.get("/conversations", params={"sort": "date", "select": " date , externalId"}).json()
    assert [row["externalId"] for row in ascending] == ["same", "d2", "d1"]
    assert set(ascending[0]) == {"_id", "date", "externalId"}


# ---- what stands in the documents in two ways, by choice


def ask(behaviour: Behaviour, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    with (
        running(create_sandbox(quotas=NO_QUOTAS, behaviour=behaviour)) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer t"}, trust_env=False) as http,
    ):
        answer = http.post("/conversations", json={"companyId": "extid-acme", **sent})
        return answer.status_code, answer.json()


def test_an_unknown_type_may_stay_as_it_was_sent() -> None:
    assert ask(Behaviour(), {"type": "Nobody's"})[1]["type"] == "note"
    assert ask(Behaviour(unknown_type="keep"), {"type": "Nobody's"})[1]["type"] == "Nobody's"
    assert ask(Behaviour(unknown_type="keep", reserved="note"), {"type": "email"})[1]["type"] == "note"
    assert ask(Behaviour(reserved="accept"), {"type": "email"})[1]["type"] == "email"


@pytest.mark.parametrize(
    "sent", [{"users": [{"id": "u1"}]}, {"endusers": ["5e0000000000000000000001"]}, {"ownerId": "me"}]
)
def test_an_id_that_is_none_is_left_out_or_refused(sent: dict[str, Any]) -> None:
    status, answer = ask(Behaviour(), sent)
    assert (status, answer["users"], answer["endusers"]) == (200, [], [])
    status, answer = ask(Behaviour(foreign_id="refuse"), sent)
    assert status == 400
    assert next(iter(sent)) in answer["error"]


def test_tags_that_are_words_stay_or_are_left_out() -> None:
    tags = ["word", "5b0000000000000000000001", None]
    assert ask(Behaviour(), {"activityTags": tags})[1]["activityTags"] == tags[:2]
    assert ask(Behaviour(free_tag="drop"), {"activityTags": tags})[1]["activityTags"] == tags[1:2]


def test_the_same_bad_ids_sent_again_change_nothing(http: httpx.Client) -> None:
    sent = [
        {
            "companyId": "extid-acme",
            "externalId": "a",
            "users": [{"id": "u1"}],
            "date": "2026-01-01T01:00:00+01:00",
        }
    ]
    assert http.put("/conversations", json=sent).json()["created"] == 1
    assert http.put("/conversations", json=sent).json()["nonupdates"] == 1


@pytest.mark.parametrize("name", ["date", "outDate"])
def test_a_plain_date_is_refused_on_create_and_completed_on_a_change(http: httpx.Client, name: str) -> None:
    sent = {"companyId": "extid-acme", "externalId": "a"}
    assert http.post("/conversations", json={**sent, name: "2026-01-01"}).status_code == 400
    http.post("/conversations", json=sent)
    changed = http.put("/conversations/extid-a", json={name: "2026-01-01"}).json()
    assert changed[name] == "2026-01-01T00:00:00.000Z"
    for nonsense in ("2026-13-01T00:00:00Z", "soon", 7):
        assert http.put("/conversations/extid-a", json={name: nonsense}).status_code == 400


def test_names_that_differ_in_case_refuse_a_request_whole_also_when_dotted(http: httpx.Client) -> None:
    good = {"companyId": "extid-acme", "externalId": "good"}
    for bad in (
        {"custom": {"A": 1, "a": 2}},
        {"custom": {"A": 1}, "custom.a": 2},
        {"custom.A": 1, "custom.a": 2},
    ):
        answer = http.put("/conversations", json=[good, {**good, "externalId": "bad", **bad}])
        assert (answer.status_code, list(answer.json())) == (400, ["error"])
        assert http.post("/conversations", json={**good, **bad}).status_code == 400
    assert http.get("/_sandbox/stats").json()["conversations"] == 0
    # Said twice in the same way is said once.
    assert http.post("/conversations", json={**good, "custom": {"A": 1}, "custom.A": 2}).json()["custom"] == {
        "A": 2
    }


def test_an_empty_string_is_kept_but_not_on_a_date_field_and_null_is_null(http: httpx.Client) -> None:
    http.post("/customfields", json={"name": "Due", "parent": "conversation", "type": "date"})
    first = {"companyId": "extid-acme", "externalId": "a", "custom": {"Due": "2026-01-01", "Word": "x"}}
    http.post("/conversations", json=first)
    emptied = http.put("/conversations/extid-a", json={"custom": {"Due": "", "Word": ""}}).json()
    assert emptied["custom"] == {"Due": "2026-01-01", "Word": ""}
    cleared = http.put("/conversations/extid-a", json={"custom": {"Due": None}}).json()
    assert cleared["custom"] == {"Due": None, "Word": ""}
