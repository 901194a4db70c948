"""Postmark: its JSON, its login, and the answers that keep its retries going."""

from __future__ import annotations

import orjson
import pytest

from relay.errors import NotAuthentic
from relay.event import Attachment, Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parked, Parsed, Skipped
from relay.sources.providers.postmark import Postmark
from tests.places import PAYLOADS

MINE = PAYLOADS / "postmark"
NOW_S = 1_772_600_600.0


def postmark(*keep: str) -> Postmark:
    logins = ["hook:first", "hook:second"]
    return Postmark(
        SourceOptions(name="mail", adapter="postmark", basic_auth=lambda: logins, keep=frozenset(keep))
    )


def parsed(name: str, *keep: str) -> Parsed:
    body = (MINE / f"{name}.json").read_bytes()
    (found,) = postmark(*keep).parse(Inbound(body, {"content-type": "application/json"}), now_s=NOW_S)
    return found


def event(name: str, *keep: str) -> Event:
    found = parsed(name, *keep)
    assert isinstance(found, Event)
    return found


def test_a_mail_and_its_answer_are_two_events_of_one_thread() -> None:
    question, reply = event("question"), event("reply")
    assert question.thread == reply.thread == "<q1-8841@mail.acme.example>"
    assert (question.kind, question.sender.name) == ("email.received", "Nora Lind")
    assert question.sender.email == "nora@acme.example"
    assert question.time == "2026-03-03T08:15:00.000Z"
    assert reply.version > question.version
    assert reply.message_id == "<r1-8841@mail.acme.example>"


def test_a_reply_keeps_its_text_and_leaves_quote_script_and_picture_behind() -> None:
    reply = event("reply")
    assert reply.text == "25 is right, see the file."
    assert reply.html == "<div>25 is right, see the file.</div>"
    assert [(r.email, r.role) for r in reply.recipients] == [
        ("help@in.vendor.example", "to"),
        ("nora@acme.example", "cc"),
        ("help+hidden@in.vendor.example", "envelope"),
    ]
    assert reply.tags == ("billing",)


def test_attachments_are_listed_and_their_content_is_gone() -> None:
    reply = event("reply")
    assert reply.attachments == (Attachment("seats.csv", "text/csv", 4),)
    assert "bmFtZQ" not in str(reply.payload)
    assert reply.payload["Attachments"][0]["Name"] == "seats.csv"


def test_an_absence_note_is_skipped_unless_it_is_kept() -> None:
    assert parsed("out_of_office") == Skipped("auto_reply")
    assert event("out_of_office", "auto_replies").text == "I am away until Monday."


def test_the_raw_mail_says_what_the_parsed_fields_leave_out() -> None:
    found = event("raw_only")
    assert (found.sender.email, found.subject) == ("nora@acme.example", "Note")
    assert found.message_id == "<raw-1@mail.acme.example>"
    assert found.thread == "<q1-8841@mail.acme.example>"
    assert "RawEmail" not in found.payload


def test_a_body_that_is_neither_text_nor_html_is_read_from_the_raw_mail() -> None:
    raw = "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VEVENT\nSUMMARY:Review\nEND:VEVENT\n"
    body = {"From": "nora@acme.example", "Subject": "Invitation", "MessageID": "m-1", "RawEmail": raw}
    headers = [{"Name": "Message-ID", "Value": "<1@acme.example>"}]
    (found,) = postmark().parse(Inbound(orjson.dumps({**body, "Headers": headers}), {}), now_s=NOW_S)
    assert isinstance(found, Event)
    assert "Review" in found.text


def test_the_check_button_and_events_of_sent_mail_are_no_mails() -> None:
    for body, reason in (
        (b'{"MessageID":"00000000-0000-0000-0000-000000000000","From":"a@b.example"}', "test"),
        (b'{"RecordType":"Delivery","MessageID":"x"}', "type"),
    ):
        assert postmark().parse(Inbound(body, {}), now_s=NOW_S) == [Skipped(reason)]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"From":', b'{"FromFull":7,"Headers":"x"}'])
def test_what_cannot_be_read_is_parked_and_never_refused(body: bytes) -> None:
    (found,) = postmark().parse(Inbound(body, {}), now_s=NOW_S)
    assert isinstance(found, Parked)
    assert [found] == postmark().parse(Inbound(body, {}), now_s=NOW_S + 60)


def test_either_login_is_good_and_403_is_never_answered() -> None:
    adapter = postmark()
    sample = adapter.sign(adapter.sample(serial=1, now_s=NOW_S), now_s=NOW_S, url="")
    adapter.verify(Inbound(sample.body, sample.headers), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(sample.body, {"authorization": "Basic aG9vazp0aGlyZA=="}), now_s=NOW_S)
    assert 403 not in (adapter.answers.not_authentic, adapter.answers.malformed, adapter.answers.try_later)
