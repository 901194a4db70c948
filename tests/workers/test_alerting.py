"""The rounds in which alerts are looked for: a lane that cannot be asked keeps no other from being looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from relay.errors import OutboxUnavailable
from relay.settings import Settings
from workers.process.alerting import Alerting


def test_a_node_that_is_away_holds_its_own_lanes_and_is_asked_once() -> None:
    looked: list[str] = []

    def desk(name: str, node: object, *, away: bool) -> Any:
        def look(damaged: object) -> None:
            looked.append(name)
            if away:
                raise OutboxUnavailable("Redis: no answer in time")

        return SimpleNamespace(
            outbox=SimpleNamespace(redis=node),
            config=SimpleNamespace(alerts=object(), secrets=None),
            look=look,
            send=lambda: False,
            metrics=SimpleNamespace(flush=lambda: None),
        )

    class Round(Alerting):
        def _read_config(self) -> None:
            pass

        def _damaged(self, config: object) -> list[str]:
            return []

    away, well = object(), object()
    alerting = Round(Settings.read({}), {})
    alerting._desks = {
        "a": desk("a", away, away=True),
        "b": desk("b", well, away=False),
        "c": desk("c", away, away=True),
        "d": desk("d", well, away=False),
    }
    alerting._round()
    assert looked == ["a", "b", "d"]
