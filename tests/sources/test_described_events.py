"""Senders that a table describes: what their events become, and what is skipped. Payloads are made by hand from the
documented shapes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relay.event import Channel, Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parked, Skipped
from relay.sources.described.table import PRESETS
from relay.sources.registry import ADAPTERS, build_adapter
from tests.places import PAYLOADS

NOW_S = 1_772_600_800.0


def payload(place: str) -> bytes:
    return (PAYLOADS / f"{place}.json").read_bytes()


def read(place: str, **more: Any) -> list[Any]:
    name = place.partition("/")[0]
    return build_adapter(SourceOptions(name="it", adapter=name, unauthenticated=True, **more)).parse(
        Inbound(payload(place), {"content-type": "application/json"}), now_s=NOW_S
    )


def one(place: str, **more: Any) -> Event:
    (found,) = read(place, **more)
    assert isinstance(found, Event), found
    return found


#: file -> kind, thread, text, sender's address, and what else is told of it.
EVENTS: dict[str, tuple[str, str, str, str, dict[str, Any]]] = {
    "pylon/message": (
        "ticket.commented", "iss_1", "The export fails since this morning.", "ana@example.com",
        {"message_id": "msg_1", "subject": "Export fails", "tags": ("export",)},
    ),
    "pylon/closed": ("ticket.solved", "iss_1", "", "", {}),
    "plain/email_received": (
        "ticket.commented", "th_1", "The export fails.", "ana@example.com",
        {"message_id": "t_1", "html": "<p>The export <strong>fails</strong>.</p>"},
    ),
    "plain/chat_sent": ("ticket.commented", "th_1", "We look at it.", "", {"subject": "Export fails"}),
    "plain/slack_received": (
        "ticket.commented", "th_1", "@Sam still down", "", {"url": "https://example.slack.com/archives/C1/p1"},
    ),
    "plain/slack_edited": ("message.updated", "th_1", "it is up again", "", {"message_id": "t_3"}),
    "plain/slack_deleted": ("message.deleted", "th_1", "", "", {"message_id": "t_3"}),
    "plain/teams_received": ("ticket.commented", "th_1", "See the picture.", "ana@example.com", {}),
    "plain/done": ("ticket.solved", "th_1", "", "", {}),
    "unthread/message": ("ticket.commented", "conv-1", "The export fails since this morning.", "", {"message_id": "m-1"}),
    "unthread/created": ("ticket.updated", "conv-1", "", "", {"subject": "Export fails"}),
    "unthread/closed": ("ticket.solved", "conv-1", "", "", {}),
    "unthread/deleted": ("message.deleted", "conv-1", "", "", {"message_id": "conv-1"}),
    "fathom/meeting": (
        "call.ended", "123456789",
        "Summary\nThe customer wants to add a second team in May.\nA first topic\nA second topic\nAction items\n"
        "Send the offer (Sam Support)",
        "sam@example.org", {"subject": "Quarterly review", "url": "https://fathom.video/share/abc"},
    ),
    "fathom/transcript": (
        "call.ended", "123456790", "Ana Example: Can we add a team?\nSam Support: Yes, in May.", "sam@example.org", {},
    ),
    "fireflies/transcribed": ("call.ended", "ASxwZxCstx", "", "", {"url": "https://app.fireflies.ai/view/ASxwZxCstx"}),
    "fireflies/summarized": ("call.ended", "ASxwZxCstx", "", "", {"message_id": "ASxwZxCstx"}),
    "fireflies/first_version": ("call.ended", "ASxwZxCstx", "", "", {"label": "Meeting ASxwZxCstx"}),
    "linear/comment": ("ticket.commented", "issue-1", "Same here, see the log.", "ana@example.com", {"subject": "Export fails"}),
    "linear/comment_edited": ("message.updated", "issue-1", "It works again.", "ana@example.com", {"message_id": "comment-1"}),
    "linear/comment_removed": ("message.deleted", "issue-1", "", "ana@example.com", {"message_id": "comment-1"}),
    "linear/issue": ("ticket.created", "issue-1", "The export fails since this morning.", "ana@example.com", {"tags": ("Bug",)}),
    "linear/issue_done": ("ticket.solved", "issue-1", "", "", {}),
    "linear/issue_described": ("message.updated", "issue-1", "It fails for everybody.", "ana@example.com", {"message_id": "issue-1"}),
    "linear/request": ("ticket.commented", "issue-1", "They need it by May.", "ana@example.com", {}),
    "zoho_desk/thread": ("ticket.commented", "80001", "The export fails.", "ana@example.com", {"message_id": "90001"}),
    "zoho_desk/comment": ("ticket.commented", "80001", "We look at it.", "sam@example.org", {}),
    "zoho_desk/ticket": (
        # The opening is its first thread: told by both, it stands once.
        "ticket.created", "80001", "The export fails.", "ana@example.com", {"message_id": "90001", "subject": "Export fails"},
    ),
    "zoho_desk/closed": ("ticket.solved", "80001", "", "", {}),
    "zoho_desk/deleted": ("message.deleted", "80001", "", "", {"message_id": "80001"}),
    "dialpad/hangup": (
        "call.ended", "call-5000", "Inbound call with Ana Example and Sam Support (5 min)", "ana@example.com", {},
    ),
    "dialpad/recap": ("call.ended", "call-5000", "The customer wants a second team in May.", "ana@example.com", {}),
    "dialpad/missed": (
        "call.ended", "call-5002", "Inbound call with Ana Example and Sam Support (not answered)", "ana@example.com", {},
    ),
    "dialpad/voicemail": ("call.ended", "call-5003", "Voicemail\nPlease call me back about the export.", "ana@example.com", {}),
    "dialpad/sms": ("message.created", "sms-+15550101-+15550100", "The export fails again", "", {}),
    "dialpad/sms_picture": ("message.created", "sms-+15550101-+15550100", "", "", {}),
    "ringcentral/sms": ("message.created", "7001", "The export fails again", "", {"message_id": "4001"}),
    "ringcentral/voicemail": ("message.created", "+15550101-101", "Voicemail", "", {}),
    "ringcentral/call_over": (
        "call.ended", "s-9001", "Inbound call from Ana Example (+15550101) to Sam Support (+15550100)", "", {},
    ),
    "ringcentral/post": ("message.created", "6500", "Is the export up again?", "", {}),
    "ringcentral/post_removed": ("message.deleted", "6500", "", "", {"message_id": "6001"}),
    "whatsapp/text": ("message.created", "PN-1-15550101", "The export *fails* again", "", {"message_id": "wamid.1"}),
    "whatsapp/username": ("message.created", "PN-1-SE.15550101", "The export *fails* again", "", {}),
    "whatsapp/no_number": ("message.created", "PN-1-SE.15550101", "The export *fails* again", "", {}),
    "whatsapp/echo": ("message.created", "PN-1-15550101", "We look at it", "", {}),
    "whatsapp/revoked": ("message.deleted", "PN-1-15550101", "", "", {"message_id": "wamid.1"}),
    "whatsapp/edited": ("message.updated", "PN-1-15550101", "The export works again", "", {"message_id": "wamid.1"}),
    "whatsapp/unsupported": ("message.created", "PN-1-15550101", "(Message type unknown)", "", {}),
    "whatsapp/from_an_ad": ("message.created", "PN-1-15550101", "Is this still on?\nSecond team for half\nOnly in May", "", {}),
    "google_chat/message": ("message.created", "spaces/AAAA/threads/t1", "can you look at the renewal?", "ana@example.com", {}),
    "google_chat/direct": ("message.created", "spaces/DDDD", "hello there", "ana@example.com", {}),
    "google_chat/addon": ("message.created", "spaces/AAAA/threads/t1", "can you look at the renewal?", "ana@example.com", {}),
    "google_chat/forwarded": (
        "message.created", "spaces/AAAA/threads/t1", "see below\nKim Example:\n> The export fails.\n> Since Monday.", "ana@example.com", {},
    ),
    "google_chat/forwarded_addon": (
        "message.created", "spaces/AAAA/threads/t1", "Forwarded:\n> The export fails.\n> Since Monday.", "ana@example.com", {},
    ),
    "google_chat/gif": ("message.created", "spaces/AAAA/threads/t1", "", "ana@example.com", {}),
    "typeform/answers": (
        "message.created", "tok-1",
        "What could be better? The export.\nAnd the import.\nWhich teams use it? Sales, Support, Field service\n"
        "Would you tell others? no\nHow likely? 8\nA screenshot? screen.png\n"
        "Who are you? Ana, Example, ana@example.com, Acme\nana@example.com\nDaily\nScore: 9",
        "ana@example.com", {"subject": "How was the onboarding?"},
    ),
    "delighted/response": ("message.created", "5435", "Score: 9\nYour support is quick.", "ana@example.com", {"tags": ("happy",)}),
    "delighted/more_answers": (
        "message.created", "5435",
        "Score: 9\nYour support is quick.\nWhat do you miss? A second team\nHow easy was it? 4", "ana@example.com", {},
    ),
    "delighted/score_alone": ("message.created", "5435", "Score: 3", "ana@example.com", {}),
    "missive/message": ("ticket.commented", "mconv-1", "The export fails since this morning.", "ana@example.com", {}),
    "missive/latest": ("ticket.commented", "mconv-1", "The export fails since", "ana@example.com", {}),
    "missive/state": ("ticket.updated", "mconv-1", "", "", {"subject": "Export fails"}),
    "discourse/chat": ("message.created", "chat-3", "The export fails.", "", {"channel": Channel("3", "Support"), "message_id": "chat-91"}),
    "discourse/chat_thread": ("message.created", "chat-3-8", "The export fails.", "", {"message_id": "chat-92"}),
    "discourse/chat_edited": ("message.updated", "chat-3", "The export works.", "", {"message_id": "chat-91"}),
    "discourse/chat_trashed": ("message.deleted", "chat-3", "", "", {"message_id": "chat-91"}),
    "discourse/post": ("message.created", "12", "The export fails.", "", {"message_id": "31", "subject": "Export fails"}),
    "discourse/post_edited": ("message.created", "12", "It works again.", "", {"message_id": "31"}),
    "discourse/post_destroyed": ("message.deleted", "12", "", "", {"message_id": "31"}),
    "discourse/topic": ("ticket.updated", "12", "", "", {"tags": ("export",)}),
    "kustomer/message_in": ("ticket.commented", "kconv1", "The export fails since this morning.", "ana@example.com", {}),
    "kustomer/message_out": ("ticket.commented", "kconv1", "We look at it.", "help@example.org", {}),
    "kustomer/conversation": ("ticket.updated", "kconv1", "", "", {"subject": "Export fails"}),
    "kustomer/done": ("ticket.solved", "kconv1", "", "", {}),
    "groove/customer_replied": ("ticket.commented", "440", "The export fails since this morning.", "ana@example.com", {}),
    "groove/agent_replied": ("ticket.commented", "440", "We look at it.", "sam@example.org", {}),
    "groove/ticket_started": ("ticket.created", "440", "The export fails.", "ana@example.com", {"message_id": "opening-440"}),
    "groove/ticket_closed": ("ticket.solved", "440", "", "", {}),
    "livechat/message": ("message.created", "TH1", "The export fails since this morning.", "", {"message_id": "TH1_1"}),
    "livechat/file": ("message.created", "TH1", "", "", {}),
    "livechat/rich": ("message.created", "TH1", "Second team\nFrom May on\n[Order it]", "sam@example.org", {}),
    "livechat/form": ("message.created", "TH1", "Your name: Ana Example\nTopic: Billing matters", "", {}),
    "pipedrive/note": ("ticket.commented", "deal-12", "They want to add a second team in May.", "", {"message_id": "note-55"}),
    "pipedrive/note_changed": ("message.updated", "deal-12", "In June.", "", {"message_id": "note-55"}),
    "pipedrive/note_deleted": ("message.deleted", "deal-12", "", "", {"message_id": "note-55"}),
    "pipedrive/note_of_person": ("ticket.commented", "person-9", "They want to add a second team in May.", "", {}),
    "pipedrive/deal": ("ticket.updated", "deal-12", "", "", {"subject": "Renewal"}),
    "pipedrive/deal_won": ("ticket.solved", "deal-12", "", "", {}),
    "pipedrive/first_version": ("ticket.commented", "deal-12", "Called them about the renewal.", "sam@example.org", {}),
    "productboard/created": ("ticket.created", "note-1", "", "", {"label": "Note note-1"}),
    "productboard/updated": ("message.updated", "note-1", "", "", {}),
    "productboard/deleted": ("message.deleted", "note-1", "", "", {}),
}  # fmt: skip


@pytest.mark.parametrize("place", sorted(EVENTS))
def test_an_event_says_who_said_what_and_where(place: str) -> None:
    kind, thread, text, email, more = EVENTS[place]
    event = one(place)
    assert (event.kind, event.thread, event.text, event.sender.email) == (kind, thread, text, email)
    for key, value in more.items():
        assert getattr(event, key) == value, key


SKIPPED: dict[str, str] = {
    "pylon/internal": "private",
    "plain/note": "private",
    "plain/customer": "type",
    "plain/slack_reaction": "type",
    "unthread/triage": "private",
    "unthread/autoresponse": "bot",
    "unthread/verification": "handshake",
    "linear/comment_by_program": "bot",
    "linear/label": "type",
    "zoho_desk/comment_private": "private",
    "zoho_desk/contact": "type",
    "dialpad/ringing": "type",
    "ringcentral/call_ringing": "type",
    "ringcentral/counts": "thin",
    "whatsapp/statuses": "status",
    "whatsapp/system": "type",
    "whatsapp/template_status": "type",
    "google_chat/added": "type",
    "typeform/partial": "partial",
    "delighted/unsubscribed": "type",
    "missive/comment": "private",
    "discourse/private": "private",
    "discourse/whisper": "private",
    "discourse/small_action": "type",
    "discourse/system": "bot",
    "discourse/ping": "handshake",
    "discourse/chat_direct": "private",
    "discourse/chat_hook": "bot",
    "kustomer/automatic": "bot",
    "kustomer/note": "private",
    "kustomer/customer": "type",
    "groove/note_added": "private",
    "livechat/whispered": "private",
    "livechat/system": "type",
    "livechat/over": "type",
    "pipedrive/person": "type",
    "productboard/feature": "type",
}


@pytest.mark.parametrize("place", sorted(SKIPPED))
def test_what_is_not_for_the_customer_is_skipped_and_kept_on_request(place: str) -> None:
    assert read(place) == [Skipped(SKIPPED[place])]
    kept = {"private": "private", "bot": "bots"}.get(SKIPPED[place])
    if kept:
        event = one(place, keep=frozenset({kept}))
        assert event.text


SEVERAL = {"zoho_desk/several", "whatsapp/media", "whatsapp/places", "whatsapp/answers", "livechat/chat"}


def test_every_payload_is_looked_at() -> None:
    files = {f"{name}/{path.stem}" for name in PRESETS for path in (PAYLOADS / name).glob("*.json")}
    assert files == EVENTS.keys() | SKIPPED.keys() | SEVERAL
    assert PRESETS.keys() == {name for name, place in ADAPTERS.items() if name in PRESETS}


def test_one_bad_event_of_a_batch_costs_the_others_nothing() -> None:
    found = read("zoho_desk/several")
    assert [type(item) for item in found] == [Event, Parked, Parked]


def test_a_whatsapp_message_of_any_type_has_words_or_a_file() -> None:
    found = [event for place in ("media", "places", "answers") for event in read(f"whatsapp/{place}")]
    assert [event.text for event in found] == [
        "the invoice",
        "",
        "",
        "Location: Office, Main street 1 (59.33, 18.06)",
        "Location: -1, 2.5",
        "Contact: Kim Example, +1 555 0102, kim@example.com",
        "Second team\nfrom May",
        "Call me",
        "Yes, please",
        "Reaction: 👍",
        "as last year\n2 × SKU-1",
    ]
    assert [file.name for event in found for file in event.attachments] == ["invoice.pdf", "image", "audio"]
    assert {event.sender.name for event in found} == {"Ana Example"}
    assert not any(event.empty for event in found)


def test_a_whatsapp_person_whose_number_is_not_shown_has_an_id_and_a_name() -> None:
    """Meta leaves the number out where somebody has a username. Source: Meta, "Business-scoped user IDs"."""
    for place in ("username", "no_number"):
        sender = one(f"whatsapp/{place}").sender
        assert (sender.id, sender.name) == ("SE.15550101", "ana.example")
    unknown = orjson.loads(payload("whatsapp/no_number"))
    unknown["entry"][0]["changes"][0]["value"]["contacts"] = []
    adapter = build_adapter(SourceOptions("it", "whatsapp", unauthenticated=True))
    (parked,) = adapter.parse(Inbound(orjson.dumps(unknown), {}), now_s=NOW_S)
    assert isinstance(parked, Parked) and "from" in parked.cause


def test_what_was_said_before_a_chat_began_comes_with_it() -> None:
    form, message = read("livechat/chat")
    assert (form.text, message.text) == ("Your address: ana@example.com", "Hello there")
    assert message.sender.email == "ana@example.com"
    # Told once more as an event of its own, it is the same.
    held = orjson.loads(payload("livechat/message"))
    held["payload"]["event"] = orjson.loads(payload("livechat/chat"))["payload"]["chat"]["thread"]["events"][
        1
    ]
    (again,) = build_adapter(SourceOptions("it", "livechat", unauthenticated=True)).parse(
        Inbound(orjson.dumps(held), {}), now_s=NOW_S
    )
    assert isinstance(again, Event)
    assert again.id == message.id


def test_files_have_their_name_type_size_and_address() -> None:
    for place, wanted in {
        "plain/email_received": ("export.csv", "text/csv", 812, ""),
        "unthread/message": ("log.txt", "text/plain", 812, "https://files.example.com/F1"),
        "google_chat/message": (
            "plan.pdf", "application/pdf", None, "https://chat.google.com/api/get_attachment_url?x=1",
        ),
        "google_chat/forwarded": (
            "log.txt", "text/plain", None, "https://chat.google.com/api/get_attachment_url?x=9",
        ),
        "google_chat/gif": ("wave.gif", "", None, "https://media.example.com/wave.gif"),
        "discourse/chat": ("log.txt", "", 812, "https://forum.example.com/uploads/log.txt"),
        "ringcentral/post": ("log.txt", "File", None, "https://files.example.com/log.txt"),
        "dialpad/voicemail": ("voicemail", "", None, "https://dialpad.com/v/1"),
        "dialpad/sms_picture": ("mms", "", None, "https://dialpad.com/mms/1.jpg"),
        "livechat/file": ("log.txt", "text/plain", 812, "https://cdn.livechat-static.com/log.txt"),
    }.items():  # fmt: skip
        (file,) = one(place).attachments
        assert (file.name, file.type, file.size, file.url) == wanted, place


def test_a_voicemail_is_one_however_ringcentral_writes_it() -> None:
    adapter = build_adapter(SourceOptions("it", "ringcentral", unauthenticated=True))
    body = orjson.loads(payload("ringcentral/voicemail"))
    body["body"] |= {"type": "Voicemail", "subject": "Please call me back."}
    (found,) = adapter.parse(Inbound(orjson.dumps(body), {}), now_s=NOW_S)
    assert isinstance(found, Event)
    assert found.text == "Voicemail\nPlease call me back."
    assert [file.name for file in found.attachments] == ["voicemail"]


def test_the_text_of_a_text_message_is_no_file_of_it() -> None:
    adapter = build_adapter(SourceOptions("it", "ringcentral", unauthenticated=True))
    body = orjson.loads(payload("ringcentral/sms"))
    said = {"id": "0", "type": "Text", "contentType": "text/plain", "uri": "https://media.ringcentral.com/0"}
    body["body"]["attachments"].insert(0, said)
    (found,) = adapter.parse(Inbound(orjson.dumps(body), {}), now_s=NOW_S)
    assert isinstance(found, Event)
    assert [(file.type, file.url) for file in found.attachments] == [
        ("image/png", "https://media.ringcentral.com/1")
    ]


def test_what_an_answer_in_google_chat_quotes_stands_in_the_conversation_already() -> None:
    body = orjson.loads(payload("google_chat/forwarded"))
    body["message"]["quotedMessageMetadata"]["quoteType"] = "REPLY"
    adapter = build_adapter(SourceOptions("it", "google_chat", unauthenticated=True))
    (answer,) = adapter.parse(Inbound(orjson.dumps(body), {}), now_s=NOW_S)
    assert isinstance(answer, Event)
    assert answer.text == "see below"


def test_where_a_colleague_wrote_the_customer_is_named_beside() -> None:
    for place in ("plain/chat_sent", "kustomer/message_out", "groove/agent_replied"):
        assert [person.email for person in one(place).recipients] == ["ana@example.com"], place
    assert {person.role for person in one("fathom/meeting").recipients} == {"internal", "external"}


def test_a_stranger_in_a_thread_does_not_get_the_customers_name() -> None:
    stranger = one("plain/slack_received")
    assert (stranger.sender.id, stranger.sender.name) == ("c_2", "")


def test_a_template_that_breaks_its_json_is_kept() -> None:
    adapter = build_adapter(SourceOptions("it", "pylon", unauthenticated=True))
    (parked,) = adapter.parse(Inbound(b'{"issue_id": "1", "title": "say "no""}', {}), now_s=NOW_S)
    assert isinstance(parked, Parked)
