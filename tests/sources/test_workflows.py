"""What a Power Automate workflow posts for Teams: who may, and what becomes of each message."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound, Skipped
from relay.sources.registry import build_adapter
from tests.places import PAYLOADS

NOW_S = 1_772_600_800.0
SECRET = "MDEyMzQ1Njc4OWFiY2RlZg=="


def teams(**more: Any) -> Adapter:
    return build_adapter(SourceOptions(name="it", adapter="teams", secrets=lambda: (SECRET,), **more))


def parse(name: str, **more: Any) -> list[Any]:
    body = (PAYLOADS / "teams" / f"{name}.json").read_bytes()
    return teams(**more).parse(Inbound(body, {"content-type": "application/json"}), now_s=NOW_S)


def one(name: str, **more: Any) -> Event:
    (found,) = parse(name, **more)
    assert isinstance(found, Event), found
    return found


def accepts(**given: Any) -> bool:
    try:
        teams().verify(Inbound(b"{}", given.get("headers", {}), query=given.get("query", {})), now_s=NOW_S)
    except NotAuthentic:
        return False
    return True


def test_a_workflow_carries_the_secret_since_it_signs_nothing() -> None:
    assert accepts(headers={"x-webhook-token": SECRET})
    assert accepts(query={"token": SECRET})
    for given in (
        {},
        {"headers": {"x-webhook-token": SECRET[:-1]}},
        {"headers": {"x-webhook-token": ""}},
        {"query": {"token": "other"}},
        # A signature that does not hold is not mended by a token.
        {"headers": {"authorization": "HMAC AAAA", "x-webhook-token": SECRET}},
    ):
        assert not accepts(**given)


def test_a_post_its_answer_and_its_edit_are_one_thread() -> None:
    post, reply, edited = one("workflow_post"), one("workflow_reply"), one("workflow_edited")
    # An outgoing webhook of the same channel names the same thread.
    assert {event.thread for event in (post, reply, edited)} == {
        "19:room@thread.tacv2;messageid=1772600400123"
    }
    assert (post.kind, post.subject, post.text) == (
        "message.created",
        "Export fails",
        "The export fails since this morning 😢",
    )
    assert [(file.name, file.type) for file in post.attachments] == [("log.txt", "txt")]
    assert (reply.kind, reply.message_id) == ("message.created", "1772600460000")
    assert (edited.kind, edited.message_id) == ("message.updated", post.message_id)
    assert len({event.id for event in (post, reply, edited)}) == 3
    gone = one("workflow_deleted")
    assert (gone.kind, gone.message_id, gone.text) == ("message.deleted", post.message_id, "")


def test_a_chat_is_its_own_thread() -> None:
    found = one("workflow_chat")
    assert (found.thread, found.text) == ("19:c@thread.v2", "The renewal is signed")


def test_cards_and_forwarded_messages_have_words() -> None:
    assert one("workflow_card").text == "Renewal at risk\nPlan\nBusiness"
    assert one("workflow_forward").text == "See below\nForwarded from Kim Example: Can we add a team?"


def test_what_nobody_said_is_skipped() -> None:
    assert parse("workflow_member_joined") == [Skipped("type")]
    assert parse("workflow_bot") == [Skipped("bot")]
    assert one("workflow_bot", keep=frozenset({"bots"})).sender.name == "Builder"


@pytest.mark.parametrize("body", [{"messageType": "message"}, {"body": {"content": "x"}}])
def test_a_message_without_an_id_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(PayloadInvalid):
        teams().parse(Inbound(orjson.dumps(body), {}), now_s=NOW_S)


def test_the_same_message_twice_is_one_event() -> None:
    assert one("workflow_post").id == one("workflow_post").id


def test_a_cards_words_and_a_files_address_stand_in_an_attachments_content() -> None:
    card = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": {"body": [{"text": "Approved."}]},
    }
    file = {
        "contentType": "application/vnd.microsoft.teams.file.download.info",
        "name": "plan.pdf",
        "content": {"downloadUrl": "https://files.example.com/plan.pdf", "fileType": "pdf"},
    }
    said = {
        "type": "message",
        "id": "1",
        "conversation": {"id": "c"},
        "text": "See",
        "attachments": [card, file],
    }
    (event,) = teams().parse(Inbound(orjson.dumps(said), {}), now_s=NOW_S)
    assert isinstance(event, Event)
    assert (event.text, event.html) == ("See\nApproved.", "See<p>Approved.</p>")
    assert [(one.name, one.type, one.url) for one in event.attachments] == [
        ("plan.pdf", "pdf", "https://files.example.com/plan.pdf")
    ]
