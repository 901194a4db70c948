"""A letter whose raw request could not be read: mended as a whole, read again, and replayed; what cannot help is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from relay.door.house import furnish
from relay.door.intake import Intake
from relay.operations.dead.edit import edit_dead
from relay.operations.dead.look import list_dead, show_dead
from relay.operations.dead.replay import replay_dead
from relay.operations.selection import InputInvalid, Selection
from relay.rules.file.load import load
from relay.sources.base import Inbound
from tests.operating import NOON, Nowhere, Shop

CONFIG = """\
planhat: {types: [Help-desk ticket]}
sources:
  desk: {adapter: zendesk, unauthenticated: true, type: Help-desk ticket}
  calls: {adapter: zoom, unauthenticated: true, type: Help-desk ticket}
companies: [{default: extid-acme}]
"""
#: A quotation mark in a text: where the string ends is a guess.
BROKEN = '{"ticket_id": "7", "title": "the "blue" key", "latest_public_comment": "It is lost."}'
MENDED = BROKEN.replace('the "blue" key', "the 'blue' key")


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    shop = Shop(redis_client, tmp_path)
    file = tmp_path / "desk.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    shop.house = furnish(*load(str(file), {}))
    return shop


def park(shop: Shop, source: str, body: str) -> str:
    """The id of the dead letter that the request becomes."""
    intake = Intake(house=shop.house, records=Nowhere())
    inbound = Inbound(body.encode(), {"content-type": "application/json"}, path_query=f"/hooks/{source}")
    entries, _ = intake.map(shop.source(source), inbound, now_s=NOON / 1000)
    assert [entry.verdict for entry in entries] == ["dead"]
    shop.outbox.record(entries, now_ms=NOON)
    [item] = list_dead(shop.outbox, Selection(source=source))["items"]
    return str(item["id"])


def test_a_broken_template_is_mended_and_delivered(shop: Shop) -> None:
    dead_id = park(shop, "desk", BROKEN)
    assert "placeholders are not escaped" in show_dead(shop.context, dead_id)["event_unreadable"]

    shown = edit_dead(shop.context, dead_id, raw=MENDED, by="ann", now_ms=NOON + 1)

    assert shown["event"]["text"] == "It is lost."
    assert shown["event"]["subject"] == "the 'blue' key"
    assert shown["raw"]["body"] == BROKEN, "the raw event stays as it came"
    assert [(edit["what"], edit["by"]) for edit in shown["edits"]] == [("raw", "ann")]
    done = replay_dead(shop.context, Selection(ids=(dead_id,)), by="ann", now_ms=NOON + 2)
    assert (done["replayed"], done["failed"]) == (1, 0)
    assert shop.counts("desk") == {"accepted": 1, "pending": 1}
    [pending] = shop.outbox.waiting_patches("desk-7")
    assert b"It is lost." in pending.patch


def test_fields_of_a_mended_request_can_be_edited_too(shop: Shop) -> None:
    dead_id = park(shop, "desk", BROKEN)
    edit_dead(shop.context, dead_id, raw=MENDED, by="ann")
    shown = edit_dead(
        shop.context, dead_id, payload={"title": "The key"}, fields={"custom.Status": "new"}, by="bo"
    )
    assert shown["event"]["subject"] == "The key"
    again = edit_dead(shop.context, dead_id, raw=MENDED.replace("lost", "found"), by="ann")
    assert (again["event"]["subject"], again["event"]["text"]) == ("the 'blue' key", "It is found.")


@pytest.mark.parametrize(
    "raw",
    [
        BROKEN.replace("lost", "gone"),
        '{"title": "no ticket"}',
        "{}",
        '{"ticket_id": 7, "note": "x", "private": true}',
    ],
)
def test_a_mended_request_that_still_gives_no_event_is_refused(shop: Shop, raw: str) -> None:
    dead_id = park(shop, "desk", BROKEN)
    with pytest.raises(InputInvalid, match="would not help"):
        edit_dead(shop.context, dead_id, raw=raw, by="ann")
    assert show_dead(shop.context, dead_id)["edits"] == []


def test_an_edit_of_fields_cannot_help_where_the_request_is_unreadable(shop: Shop) -> None:
    dead_id = park(shop, "desk", BROKEN)
    for edit in ({"fields": {"subject": "x"}}, {"company": "extid-b"}):
        with pytest.raises(InputInvalid, match=r"edit the raw request"):
            edit_dead(shop.context, dead_id, by="ann", **edit)


def test_an_unknown_shape_with_words_is_kept_and_can_be_mended(shop: Shop) -> None:
    body = '{"event": "phone.sms_received", "event_ts": 1, "payload": {"object": {"message": "Call me"}}}'
    dead_id = park(shop, "calls", body)
    shown = edit_dead(
        shop.context,
        dead_id,
        raw=body.replace('"message"', '"session_id": "s", "message_id": "m", "message"'),
        by="ann",
    )
    assert (shown["event"]["text"], shown["event"]["thread"]) == ("Call me", "s")
