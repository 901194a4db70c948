"""When something is told, and when its end is: a pure function of what stands and what is seen now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from relay.operations.alerts.conditions import Condition
from relay.outbox.alerts import Trouble

#: What is not seen for so long has ended: not after each short gap.
ENDED_AFTER_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class AlertChanges:
    """`standing`: what is written (None: it stands no longer); `begun` and `ended`: what is told."""

    standing: Mapping[str, Trouble | None] = field(default_factory=dict)
    begun: tuple[Trouble, ...] = ()
    ended: tuple[Trouble, ...] = ()


def step_alerts(
    standing: Mapping[str, Trouble],
    seen: Mapping[str, Condition],
    *,
    now_ms: int,
    after_ms: Mapping[str, int],
    ended_after_ms: int = ENDED_AFTER_MS,
) -> AlertChanges:
    """Return what changes at `now_ms`. `after_ms`: kind -> for how long it must be seen before it is told (left out: at once). What is
    told begins once and ends once; what went before it was told is never told."""
    changes: dict[str, Trouble | None] = {}
    begun: list[Trouble] = []
    ended: list[Trouble] = []
    for name, condition in seen.items():
        old = standing.get(name)
        one = old or Trouble(condition.kind, condition.title, condition.text, first_ms=now_ms)
        one = replace(one, gone_ms=0)
        if not one.told_ms and now_ms - one.first_ms >= after_ms.get(one.kind, 0):
            one = replace(one, title=condition.title, text=condition.text, told_ms=now_ms)
            begun.append(one)
        if one != old:
            changes[name] = one
    for name, old in standing.items():
        if name in seen:
            continue
        if not old.told_ms:
            changes[name] = None
        elif not old.gone_ms:
            changes[name] = replace(old, gone_ms=now_ms)
        elif now_ms - old.gone_ms >= ended_after_ms:
            changes[name] = None
            ended.append(old)
    return AlertChanges(changes, tuple(begun), tuple(ended))
