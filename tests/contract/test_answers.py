"""What the relay assumes about answers: their properties, their order, their words. Each test is one assumption."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Tenant

NOBODY = "0" * 24
CHANGED = {
    *(
        "starred",
        "pinned",
        "autoTags",
        "activityTags",
        "emailTemplateIds",
        "isOpen",
        "tags",
        "waitsToBeFiltered",
    ),
    *(
        "timeBucket",
        "archived",
        "_id",
        "users",
        "date",
        "type",
        "companyId",
        "subject",
        "description",
        "endusers",
    ),
    *("snippet", "companyName", "createDate", "sender", "history", "__v"),
}
CREATED = CHANGED | {"owner", "followers", "userId", "note", "nickName"}


def test_a_create_answers_with_the_properties_of_the_document(writable: Tenant) -> None:
    """The relay upserts; `relay conversations create` prints it. Documented."""
    sent = writable.item(subject="contract test", description="Little call with the client.", type="note")
    del sent["externalId"]
    made = writable.http.post("/conversations", json=sent).json()
    writable.made.add(made["_id"])
    assert set(made) == CREATED


def test_a_change_and_a_delete_answer_with_the_properties_of_the_document(writable: Tenant) -> None:
    """`relay conversations update` and `delete` print it. Documented."""
    sent = writable.item(description="Little call with the client.", type="note")
    del sent["externalId"]
    made = writable.http.post("/conversations", json=sent).json()
    changed = writable.http.put(f"/conversations/{made['_id']}", json={"subject": "changed"}).json()
    assert set(changed) == CHANGED
    assert set(writable.http.delete(f"/conversations/{made['_id']}").json()) == CHANGED


@pytest.mark.parametrize(
    ("date", "bucket", "day"),
    [
        ("2016-10-21T15:24:05.000Z", ["2016", "2016-Q4", "2016-10", "2016-W43"], 17095),
        ("2021-06-24T19:38:16.000Z", ["2021", "2021-Q2", "2021-6", "2021-W26"], 18802),
    ],
)
def test_time_buckets_have_sunday_weeks_and_months_without_a_nought(
    writable: Tenant, date: str, bucket: list[str], day: int
) -> None:
    """Nothing hangs on it. Source: the examples of the document and of Planhat's page on tickets."""
    made = writable.make(date=date)
    assert (made["timeBucket"], made["days"]) == (bucket, day)


def test_a_list_begins_with_the_newest(writable: Tenant) -> None:
    """The doctor reads the first page for the latest. Source: the document's example; by date is an inference."""
    late = writable.make(date="2031-02-01T00:00:00.000Z")
    early = writable.make(date="2031-01-01T00:00:00.000Z")
    keys = [row["_id"] for row in writable.planhat.list_page(limit=50, select=["_id"])]
    assert keys.index(late["_id"]) < keys.index(early["_id"])


def test_a_list_shows_no_description_unless_it_is_selected(writable: Tenant) -> None:
    """`relay conversations list` selects it. Source: the document's example."""
    made = writable.make(description="text", date="2031-03-01T00:00:00.000Z")
    first = writable.planhat.list_page(limit=1)[0]
    assert first["_id"] == made["_id"]
    assert "description" not in first
    [row] = writable.planhat.list_page(limit=1, select=["_id", "description"])
    assert row["description"] == "text"


def test_blanks_beside_the_commas_of_select_do_not_count(tenant: Tenant) -> None:
    """The relay sends none. Source: a public client sends `name, companyId`."""
    rows = tenant.http.get("/endusers", params={"limit": 3, "select": "email, companyId"}).json()
    assert all(set(row) <= {"_id", "email", "companyId"} for row in rows)
    assert any("companyId" in row for row in rows)


def test_an_archived_conversation_is_not_in_its_companys_list(writable: Tenant) -> None:
    """Why `action: archive` and `retract` hide a conversation. Source: team notes."""
    made = writable.make(archived=True, date="2031-04-01T00:00:00.000Z")
    rows = writable.planhat.list_page(company_ids=[made["companyId"]], limit=50, select=["_id"])
    assert made["_id"] not in [row["_id"] for row in rows]


def test_a_key_that_is_none_is_refused_with_the_two_prefixes_named(tenant: Tenant) -> None:
    """The relay always prefixes. Source of the words: team notes; that it is a 400 is an inference."""
    answer = tenant.http.get("/conversations/relay-contract-bare-key")
    assert answer.status_code == 400
    assert "must be planhat _id OR start with `extid-` or `srcid-`" in answer.text


def test_a_record_that_is_not_there_is_called_no_such_document(tenant: Tenant) -> None:
    """The relay goes by the status. Source of the words: team notes."""
    assert "No such document" in tenant.http.get(f"/conversations/{NOBODY}").text


def test_a_path_that_is_no_model_is_told_apart_from_a_missing_record(tenant: Tenant) -> None:
    """The doctor tells a wrong URL by it. Source of the words: team notes; that it is a 404 is an inference."""
    answer = tenant.http.get("/relaycontract")
    assert answer.status_code in (400, 403, 404)
    assert "Invalid or unauthorized model" in answer.text


def test_patch_changes_one_conversation_as_put_does(writable: Tenant) -> None:
    """The relay uses PUT. Source: a public client uses PATCH for every single update."""
    made = writable.make(description="kept")
    answer = writable.http.patch(f"/conversations/{made['_id']}", json={"subject": "changed"})
    assert answer.status_code == 200
    changed = writable.planhat.get(made["_id"])
    assert (changed["subject"], changed["description"]) == ("changed", "kept")
