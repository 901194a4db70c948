"""HubSpot's notices of tickets: what each becomes, and which are none."""

from __future__ import annotations

from typing import Any

import pytest

from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parked, Skipped
from relay.sources.registry import build_adapter
from tests.places import PAYLOADS

NOW_S = 1_772_600_800.0
ADAPTER = build_adapter(
    SourceOptions(
        name="hs", adapter="hubspot", secrets=lambda: ("s",), public_url="https://hooks.example.com/hooks/hs"
    )
)


def parse(body: bytes) -> list[Any]:
    return ADAPTER.parse(Inbound(body, {"content-type": "application/json"}), now_s=NOW_S)


def read(name: str) -> list[Any]:
    return parse((PAYLOADS / "hubspot" / f"{name}.json").read_bytes())


def test_each_change_of_a_ticket_is_told() -> None:
    found = read("tickets")
    assert [one.kind if isinstance(one, Event) else one for one in found] == [
        "ticket.created",
        "ticket.updated",
        "message.updated",
        "ticket.updated",
        "ticket.updated",
        "ticket.updated",
        "ticket.solved",
        Skipped("type"),  # a property that says nothing to a customer
        Skipped("type"),  # a merge
        "ticket.created",  # restored
        "message.deleted",
    ]
    events = [one for one in found if isinstance(one, Event)]
    assert {one.thread for one in events} == {"ticket-8100"}
    created, subject, content, stage, priority, owner, closed, _, deleted = events
    assert (created.empty, subject.subject) == ("look_up", "Export fails")
    # The description is the ticket's opening: it stands in the creation's place.
    assert (content.text, content.message_id) == ("The export fails since this morning.", created.message_id)
    assert (stage.ticket.status, priority.ticket.priority, owner.ticket.assignee) == ("2", "HIGH", "77")
    assert closed.ticket.status == "4"
    # A ticket as a whole, which the default rules archive.
    assert deleted.message_id == deleted.thread
    assert len({one.id for one in events}) == len(events)
    assert {one.url for one in events} == {"https://app.hubspot.com/contacts/4000001/record/0-5/8100"}


def test_the_objects_of_other_types_are_skipped() -> None:
    created, closed, *others = read("object_tickets")
    assert (created.kind, created.thread) == ("ticket.created", "ticket-8100")
    assert closed.kind == "ticket.solved"
    assert others == [Skipped("type")] * 3


def test_of_two_changes_in_one_millisecond_the_deletion_is_the_newer() -> None:
    batch = b"""[{"subscriptionType": "ticket.deletion", "objectId": 1, "occurredAt": 1772600400000, "eventId": 1},
     {"subscriptionType": "ticket.creation", "objectId": 1, "occurredAt": 1772600400000, "eventId": 2}]"""
    deleted, created = parse(batch)
    assert created.version < deleted.version


@pytest.mark.parametrize("notice", ['"objectId": 1', '"occurredAt": 1772600400000'])
def test_a_notice_without_a_ticket_or_a_time_is_parked(notice: str) -> None:
    (found,) = parse(f'[{{"subscriptionType": "ticket.creation", {notice}}}]'.encode())
    assert isinstance(found, Parked)
