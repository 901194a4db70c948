"""What the relay's defaults rest on, each a fact of one source and each a setting that goes the other way."""

from __future__ import annotations

from relay.description import safe_html, words_of_html
from relay.description.entries import MAX_CHARS
from tests.contract.conftest import Tenant

#: All that the serialiser writes.
_EVERYTHING = safe_html(
    "<h2>Plan</h2><p>First <b>bold</b>, <i>then</i><br>a <a href='https://example.com/a?b=1&c=2'>link</a></p><hr>"
    "<blockquote><p>quoted</p></blockquote><ul><li>one<ol><li>inner</li></ol></li><li>two</li></ul>"
    "<table><tr><th>Name</th><td>Ann</td></tr></table><img src='https://example.com/i.png' alt='a picture'>"
)


def test_the_html_of_descriptions_is_read_back_as_it_was_sent(writable: Tenant) -> None:
    """`planhat.descriptions: safe`. That its editor shows it unharmed is seen in the app alone: make one by this test, and
    look at it there. Source: team notes, read back from the app in August 2026; list classes also in a second public
    project's data."""
    assert writable.make(description=_EVERYTHING)["description"] == _EVERYTHING


def test_two_entries_are_two_paragraphs_when_they_are_read_back(writable: Tenant) -> None:
    """Entries are joined as blocks, without line breaks. Source: team notes: literal line breaks become empty paragraphs."""
    made = writable.make(description="<p>first entry</p><p>second entry</p>")
    assert words_of_html(made["description"]) == ["first", "entry", "second", "entry"]


def test_a_description_of_524288_characters_is_kept_whole(writable: Tenant) -> None:
    """Longer ones are cut at an entry by the relay, the newest kept. Source: a public client cuts texts there."""
    text = "<p>" + "word " * ((MAX_CHARS - 7) // 5) + "</p>"
    assert len(writable.make(description=text)["description"]) == len(text)


def test_a_conversation_can_be_dated_anew(writable: Tenant) -> None:
    """`planhat.thread_date: newest`. Source: team notes on how Planhat's own connectors date threads of many parts."""
    made = writable.make(date="2021-07-29T15:29:34.330Z")
    writable.put([writable.item(made["externalId"], date="2021-08-03T10:00:00.000Z")])
    assert writable.planhat.get(made["_id"])["date"] == "2021-08-03T10:00:00.000Z"


def test_an_enduser_can_be_made_of_an_address_a_name_and_a_company(writable: Tenant) -> None:
    """`people: {create: true}`, off by default. Documented: keyable by email in a bulk upsert; that an address is new in its
    company only is said by Planhat's page on data uniqueness."""
    email = f"{writable.new_id()}@relay-contract.example"
    key = writable.planhat.upsert_enduser(
        {"email": email, "name": "Relay contract", "companyId": writable.company}
    )
    try:
        [row] = writable.planhat.endusers(email=email)
        assert row["_id"] == key
        made = writable.make(endusers=[{"id": key}])
        assert [who["id"] for who in made["endusers"]] == [key]
    finally:
        writable.http.delete(f"/endusers/{key}")


def test_activity_tags_can_be_listed_by_name(tenant: Tenant) -> None:
    """`planhat.activity_tags: ids`: words become ids by this list; without it they go as they are. Source: a public client has
    the path; that rows have `name` is an inference."""
    rows = tenant.http.get("/activitytags").json()
    assert all(row.get("_id") and row.get("name") for row in rows)


def test_people_are_taken_as_objects_of_their_ids(writable: Tenant) -> None:
    """`planhat.resolve_people`. Documented by every example; team notes: records without people do not surface on a contact's
    timeline, so that both lists are always sent where somebody is known."""
    user = next(iter(writable.planhat.users(limit=5)))
    made = writable.make(users=[{"id": user["_id"]}])
    assert [who["id"] for who in made["users"]] == [user["_id"]]


def test_the_answer_does_not_show_all_that_was_sent(writable: Tenant) -> None:
    """Why a read-back compares neither `ownerId` nor `useSubject`. Documented: the examples send both and show neither."""
    made = writable.make(useSubject=True)
    assert "useSubject" not in made
