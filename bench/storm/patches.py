"""What a storm's senders say."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from relay.event import event_id, iso_time
from relay.patch import Patch


def make_patch(chance: Random, number: int, threads: Sequence[str], *, steady: bool, lane: str) -> Patch:
    """Make the event of this number: a message, an edit, a deletion, or the end of its conversation. `steady`: a message stands where it
    stood and no two versions are the same. Its texts name the `lane`."""
    version = 1_700_000_000_000_000 + chance.randint(0, 60) * 1_000_000
    if steady:
        # What stands in Planhat wins a tie that an event would have won.
        version += number
    message = f"m{chance.randint(1, 8)}"
    action = chance.choices(("upsert", "retract", "archive"), (12, 2, 1))[0]
    fields: dict[str, Any] = {
        "type": ("replace", "Slack thread"),
        "subject": (chance.choice(("first", "replace")), f"subject {lane} {number}"),
        "description": ("append", f"text {lane} {number}"),
        "endusers": ("union", [{"id": f"p{chance.randint(1, 4)}"}]),
        f"custom.F{chance.randint(1, 3)}": ("replace", number),
    }
    return Patch(
        external_id=chance.choice(threads),
        event_id=event_id("slack", str(number)),
        source=chance.choice(("slack", "mail")),
        version=version,
        time=iso_time(1_700_000_000 + int(message[1:]) if steady else version / 1e6),
        fields=fields if action == "upsert" else {},
        action=action,  # type: ignore[arg-type]
        message_id=message if action != "archive" else "",
        rule="r",
    )
