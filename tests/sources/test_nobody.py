"""Where nobody is named, nobody is shown: neither a placeholder of the sender's nor a word of our own."""

from __future__ import annotations

import orjson
import pytest

from relay.event import Event, Person, Recipient
from relay.nobody import is_nobody
from relay.sources.base import Inbound
from tests.sources.test_every_source import NOW_S, build
from tests.sources.words import book_of, conversations

PLACEHOLDERS = (
    *("Unknown", "unknown user", " UNKNOWN ", "Unknown Caller", "N/A", "null", "undefined", "None", "-", "?"),
    *("undefined undefined", "{{ticket.current_user.name}}", "${author}", "[object Object]", "(no name)"),
)
NAMES = (
    "Ana Unknown",
    "Noone Example",
    "Nan Example",
    "Ng",
    "Unknown Pleasures Ltd",
    "Null & Co",
    "O",
    "李",
    "Anonymous",
)


def test_a_placeholder_is_no_name_and_a_name_is_no_placeholder() -> None:
    assert [one for one in PLACEHOLDERS if not is_nobody(one)] == []
    assert [one for one in NAMES if is_nobody(one)] == []
    assert Person("7", "Unknown", "a@example.com") == Person("7", "", "a@example.com")
    assert Recipient("null", "a@example.com").name == ""


#: A message of each family of default rules, with room for the author's name.
TOLD = {
    "zendesk": '{"ticket_id": 7, "latest_public_comment": "It fails.", "current_user_name": "NAME"}',
    "freshdesk": '{"ticket_id": 7, "latest_public_comment": "It fails.", "comment_author": "NAME"}',
    "gorgias": '{"ticket": {"id": 7}, "message": {"id": 1, "public": true, "body_text": "It fails.", "sender": {"name": "NAME"}}}',
    "pylon": '{"issue_id": "7", "message_id": "1", "message": "It fails.", "author": "NAME"}',
    "whatsapp": '{"entry": [{"changes": [{"value": {"metadata": {"phone_number_id": "2"}, "contacts": [{"wa_id": "1", "profile": {"name": "NAME"}}], '
    '"messages": [{"id": "m", "from": "1", "type": "text", "text": {"body": "It fails."}}]}}]}]}',
    "postmark": '{"MessageID": "1", "From": "a@example.com", "FromFull": {"Email": "a@example.com", "Name": "NAME"}, "TextBody": "It fails."}',
}


@pytest.mark.parametrize("name", sorted(TOLD))
def test_an_entry_that_nobody_signed_names_nobody(name: str) -> None:
    for author in ("Unknown", "", "null"):
        body = TOLD[name].replace("NAME", author).encode()
        orjson.loads(body)
        (event,) = build(name).parse(Inbound(body, {"content-type": "application/json"}), now_s=NOW_S)
        assert isinstance(event, Event), event
        assert event.sender.name == ""
        (told,) = conversations([event], book_of(name))
        assert "It fails." in told["description"]
        assert "<strong></strong>" not in told["description"]
        assert not any(word in told["description"].lower() for word in ("unknown", "null"))
    named = build(name).parse(Inbound(TOLD[name].replace("NAME", "Ana").encode(), {}), now_s=NOW_S)
    assert (
        "<strong>Ana</strong>"
        in conversations([one for one in named if isinstance(one, Event)], book_of(name))[0]["description"]
    )


def test_intercom_who_is_an_id_alone_is_named_beside() -> None:
    known = {"type": "contact", "id": "u1", "name": "Ana Example", "email": "ana@example.com"}
    item = {"id": "55", "contacts": {"contacts": [known]}}
    rating = {"rating": 4, "remark": "Quick!", "contact": {"type": "contact", "id": "u1"}}
    part = {"id": "9", "part_type": "comment", "body": "Hello", "author": {"type": "user", "id": "u1"}}
    for topic, more in (
        ("conversation.rating.added", {"conversation_rating": rating}),
        ("conversation.user.replied", {"conversation_parts": {"conversation_parts": [part]}}),
    ):
        body = orjson.dumps({"topic": topic, "id": "n1", "data": {"item": {**item, **more}}})
        (event,) = build("intercom").parse(Inbound(body, {}), now_s=NOW_S)
        assert isinstance(event, Event)
        assert (event.sender.name, event.sender.email) == ("Ana Example", "ana@example.com")
