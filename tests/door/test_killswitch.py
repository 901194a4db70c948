"""The kill switch: what matches is counted as filtered at once, everywhere; it ends by itself, and a bad condition drops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from relay.door.killswitch import KillSwitch, condition_problem
from relay.errors import NotFound
from relay.operations.drops import begin_drop, end_drop, list_drops
from relay.operations.selection import InputInvalid
from relay.outbox.outbox import Outbox
from tests.web.test_hooks import Door, books, door, message
from tests.workers.test_workers import wait_until

pytestmark = pytest.mark.process

__all__ = ["door"]


def row(outbox: Outbox, **more: object) -> dict[str, object]:
    return {"id": "d1", "source": "", "where": "", "until_ms": outbox.now_ms() + 60_000, **more}


def test_what_matches_is_filtered_and_the_rest_goes_on(door: Door) -> None:
    door.side.outbox.add_drop(row(door.side.outbox, source="slack", where="'flood' in event.text"))
    door.side._look_for_drops()
    assert door.side.killswitch.armed
    assert door.slack(message(1, text="a flood of it")).json() == {"status": "ignored"}
    assert door.slack(message(2, text="calm")).json()["status"] == "accepted"
    counts = books(door)["slack"]
    assert (counts["accepted"], counts["filtered"], counts["pending"]) == (2, 1, 1)


def test_ending_it_lets_events_through_again(door: Door) -> None:
    door.side.outbox.add_drop(row(door.side.outbox))
    door.side._look_for_drops()
    assert door.slack(message(1)).json() == {"status": "ignored"}
    assert door.side.outbox.end_drop("d1")
    assert not door.side.outbox.end_drop("d1")
    door.side._look_for_drops()
    assert door.slack(message(2)).json()["status"] == "accepted"


def test_it_ends_by_itself(outbox: Outbox) -> None:
    outbox.add_drop(row(outbox, until_ms=outbox.now_ms() - 1))
    assert outbox.drops() == []


def test_a_drop_of_another_source_does_nothing(door: Door) -> None:
    door.side.outbox.add_drop(row(door.side.outbox, source="mail"))
    door.side._look_for_drops()
    assert door.slack(message(1)).json()["status"] == "accepted"


def test_a_condition_that_fails_or_does_not_compile_drops_nothing(door: Door) -> None:
    outbox = door.side.outbox
    outbox.add_drop(row(outbox, id="a", where="1 / 0"))
    outbox.add_drop(row(outbox, id="b", where="event.text =="))
    door.side._look_for_drops()
    assert door.slack(message(1)).json()["status"] == "accepted"


def test_a_redis_that_is_away_keeps_the_drops_known_last(door: Door, tmp_path: Path) -> None:
    side = door.side
    side.outbox.add_drop(row(side.outbox))
    side._look_for_drops()
    side.outbox.redis = redis.Redis(unix_socket_path=str(tmp_path / "nobody"))
    side._look_for_drops()
    assert side.killswitch.armed


def test_a_condition_says_what_is_wrong_with_it() -> None:
    assert condition_problem("event.sender.bot") == ""
    assert condition_problem("payload.anything == 1") == ""
    for wrong, told in (
        ("event.text ==", "unexpected"),
        ("event.sender.boot", "did you mean 'bot'"),
        ("evnt.text", "unknown variable 'evnt'"),
        ("event.text | lowr", "unknown filter 'lowr'"),
        ('event.kind == "message.craeted"', "message.created"),
        ("{{ event.sender.bot }}", "leave out {{ and }}"),
        ("   ", "condition"),
    ):
        assert told in condition_problem(wrong), wrong
    assert condition_problem("(" * 5000)
    assert not KillSwitch().armed


def test_what_each_drop_has_dropped_is_counted_by_source(door: Door) -> None:
    outbox = door.side.outbox
    first = begin_drop(
        outbox, {"slack", "mail"}, source="slack", where="'flood' in event.text", lasts="30m", by="cli:ann"
    )
    second = begin_drop(outbox, {"slack", "mail"}, source="mail", where="", lasts="2m", by="")
    door.side._look_for_drops()
    for number in (1, 2, 2, 3):
        door.slack(message(number, text="calm" if number == 3 else "a flood of it"))
    wait_until(lambda: not door.side.tally.unwritten, 20)
    told = {row["id"]: row for row in list_drops(outbox, {"slack"})}
    assert told[first["id"]]["sources"] == {"slack": 2}, "a repeated delivery is dropped once"
    assert (told[first["id"]]["by"], told[first["id"]]["problem"]) == ("cli:ann", None)
    assert told[second["id"]]["count"] == 0
    assert told[second["id"]]["problem"] == "no source is called 'mail'"
    assert "dropped:" not in str(outbox.remarks()), "it is counted with the drop"
    assert end_drop(outbox, first["id"])["count"] == 2
    with pytest.raises(NotFound):
        end_drop(outbox, first["id"])


def test_a_drop_that_could_match_nothing_is_refused(outbox: Outbox) -> None:
    for asked, path in (
        ({"source": "slcak"}, "source"),
        ({"where": "event.sendr.bot"}, "where"),
        ({"where": "x" * 3000}, "where"),
        ({"source": "slack", "lasts": "8d"}, "for"),
        ({"source": "slack", "lasts": "soon"}, "for"),
        ({}, "source"),
    ):
        with pytest.raises(InputInvalid) as caught:
            begin_drop(outbox, {"slack"}, by="", **{"source": "", "where": "", "lasts": "1h", **asked})
        assert caught.value.path == path
    assert outbox.drops() == []
