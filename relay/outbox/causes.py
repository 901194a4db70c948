"""What people say of a cause of dead letters: that it is muted, who sees to it, a note. One hash for each, `cause:<digest>`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from relay.outbox import keys
from relay.outbox.reading import Reading, read_alone
from relay.outbox.store import Store

#: A cause that nobody has touched for so long is forgotten.
_KEEP_S: Final = 400 * 86_400
#: Written by people: sealed where there is a key.
_SEALED: Final = frozenset({"assigned", "note", "by"})


@dataclass(frozen=True, slots=True)
class CauseMark:
    """`muted`: it is no news, until `muted_until_ms` (0: until somebody says otherwise). `assigned`, `note`: "" for none.
    `by` and `at_ms`: who said the last of it, and when."""

    muted: bool = False
    muted_until_ms: int = 0
    assigned: str = ""
    note: str = ""
    by: str = ""
    at_ms: int = 0

    def quiet(self, now_ms: int) -> bool:
        """Tell whether nobody is to be told of it now."""
        return self.muted and (not self.muted_until_ms or now_ms < self.muted_until_ms)


def cause_digest(cause: str) -> str:
    """Give twelve hex digits that stand for the text of a cause."""
    return blake2b(cause.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def read_marks(store: Store, digests: Sequence[str]) -> list[CauseMark]:
    """Return what is said of each, in their order. Raises OutboxUnavailable."""
    return read_alone(store.redis, reading_marks(store, digests))


def reading_marks(store: Store, digests: Sequence[str]) -> Reading[list[CauseMark]]:
    """As `read_marks`."""
    rows = yield lambda pipe: [pipe.hgetall(store.prefix + keys.cause(digest)) for digest in digests]
    return [_mark(store, row) for row in rows]


def write_mark(store: Store, digest: str, changes: Mapping[str, Any]) -> None:
    """Changes some of it: fields of `CauseMark`; what is empty is taken away. Raises OutboxUnavailable."""
    words: list[Any] = []
    for name, value in changes.items():
        text = str(int(value)) if isinstance(value, bool | int) else str(value)
        blank = not value
        sealed = store.vault.seal(text.encode()) if name in _SEALED and not blank else text
        words += (name, "" if blank else sealed)
    store.run("mark_cause", [digest, _KEEP_S, *words])


def _mark(store: Store, row: Mapping[bytes, bytes]) -> CauseMark:
    if not row:
        return CauseMark()
    texts = {name: store.opened(row[name.encode()]).decode() for name in _SEALED if name.encode() in row}
    return CauseMark(
        muted=row.get(b"muted") == b"1",
        muted_until_ms=int(row.get(b"muted_until_ms", 0)),
        at_ms=int(row.get(b"at_ms", 0)),
        **texts,
    )
