"""What help desks tell in events of their own, or again and again: files, ratings, descriptions, templates in XML."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relay.event import Event
from relay.sources.base import Inbound, Parked, Skipped
from relay.sources.read.adf import read_adf
from relay.sources.read.wiki import read_wiki
from tests.sources.test_every_source import NOW_S, build
from tests.sources.words import book_of, conversations

JSON = {"content-type": "application/json"}


def told(name: str, *bodies: Any, headers: dict[str, str] | None = None, **options: Any) -> list[Any]:
    adapter = build(name, **options)
    found: list[Any] = []
    for body in bodies:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        found += adapter.parse(Inbound(raw, headers or JSON), now_s=NOW_S)
    return found


def one_conversation(name: str, *bodies: Any, **options: Any) -> dict[str, Any]:
    events = [one for one in told(name, *bodies, **options) if isinstance(one, Event)]
    (found,) = conversations(events, book_of(name))
    return found


# ---- Zendesk: a comment's files, a changed description and a rating come alone -----------------------------


def zendesk(change: str, event: dict[str, Any], n: int = 1, **detail: Any) -> dict[str, Any]:
    return {
        "account_id": 31,
        "id": f"event-{change}-{n}",
        "type": f"zen:event-type:ticket.{change}",
        "time": f"2026-03-04T08:0{n}:00Z",
        "subject": "zen:ticket:7301",
        "zendesk_event_version": "2022-11-06",
        "detail": {
            "id": "7301",
            "actor_id": "500",
            "requester_id": "500",
            "subject": "Import fails",
            "description": "It stops at row 12.",
            "status": "OPEN",
            "is_public": True,
            **detail,
        },
        "event": event,
    }


PICTURE = {
    "content_type": "image/png",
    "content_url": "https://files.example.com/row.png",
    "filename": "row.png",
    "id": "900",
    "is_public": False,
}


@pytest.mark.parametrize(
    "event",
    [{"comment": {"id": "88001", "attachment": PICTURE}}, {"attachment": PICTURE}],
    ids=["in", "beside"],
)
def test_a_file_of_the_requesters_comment_arrives_and_goes(event: dict[str, Any]) -> None:
    (found,) = told("zendesk", zendesk("attachment_linked_to_comment", event))
    assert (found.kind, found.message_id, found.sender.id) == ("ticket.commented", "file-900", "500")
    assert [(file.name, file.url) for file in found.attachments] == [("row.png", PICTURE["content_url"])]
    opened, linked = zendesk("created", {}), zendesk("attachment_linked_to_comment", event, 2)
    assert "row.png" in one_conversation("zendesk", opened, linked)["description"]
    gone = zendesk("attachment_redacted_from_comment", event, 3)
    assert "row.png" not in one_conversation("zendesk", opened, linked, gone)["description"]


def test_a_file_of_an_agents_comment_may_be_a_notes() -> None:
    linked = zendesk(
        "attachment_linked_to_comment", {"comment": {"id": "1", "attachment": PICTURE}}, actor_id="501"
    )
    assert told("zendesk", linked) == [Skipped("privacy_unsaid")]
    (kept,) = told("zendesk", linked, privacy="as_told")
    assert kept.remarks == ("privacy_unsaid",)
    linked["event"]["comment"]["is_public"] = True
    (public,) = told("zendesk", linked)
    assert (public.remarks, len(public.attachments)) == ((), 1)
    linked["event"]["comment"]["is_public"] = False
    assert told("zendesk", linked) == [Skipped("private")]


def test_a_changed_description_replaces_the_opening_and_stays_the_requesters() -> None:
    opened = zendesk("created", {})
    redacted = zendesk("description_changed", {"current": "It stops.", "previous": "..."}, 2, actor_id="501")
    found = one_conversation("zendesk", opened, redacted)
    assert "It stops." in found["description"]
    assert "row 12" not in found["description"]
    assert "500" in found["description"]
    assert "501" not in found["description"]
    emptied = zendesk("description_changed", {"current": "", "previous": "It stops."}, 3)
    assert "stops" not in one_conversation("zendesk", opened, redacted, emptied)["description"]


def test_a_rating_is_the_requesters_word() -> None:
    score = {"score": "BAD", "reason": "Too slow", "comment": "Three days without an answer."}
    (found,) = told("zendesk", zendesk("csat_received", {"satisfaction_score": score}, actor_id="501"))
    assert (found.kind, found.sender.id) == ("ticket.commented", "500")
    assert found.text == "Rating: Bad\nReason: Too slow\nThree days without an answer."
    (other,) = told("zendesk", zendesk("csat_received", {}))
    assert other.kind == "ticket.updated"


# ---- Templates in XML --------------------------------------------------------------------------------------

XML = {"content-type": "application/xml"}
FRESHDESK = b"""<?xml version="1.0" encoding="UTF-8"?>
<freshdesk_webhook>
  <ticket_id type="integer">77</ticket_id><ticket_subject>Invoice &amp; more</ticket_subject>
  <ticket_description>&lt;div&gt;Please send it &lt;b&gt;again&lt;/b&gt;.&lt;/div&gt;</ticket_description>
  <requester_email>kim@customer.example.com</requester_email><triggered_event>{ticket_action:created}</triggered_event>
  <attachments><attachment><name>a.pdf</name><url>https://f.example/a.pdf</url></attachment>
  <attachment><name>b.pdf</name><url>https://f.example/b.pdf</url></attachment></attachments>
</freshdesk_webhook>"""


def test_a_template_in_xml_is_read_as_one_in_json() -> None:
    (found,) = told("freshdesk", FRESHDESK, headers=XML)
    assert (found.kind, found.thread, found.subject) == ("ticket.created", "77", "Invoice & more")
    assert (found.text, found.sender.email) == ("Please send it again.", "kim@customer.example.com")
    assert [file.name for file in found.attachments] == ["a.pdf", "b.pdf"]
    body = b"<ticket><id>7</id><latest_public_comment><![CDATA[<p>Any news?</p>]]></latest_public_comment></ticket>"
    for name in ("zendesk", "freshdesk"):
        (found,) = told(name, body, headers=XML)
        assert (found.kind, found.thread, found.text) == ("ticket.commented", "7", "Any news?")


@pytest.mark.parametrize("said", ["Tom & Ann", "Hi <b>all</b>", "<p>Hi</p>", "a < b"])
def test_xml_that_a_placeholder_broke_is_kept(said: str) -> None:
    body = f"<ticket><id>7</id><latest_public_comment>{said}</latest_public_comment></ticket>".encode()
    for name in ("zendesk", "freshdesk"):
        (found,) = told(name, body, headers=XML)
        assert isinstance(found, Parked)
        assert "choose JSON" in found.cause


# ---- Jira --------------------------------------------------------------------------------------------------


def test_a_document_shows_days_people_and_pictures() -> None:
    line = [
        {"type": "text", "text": "By "},
        {"type": "date", "attrs": {"timestamp": "1772582400000"}},
        {"type": "text", "text": " for "},
        {"type": "mention", "attrs": {"id": "5f"}},
        {"type": "mediaInline", "attrs": {"type": "file", "id": "1", "alt": "plan.pdf"}},
    ]
    assert (
        read_adf({"type": "doc", "content": [{"type": "paragraph", "content": line}]})[0]
        == "By 2026-03-04 for @5fplan.pdf"
    )
    item = {
        "type": "listItem",
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": "one"}]}],
    }
    cells = [{"type": "tableCell", "content": [{"type": "orderedList", "content": [item, item]}]}]
    rows = {"type": "table", "content": [{"type": "tableRow", "content": cells}]}
    assert read_adf({"type": "doc", "content": [rows]})[0] == "1. one 2. one"


@pytest.mark.parametrize(
    ("raw", "text", "html"),
    [
        ("re{*}start{*}ed", "restarted", "<p>re<strong>start</strong>ed</p>"),
        ("{_}a{_}{*}b{*}", "ab", "<p><em>a</em><strong>b</strong></p>"),
        ("{*}{_}both{_}{*} ways", "both ways", "<p><em>both</em> ways</p>"),
        ("{-}old{-}{+}new{+}", "oldnew", "<p><s>old</s>new</p>"),
        (
            "*[the log|https://x.example/1]*",
            "the log (https://x.example/1)",
            '<p><a href="https://x.example/1"><strong>the log</strong></a></p>',
        ),
        ("*_both_*", "both", "<p><em>both</em></p>"),
    ],
)
def test_marks_of_jiras_editor_are_no_text(raw: str, text: str, html: str) -> None:
    assert read_wiki(raw) == (text, html)


def jira(what: str, **more: Any) -> dict[str, Any]:
    fields = {
        "summary": "Import fails",
        "description": "It stops.",
        "reporter": {"accountId": "kim", "displayName": "Kim Example"},
        "attachment": [{"filename": "row.png", "content": "https://f.example/row.png"}],
    }
    agent = {"accountId": "sam", "displayName": "Sam Support"}
    return {
        "timestamp": 1_772_611_900_000,
        "webhookEvent": what,
        "user": agent,
        "issue": {"id": "1", "key": "SUP-1", "fields": fields},
        **more,
    }


def test_whoever_edits_the_words_stay_their_authors_and_keep_their_files() -> None:
    kim, sam = ({"accountId": one.lower(), "displayName": f"{one} Example"} for one in ("Kim", "Sam"))
    comment = {"id": "2", "author": kim, "updateAuthor": sam, "body": "Again.", "jsdPublic": True}
    (edited,) = told("jira", jira("comment_updated", comment=comment))
    assert (edited.kind, edited.sender.id) == ("message.updated", "kim")
    changes = {"items": [{"field": "description", "fromString": "It fails.", "toString": "It stops."}]}
    opened = jira("jira:issue_created", timestamp=1_772_611_800_000)
    again = jira("jira:issue_updated", changelog=changes)
    found = one_conversation("jira", opened, again)["description"]
    assert (found.count("row.png"), "Sam" in found) == (
        one_conversation("jira", opened)["description"].count("row.png"),
        False,
    )


def test_a_description_that_is_emptied_is_gone_and_may_come_back() -> None:
    opened = jira("jira:issue_created", timestamp=1_772_611_800_000)
    emptied = jira("jira:issue_updated", changelog={"items": [{"field": "description", "toString": None}]})
    emptied["issue"]["fields"] = {**emptied["issue"]["fields"], "description": None}
    assert "It stops." not in one_conversation("jira", opened, emptied)["description"]
    back = jira(
        "jira:issue_updated",
        timestamp=1_772_611_990_000,
        changelog={"items": [{"field": "description", "toString": "It stops."}]},
    )
    assert "It stops." in one_conversation("jira", opened, emptied, back)["description"]


# ---- Salesforce: a record is told again with each change ---------------------------------------------------


def salesforce(n: int, kind: str, **fields: str) -> bytes:
    inner = "".join(f"<sf:{name}>{value}</sf:{name}>" for name, value in fields.items())
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D</OrganizationId>
<Notification><Id>04l{n}</Id><sObject xsi:type="sf:{kind}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{inner}
<sf:LastModifiedDate>2026-03-04T05:0{n}:00.000Z</sf:LastModifiedDate></sObject></Notification></notifications></soapenv:Body>
</soapenv:Envelope>""".encode()


def test_what_a_case_says_of_itself_stands_once_however_often_it_is_told() -> None:
    xml = {"content-type": "text/xml"}
    told_again = [
        salesforce(n, "Case", Id="500A", Subject="Export", Description="It fails.", Status=status)
        for n, status in ((1, "New"), (2, "Working"), (3, "Closed"))
    ]
    found = one_conversation("salesforce", *told_again, headers=xml)
    assert (found["description"].count("It fails."), found["custom"]["Status"]) == (1, "Closed")
    more = salesforce(4, "Case", Id="500A", Description="It works again.", Status="Closed")
    both = one_conversation("salesforce", *told_again, more, headers=xml)["description"]
    assert (both.count("It fails."), both.count("It works again.")) == (1, 1)


def test_a_post_belongs_to_its_case_and_an_edit_replaces_it() -> None:
    xml = {"content-type": "text/xml"}
    posts = [
        salesforce(1, "Case", Id="500A", Subject="Export", Description="It fails."),
        salesforce(2, "FeedItem", Id="0D5A", ParentId="500A", Body="Any news?"),
        salesforce(3, "FeedItem", Id="0D5A", ParentId="500A", Body="Any news yet?"),
    ]
    found = one_conversation("salesforce", *posts, headers=xml)["description"]
    assert ("Any news yet?" in found, "Any news?" in found) == (True, False)
    hidden = salesforce(4, "FeedItem", Id="0D5B", ParentId="500A", Body="Ask Bo.", Visibility="InternalUsers")
    assert told("salesforce", hidden, headers=xml) == [Skipped("private")]


# ---- GitHub: each event tells the whole issue --------------------------------------------------------------


@pytest.mark.parametrize("name", ["issue", "pull_request", "discussion"])
def test_an_issues_own_words_stand_once_under_who_wrote_them(name: str) -> None:
    ana, sam = {"id": 5, "login": "ana"}, {"id": 6, "login": "sam"}

    def event(action: str, n: int, sender: dict[str, Any], **more: Any) -> dict[str, Any]:
        thing = {"id": 9, "number": 8, "title": "Crash", "body": "It fails.", "user": ana, **more}
        return {"action": action, name: {**thing, "updated_at": f"2026-03-04T05:0{n}:00Z"}, "sender": sender}

    opened, labeled, closed = event("opened", 1, ana), event("labeled", 2, sam), event("closed", 4, sam)
    said = {"id": 77, "body": "Looking.", "user": sam, "created_at": "2026-03-04T05:03:00Z"}
    comment = {**event("created", 3, sam), "comment": said}
    text = one_conversation("github", opened, labeled, comment, closed)["description"]
    assert [text.count(word) for word in ("It fails.", "Looking.", "ana", "sam")] == [1, 1, 1, 1]
    assert text.index("It fails.") < text.index("Looking.")
    edited = event("edited", 5, sam, body="It still fails.")
    text = one_conversation("github", opened, comment, edited)["description"]
    assert [text.count(word) for word in ("It fails.", "It still fails.", "ana", "sam")] == [0, 1, 1, 1]


def test_a_review_without_words_says_nothing() -> None:
    request = {"id": 9, "title": "Fix", "body": "It mends the export.", "user": {"login": "ana"}}
    review = {"id": 3, "body": None, "state": "approved", "user": {"login": "sam"}}
    (found,) = told("github", {"action": "submitted", "review": review, "pull_request": request})
    assert (found.text, found.html, found.sender.name, found.thread) == ("", "", "sam", "9")


@pytest.mark.parametrize("name", ["servicenow", "generic"])
def test_what_a_record_says_of_itself_stands_once(name: str) -> None:
    record = {"number": "INC1", "sys_id": "a1", "short_description": "Export", "description": "It fails."}
    states = [{**record, "state": n, "sys_updated_on": f"2026-03-04 05:0{n}:00"} for n in (1, 2, 3)]
    said = {**record, "comments": "Any news?", "sys_updated_on": "2026-03-04 05:05:00"}
    again = {**said, "sys_updated_on": "2026-03-04 05:06:00"}
    other = {**record, "description": "It works again.", "sys_updated_on": "2026-03-04 05:07:00"}
    text = one_conversation(name, *states, said, again, other)["description"]
    # What people say twice they said twice.
    assert [text.count(one) for one in ("It fails.", "Any news?", "It works again.")] == [1, 2, 1]
