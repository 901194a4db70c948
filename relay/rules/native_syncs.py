"""What Planhat writes by itself when a sync of its own is on: an adapter for the same source doubles it.

Sources: for Gong and the calendar, public notes of a team that uses Planhat, live records of 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from relay.config import Config

_CALENDAR: Final = (
    "Planhat's calendar sync makes a task of each meeting, and a conversation of the task once it is done: with both on, each"
    " meeting is there twice; keep one of them"
)
NATIVE_SYNCS: Final[Mapping[str, str]] = {
    "gong": "Planhat's own Gong sync writes the same calls, as conversations whose externalId is {gongCallId}-{accountId}: with"
    " both on, each call is there twice; switch one of them off",
    "zoom": _CALENDAR,
    "calendly": _CALENDAR,
}


def doubled_sources(config: Config) -> list[tuple[str, str]]:
    """Give each source whose events Planhat may have by itself, with what to do about it."""
    return [
        (name, NATIVE_SYNCS[held.adapter])
        for name, held in config.sources.items()
        if held.adapter in NATIVE_SYNCS
    ]
