"""What Planhat can answer to a bulk upsert, one value class for each. `report.py` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, overload


class Key(NamedTuple):
    """What the answer calls a conversation by. It echoes the keys that were sent beside Planhat's own id."""

    planhat_id: str | None
    external_id: str | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class PlainKeys(Sequence[Key]):
    """Keys that each have an `_id` and an externalId and nothing else, as Planhat names its items: two lists, since an object for each
    of 5,000 takes a hundredth of a second, in which the next call waits."""

    planhat_ids: Sequence[str]
    external_ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.planhat_ids)

    @overload
    def __getitem__(self, at: int) -> Key: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Key, ...]: ...
    def __getitem__(self, at: int | slice) -> Key | tuple[Key, ...]:
        if isinstance(at, slice):
            return tuple(map(Key, self.planhat_ids[at], self.external_ids[at]))
        return Key(self.planhat_ids[at], self.external_ids[at])


@dataclass(frozen=True, slots=True)
class ItemError:
    """One element of an error list. `kind` is the list's name; `raw_excerpt` is the element as text, cut.

    `message` and `raw_excerpt` may quote what was sent: they belong into a dead letter, never into a log.
    """

    kind: str
    message: str
    external_id: str | None = None
    planhat_id: str | None = None
    index: int | None = None
    raw_excerpt: str = field(default="", repr=False)
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The envelope. Counts and lists as they came; what was missing is 0 or empty."""

    created: int
    updated: int
    nonupdates: int
    inserted: Sequence[Key]
    updated_keys: Sequence[Key]
    modified: tuple[str, ...]
    upserted: tuple[str, ...]
    errors: tuple[ItemError, ...]
    status: int

    @property
    def accounted(self) -> int:
        """How many items the counts claim to have succeeded."""
        return self.created + self.updated + self.nonupdates

    def all_created(self, already: int) -> bool | None:
        """Tell whether what no name decides was created, `already` created ones being named. None: the counts do not tell."""
        if self.nonupdates:
            return None
        if self.created > already:
            return None if self.updated else True
        return False if self.updated else None

    def only_id(self) -> str:
        """Return Planhat's id of the only item of a call, if the answer gives exactly one."""
        ids = {key.planhat_id for key in (*self.inserted, *self.updated_keys)}
        ids |= {*self.modified, *self.upserted}
        known = {planhat_id for planhat_id in ids if planhat_id}
        return known.pop() if len(known) == 1 else ""

    @property
    def wholly_forbidden(self) -> bool:
        """A total 403: nothing went through and every complaint is about permission. No item is to blame."""
        return (
            self.status == 403
            and self.accounted == 0
            and not (self.inserted or self.updated_keys or self.modified or self.upserted)
            and all(error.kind.lower() == "permissionerrors" for error in self.errors)
        )


@dataclass(frozen=True, slots=True)
class Throttled:
    """429. `retry_after_s` is None when the answer names no time."""

    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No answer, or one that says "not now". `status` is None when there was no answer at all."""

    status: int | None
    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401: the token is wrong or has expired, or the tenant lives in another region."""

    reason: str


@dataclass(frozen=True, slots=True)
class Forbidden:
    """403 that names no item: the token may not do this at all."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """413: the request as a whole; nothing in it was looked at."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A refusal of the whole request (400, 404, 422, ...) that blames nothing in particular."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """A 2xx that cannot be read: whether anything was done is unknown."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class NotTheApi:
    """A web page, or a redirect to one: what answers is not Planhat's API. Nothing was done."""

    status: int
    reason: str


Answer = (
    NotTheApi | Report | Throttled | Unavailable | Unauthorized | Forbidden | TooLarge | Rejected | Garbled
)
