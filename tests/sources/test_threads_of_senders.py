"""What a conversation becomes of several requests of one sender: edits, summaries, states, authors, subjects."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relay.errors import PayloadInvalid
from relay.event import Event
from relay.sources.base import Inbound, Parked, Parsed, Skipped
from tests.sources.test_every_source import NOW_S, build
from tests.sources.words import book_of, conversations


def parse(name: str, payload: Any, headers: dict[str, str] | None = None, **options: Any) -> list[Parsed]:
    request = Inbound(orjson.dumps(payload), {"content-type": "application/json", **(headers or {})})
    return build(name, **options).parse(request, now_s=NOW_S)


def one(name: str, payload: Any, headers: dict[str, str] | None = None, **options: Any) -> Event:
    (found,) = parse(name, payload, headers, **options)
    assert isinstance(found, Event), found
    return found


def told(name: str, *events: Event) -> dict[str, Any]:
    for order in (events, events[::-1]):
        (conversation,) = conversations(list(order), book_of(name))
    return conversation


# ---- Zoom --------------------------------------------------------------------------------------------------


def zoom(what: str, ts: int, **item: Any) -> Any:
    return {"event": what, "event_ts": ts, "payload": {"account_id": "a", "object": item}}


MEETING = {"meeting_uuid": "u==", "meeting_topic": "Kick-off", "meeting_host_email": "sam@example.com"}


def test_a_newer_summary_replaces_the_older_one() -> None:
    first = zoom("meeting.summary_completed", 1000, **MEETING, summary_content="**Three** goals")
    second = zoom("meeting.summary_updated", 2000, **MEETING, summary_content="**Two** goals")
    found = told("zoom", one("zoom", first), one("zoom", second))
    assert found["description"] == "<p><strong>Two</strong> goals</p>"


def test_a_voicemails_transcript_takes_nothing_of_the_voicemail() -> None:
    known = {"id": "v", "call_id": "c", "caller_number": "+1", "callee_number": "+2", "duration": 9}
    link = {"download_url": "https://zoom.us/v/1"}
    words = {"transcription": {"content": "Please call me back."}}
    voicemail = zoom("phone.voicemail_received", 1000, **known, **link)
    for more in ({}, link):
        later = zoom("phone.voicemail_transcript_completed", 2000, id="v", call_id="c", **words, **more)
        found = told("zoom", one("zoom", voicemail), one("zoom", later))
        assert found["subject"] == "+1 -> +2"
        for part in ("Voicemail", "https://zoom.us/v/1", "Please call me back."):
            assert found["description"].count(part) == 1, (part, found["description"])


@pytest.mark.parametrize(
    "what",
    [
        *("meeting.created", "meeting.updated", "meeting.started", "meeting.participant_joined"),
        *("recording.started", "recording.trashed", "phone.callee_ringing", "phone.caller_connected"),
        *("phone.recording_started", "phone.voicemail_trashed", "meeting.sharing_started", "webinar.started"),
    ],
)
def test_zooms_noise_is_skipped(what: str) -> None:
    assert parse("zoom", zoom(what, 1000, uuid="u==", id=1, call_id="c")) == [Skipped("type")]


def test_a_deleted_meeting_archives_its_conversation_and_a_deleted_summary_is_taken_out() -> None:
    ended = one("zoom", zoom("meeting.ended", 1000, uuid="u==", topic="Kick-off"))
    summary = one("zoom", zoom("meeting.summary_completed", 2000, **MEETING, summary_content="Goals"))
    unsaid = one("zoom", zoom("meeting.summary_deleted", 3000, **MEETING))
    assert "Goals" not in told("zoom", ended, summary, unsaid)["description"]
    assert told("zoom", ended, one("zoom", zoom("meeting.deleted", 4000, uuid="u==")))["archived"] is True


def test_one_call_under_many_names_is_one_entry() -> None:
    party = {"caller": {"phone_number": "+1"}, "callee": {"phone_number": "+2"}}
    log = {
        "call_id": "c",
        "direction": "inbound",
        "caller_number": "+1",
        "callee_number": "+2",
        "duration": 95,
    }
    found = told(
        "zoom",
        one("zoom", zoom("phone.caller_ended", 1000, call_id="c", **party)),
        one("zoom", zoom("phone.callee_ended", 1001, call_id="c", **party)),
        one("zoom", zoom("phone.callee_call_history_completed", 2000, call_logs=[log])),
    )
    assert found["description"] == "<p>Inbound call, 1 min 35 s</p><p>+2</p>"


# ---- Crisp -------------------------------------------------------------------------------------------------


def test_an_edit_in_crisp_keeps_its_author() -> None:
    data = {
        "session_id": "s",
        "fingerprint": 1,
        "type": "text",
        "from": "user",
        "timestamp": 1_772_600_400_000,
    }
    sent = {**data, "content": "The exprt fails", "user": {"nickname": "A & B"}}
    edit = {"session_id": "s", "fingerprint": 1, "content": "The export fails"}
    found = told(
        "crisp",
        one("crisp", {"event": "message:send", "data": sent, "timestamp": 1_772_600_400_000}),
        one("crisp", {"event": "message:updated", "data": edit, "timestamp": 1_772_600_500_000}),
    )
    assert found["description"] == "<p><strong>A &amp; B</strong>: The export fails</p>"


# ---- subjects ----------------------------------------------------------------------------------------------


def test_a_state_event_before_the_first_text_does_not_name_the_conversation_for_ever() -> None:
    def item(**more: Any) -> dict[str, Any]:
        return {"id": "7", "conversation_parts": {"conversation_parts": []}, **more}

    def notice(topic: str, ts: int, conversation: dict[str, Any]) -> Any:
        return {"topic": topic, "id": f"n{ts}", "created_at": ts, "data": {"item": conversation}}

    state = one("intercom", notice("conversation.admin.assigned", 1_772_600_400, item()))
    said = {
        "id": "p1",
        "part_type": "comment",
        "body": "<p>How do I *invite* a colleague?</p>",
        "created_at": 1_772_600_500,
    }
    text = one(
        "intercom",
        notice(
            "conversation.user.replied",
            1_772_600_500,
            item(conversation_parts={"conversation_parts": [said]}),
        ),
    )
    titled = one(
        "intercom", notice("conversation.admin.snoozed", 1_772_600_600, item(title="Seats\nand prices"))
    )
    assert told("intercom", state)["subject"] == "Ticket 7"
    assert told("intercom", state, text)["subject"] == "How do I invite a colleague?"
    assert told("intercom", state, text, titled)["subject"] == "Seats and prices"


# ---- Slack -------------------------------------------------------------------------------------------------


def slack(**event: Any) -> Any:
    message = {"type": "message", "channel": "C1", "ts": "1772604000.000100", **event}
    return {"type": "event_callback", "event_id": "Ev1", "event": message}


def test_a_person_behind_an_app_is_kept_where_it_is_sure_or_wanted() -> None:
    typed = {"user": "U1", "text": "hi", "bot_id": "B1", "bot_profile": {"name": "Mover"}}
    assert parse("slack", slack(**typed)) == [Skipped("bot")]
    assert one("slack", slack(**typed, client_msg_id="x")).sender.id == "U1"
    kept = one("slack", slack(**typed), keep=frozenset({"apps"}))
    assert (kept.sender.id, kept.sender.bot) == ("U1", False)
    program = {"subtype": "bot_message", "text": "hi", "bot_id": "B1", "username": "Mover"}
    assert parse("slack", slack(**program), keep=frozenset({"apps"})) == [Skipped("bot")]


def test_what_was_forwarded_stands_under_its_authors_name() -> None:
    part = {"is_share": True, "author_name": "Kim <K>", "text": "The renewal is *signed*"}
    found = told("slack", one("slack", slack(user="U1", text="fyi", attachments=[part])))
    assert found["description"] == (
        "<p><strong>U1</strong>: fyi</p><blockquote><p><strong>Kim &lt;K&gt;</strong>: The renewal is "
        "<strong>signed</strong></p></blockquote>"
    )
    assert found["subject"].startswith("fyi")


# ---- Intercom ----------------------------------------------------------------------------------------------


def test_the_opening_comes_first_where_a_part_is_already_there() -> None:
    part = {"id": "p1", "part_type": "comment", "body": "<p>Soon.</p>", "author": {"type": "bot", "id": "b"}}
    item = {
        "id": "7",
        "created_at": 1_772_600_400,
        "source": {"id": "s1", "body": "<p>Hello?</p>", "author": {"type": "user", "id": "u", "name": "Kim"}},
        "conversation_parts": {"conversation_parts": [part]},
        "ticket": {"ticket_attributes": {"_default_title_": "Seats"}},
    }
    payload = {"topic": "conversation.user.created", "id": "n", "created_at": 1, "data": {"item": item}}
    opening, answer = parse("intercom", payload)
    assert isinstance(opening, Event)
    assert (opening.text, opening.message_id, opening.sender.name, opening.subject) == (
        "Hello?",
        "s1",
        "Kim",
        "Seats",
    )
    assert answer == Skipped("bot")


@pytest.mark.parametrize(
    "author",
    [
        {"type": "admin", "id": "1", "name": "Fin", "from_ai_agent": True},
        {"type": "admin", "id": "1", "name": "Fin", "is_ai_answer": True},
        {"type": "admin", "id": "1", "name": "Fin", "email": "operator+x1@intercom.io"},
        {"type": "operator", "id": "1"},
    ],
)
def test_intercoms_own_agent_is_a_bot_whatever_it_is_called(author: dict[str, Any]) -> None:
    part = {"id": "p1", "part_type": "comment", "body": "<p>Try again.</p>", "author": author}
    item = {"id": "7", "conversation_parts": {"conversation_parts": [part]}}
    payload = {"topic": "conversation.operator.replied", "id": "n", "created_at": 1, "data": {"item": item}}
    assert parse("intercom", payload) == [Skipped("bot")]


def test_ratings_are_words_of_the_customer() -> None:
    rating = {
        "rating": 5,
        "remark": "Quick & kind",
        "contact": {"type": "user", "id": "u"},
        "created_at": 1_772_600_400,
    }
    item = {"id": "7", "conversation_rating": rating, "conversation_parts": {"conversation_parts": []}}
    found = one(
        "intercom", {"topic": "conversation.rating.added", "id": "n", "created_at": 1, "data": {"item": item}}
    )
    assert (found.kind, found.text, found.sender.id) == (
        "ticket.commented",
        "Rating: 5 of 5\nQuick & kind",
        "u",
    )
    scout = {
        "id": 1,
        "conversationId": 900,
        "rating": "Great",
        "comments": "he was helpful",
        "customer": {
            "id": 2,
            "firstName": "Kim",
            "lastName": "Example",
            "emails": [{"value": "kim@x.example"}],
        },
        "createdAt": "2026-03-04T05:00:00Z",
    }
    found = one("helpscout", scout, {"x-helpscout-event": "satisfaction.ratings"})
    assert (found.thread, found.text) == ("900", "Rating: Great\nhe was helpful")
    assert (found.sender.name, found.sender.email) == ("Kim Example", "kim@x.example")


# ---- Jira, GitHub, the others -------------------------------------------------------------------------------


def test_jira_automation_needs_no_webhook_event() -> None:
    issue = {"id": "7", "key": "SUP-7", "fields": {"summary": "It fails", "description": "every *time*"}}
    comment = {
        "id": "1",
        "body": "see [the log|https://x.example]",
        "author": {"displayName": "kim@x.example.com"},
    }
    said = one("jira", {"issue": issue, "comment": comment})
    assert (said.kind, said.message_id, said.sender.email) == ("ticket.commented", "1", "kim@x.example.com")
    assert one("jira", {"issue": issue, "comment": "only words"}).text == "only words"
    for whole in ({"issue": issue}, issue):
        found = one("jira", whole)
        assert (found.kind, found.thread, found.text) == ("ticket.created", "7", "every time")
    # A rule whose JSON was written by hand.
    for by_key in ({"key": "SUP-7"}, "SUP-7"):
        found = one("jira", {"issue": by_key, "comment": {"body": "only words"}})
        assert (found.kind, found.thread, found.text) == ("ticket.commented", "SUP-7", "only words")


def test_githubs_subject_and_login_are_found() -> None:
    payload = {
        "action": "created",
        "comment": {"id": 2, "body": "Works *again*", "user": {"login": "ana"}},
        "issue": {"id": 1, "title": "Crash of `export`"},
        "sender": {"login": "ana"},
    }
    found = one("github", payload, {"x-github-event": "issue_comment"})
    assert (found.subject, found.sender.name, found.thread, found.message_id) == (
        "Crash of `export`",
        "ana",
        "1",
        "2",
    )
    assert told("github", found)["subject"] == "Crash of export"
    gone = one("github", {**payload, "action": "deleted"}, {"x-github-event": "issue_comment"})
    assert (gone.kind, gone.message_id) == ("message.deleted", "2")


def test_the_newest_of_a_tickets_messages_is_what_was_said() -> None:
    messages = [
        {
            "id": 2,
            "body_text": "Is it here?",
            "created_datetime": "2026-03-04T06:00:00Z",
            "sender": {"name": "Kim"},
        },
        {
            "id": 1,
            "body_text": "Hello",
            "created_datetime": "2026-03-04T05:00:00Z",
            "sender": {"name": "Sam"},
        },
    ]
    found = one("gorgias", {"ticket": {"id": 7, "customer": {"name": "Lee"}, "messages": messages}})
    assert (found.text, found.sender.name, found.message_id, found.thread) == ("Is it here?", "Kim", "2", "7")
    messages[0]["public"] = False
    # Of the older one nothing says that it is public.
    assert parse("gorgias", {"ticket": {"id": 7, "messages": messages}}) == [Skipped("private")]
    messages[1]["public"] = True
    older = one("gorgias", {"message_id": 2, "ticket": {"id": 7, "messages": messages}})
    assert (older.text, older.message_id, older.time) == ("Hello", "1", "2026-03-04T05:00:00.000Z")


@pytest.mark.parametrize("name", ["thread", "conversation", "ticket", "case"])
def test_a_thread_may_be_named_by_its_id_alone(name: str) -> None:
    found = one("generic", {"id": "m-1", name: "T-7", "text": "hello"})
    assert found.thread == "T-7"
    # Words are no id.
    assert one("generic", {"id": "m-1", name: "about the export", "text": "hello"}).thread == "m-1"


@pytest.mark.parametrize("name", ["plain", "kustomer", "linear", "unthread", "zoho_desk"])
def test_an_event_without_its_type_is_not_taken_for_one_that_nobody_wants(name: str) -> None:
    body = orjson.dumps({"message": {"text": "The export fails since this morning"}})
    if name == "zoho_desk":
        body = b"[" + body + b"]"
    try:
        found = build(name).parse(Inbound(body, {}), now_s=NOW_S)
    except PayloadInvalid:
        return  # what the door parks, since it holds words
    assert [type(parsed) for parsed in found] == [Parked]
