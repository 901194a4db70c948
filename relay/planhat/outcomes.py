"""What a batch is made of, and what becomes of each conversation of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relay.value import value_class

HoldKind = Literal["rate_limited", "unavailable", "blocked"]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why delivery stops. `retry_after_s` is what Planhat named; None: the schedule decides."""

    kind: HoldKind
    reason: str
    retry_after_s: float | None = None


@value_class(frozen=True, slots=True)
class Delivered:
    """Created or changed; `created` None: the answer did not tell which. `planhat_id` "": it did not tell that either."""

    planhat_id: str = ""
    created: bool | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Planhat had exactly this already."""

    planhat_id: str = ""


@dataclass(frozen=True, slots=True)
class Postponed:
    """No verdict on the item: `hold` None means that we stopped ourselves, and it may go at once. `perhaps_taken`: it
    was sent, and Planhat may have it by now, or may not."""

    reason: str
    hold: Hold | None = None
    perhaps_taken: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Planhat's verdict on this one item. Both texts may quote what was sent: for a dead letter, never for a log."""

    message: str
    raw: str = ""
    too_large: bool = False


Outcome = Delivered | Unchanged | Postponed | Refused


@dataclass(slots=True)
class Row:
    """One conversation ready to go. `planhat_id` "" where it goes by externalId (or `source_id`) alone.

    `body` is its JSON, and has three lives, in this order: bytes of its own; while a call is under way perhaps a place
    in that call's body (`share`), so that 4 MB are not there twice; empty once its outcome is known and it will not go
    again (`release`)."""

    external_id: str
    body: bytes | memoryview
    planhat_id: str = ""
    source_id: str = ""

    def share(self, place: memoryview) -> None:
        """Leaves the row with its place in the body of the call under way."""
        self.body = place

    def release(self) -> None:
        """Lets go of the JSON: it will not go again, and a batch of them is 4 MB."""
        self.body = b""
