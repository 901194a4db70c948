"""The door of a config with several lanes: an event is written where its rule, or its source, says, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from relay.errors import MappingFailed
from relay.operations.context import WebContext
from relay.operations.remap import Remapper, read_stored
from relay.outbox.archive import unpack
from tests.door.opened import Opened, opened

CONFIG = """
lanes:
  emea: {url: "http://127.0.0.1:1", token: token-of-emea, types: [Note card]}
  us: {url: "http://127.0.0.1:2", token: token-of-us, types: [Note card]}
sources:
  feed: {adapter: cloudevents, unauthenticated: true, type: Note card}
  other: {adapter: cloudevents, unauthenticated: true, type: Note card, lane: us}
companies: [{default: extid-acme}]
rules:
  - name: over-there
    source: feed
    when: "'us' in event.text"
    lane: us
    conversation: {type: Note card, externalId: "us-{{ event.message_id }}", description: "{{ event.text }}"}
  - name: fails
    source: feed
    when: "'fail' in event.text"
    lane: us
    conversation: {type: Note card, externalId: "{{ event.ticket.id }}", description: "{{ event.text }}"}
  - name: here
    source: feed
    conversation: {type: Note card, externalId: "emea-{{ event.message_id }}", description: "{{ event.text }}"}
"""


@pytest.fixture
def door(redis_url: str, tmp_path: Path) -> Iterator[Opened]:
    with opened(redis_url, tmp_path, config=CONFIG) as door:
        yield door


def post(door: Opened, *texts: str, source: str = "feed") -> httpx.Response:
    events = [
        {"specversion": "1.0", "id": text, "source": "/tests", "type": "said", "data": {"text": text}}
        for text in texts
    ]
    return door.http.post(
        f"/hooks/{source}",
        content=json.dumps(events),
        headers={"content-type": "application/cloudevents-batch+json"},
    )


def books(door: Opened) -> dict[str, dict[str, dict[str, int]]]:
    """lane -> source -> what is not 0."""
    return {
        lane.name: {
            name: {word: number for word, number in counts.items() if number}
            for name, counts in lane.outbox.ledger().items()
        }
        for lane in door.side.lanes
    }


def test_a_request_for_two_lanes_is_written_in_both(door: Opened) -> None:
    answer = post(door, "a", "for us", "b", "us too", "fail")
    assert answer.status_code == 202 and len(answer.json()["event_ids"]) == 5
    written = {
        "emea": {"feed": {"accepted": 2, "pending": 2}},
        "us": {"feed": {"accepted": 3, "pending": 2, "dead": 1}},
    }
    assert books(door) == written
    assert post(door, "a", "for us", "b", "us too", "fail").json()["status"] == "duplicate"
    found = books(door)
    assert found["emea"]["feed"].pop("duplicate") == 2 and found["us"]["feed"].pop("duplicate") == 3
    assert found == written
    first, moved, second, moved_too, _ = answer.json()["event_ids"]
    emea, us = door.side.lanes
    archived = {
        event_id: unpack((lane.outbox.events.get(event_id) or ("", 0, b""))[2])
        for lane, event_id in ((emea, first), (emea, second), (us, moved), (us, moved_too))
    }
    assert archived[first].body == archived[moved].body != b"", "once in each lane"
    assert archived[second].facts["raw_of"] == first and archived[moved_too].facts["raw_of"] == moved
    assert post(door, "by its source", source="other").status_code == 202
    assert books(door)["us"]["other"] == {"accepted": 1, "pending": 1}


def test_where_one_lane_takes_nothing_the_sender_comes_again(door: Opened) -> None:
    _, us = door.side.lanes
    us.recorder.refusal = "it is another relay's"
    assert post(door, "a", "for us").status_code == 503
    assert post(door, "b").status_code == 202, "its own lane is well"
    us.recorder.refusal = ""
    assert post(door, "a", "for us").json()["status"] == "accepted"
    found = books(door)
    found["emea"]["feed"].pop("rejected", None)
    assert found["emea"]["feed"] == {"accepted": 2, "pending": 2, "duplicate": 1}
    assert found["us"]["feed"] == {"accepted": 1, "pending": 1}


def test_what_was_accepted_for_one_tenant_is_never_sent_to_another(door: Opened) -> None:
    [event_id] = post(door, "a").json()["event_ids"]
    [moved] = post(door, "for us").json()["event_ids"]
    door.file.write_text(CONFIG.replace("'us' in event.text", "'a' in event.text"))
    assert door.side.reload_if_changed()
    for lane, its in zip(door.side.lanes, (event_id, moved), strict=True):
        context = WebContext(lane.outbox, lane.delivery, door.side.settings, lambda: door.side.house)
        [stored] = read_stored(context, [its])
        assert stored is not None
        with pytest.raises(MappingFailed, match=f"it was accepted for lane '{lane.name}'"):
            Remapper(context, 0).map(stored)


def test_metrics_and_readiness_are_told_by_lane(door: Opened) -> None:
    post(door, "a", "for us")
    text = door.side.health.exposition().decode()
    for lane in ("emea", "us"):
        assert f'relay_pending_items{{lane="{lane}",source="feed"}} 1' in text
        assert f'relay_events_total{{lane="{lane}",source="feed",state="accepted"}} 1' in text
    told = door.http.get("/readyz")
    assert told.status_code == 200 and told.json()["lanes"] == {"emea": "", "us": ""}
