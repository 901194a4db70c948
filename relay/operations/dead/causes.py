"""Causes of dead letters by their short ids (`c-3f2a`), by their text, or by a part of it; and what people say of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from relay.errors import NotFound
from relay.operations.moments import iso
from relay.operations.selection import InputInvalid, cause_group
from relay.outbox.causes import CauseMark, cause_digest, read_marks, write_mark
from relay.outbox.dead import DeadHead
from relay.outbox.outbox import Outbox

_ID: Final = re.compile(r"c-([0-9a-f]{4,12})", re.IGNORECASE)
_SHORTEST: Final = 4
_NEAREST: Final = 3
#: Letters looked at for the causes there are.
LOOKED_AT_MOST: Final = 50_000
MAX_NOTE_CHARS: Final = 1_000
MAX_NAME_CHARS: Final = 100


@dataclass(frozen=True, slots=True)
class FoundCauses:
    """What `asked` means: texts of groups, or of letters themselves. None: nothing; then `nearest` is like it."""

    texts: frozenset[str]
    nearest: tuple[str, ...] = ()

    def fits(self, head: DeadHead) -> bool:
        return cause_group(head.facts) in self.texts or str(head.facts.get("cause")) in self.texts


def short_ids(causes: Iterable[str]) -> dict[str, str]:
    """Give cause -> its id: `c-` and as many digits of its digest as tell it from the others, four at least."""
    digests = {cause: cause_digest(cause) for cause in causes}
    length = _SHORTEST
    while len({digest[:length] for digest in digests.values()}) < len(digests) and length < 12:
        length += 1
    return {cause: f"c-{digest[:length]}" for cause, digest in digests.items()}


def cause_id(cause: str) -> str:
    """Return the id of one cause where the others are not looked at."""
    return f"c-{cause_digest(cause)[:_SHORTEST]}"


def find_causes(outbox: Outbox, asked: str) -> FoundCauses:
    """Return `asked` among the causes of all letters: an id, a whole text, or a part of it whatever its case. Raises InputInvalid for
    an id that fits several."""
    groups: set[str] = set()
    own: set[str] = set()
    for seen, head in enumerate(outbox.dead.scan()):
        if seen >= LOOKED_AT_MOST:
            break
        groups.add(cause_group(head.facts))
        own.add(str(head.facts.get("cause")))
    return match_cause(asked, groups, own)


def match_cause(asked: str, groups: Collection[str], own: Collection[str] = ()) -> FoundCauses:
    """Do as `find_causes` does, among these texts."""
    asked = asked.strip()
    match = _ID.fullmatch(asked)
    if match:
        wanted = match[1].lower()
        hits = [cause for cause in groups if cause_digest(cause).startswith(wanted)]
        if len(hits) > 1:
            listed = ", ".join(f"{name} ({cause})" for cause, name in sorted(short_ids(hits).items()))
            raise InputInvalid(f"{asked} fits several: {listed}", "cause")
        if hits:
            return FoundCauses(frozenset(hits))
    if asked in groups or asked in own:
        return FoundCauses(frozenset({asked}))
    # A text that some list had cut short.
    part = asked.rstrip("…").rstrip(".").strip().casefold()
    inside = frozenset(cause for cause in groups if part and part in cause.casefold())
    return FoundCauses(inside) if inside else FoundCauses(frozenset(), _nearest(asked, groups))


def _nearest(asked: str, groups: Collection[str]) -> tuple[str, ...]:
    ids = short_ids(groups)

    def likeness(cause: str) -> float:
        texts = (ids[cause], cause.casefold(), cause.casefold()[: len(asked)])
        return max(SequenceMatcher(None, asked.casefold(), text).ratio() for text in texts)

    best = sorted(groups, key=lambda cause: (-likeness(cause), cause))[:_NEAREST]
    return tuple(f"{ids[cause]}  {cause}" for cause in best)


def no_such_cause(asked: str, nearest: Sequence[str]) -> str:
    """Return the sentence for a cause that no letter has."""
    if not nearest:
        return f"no dead letter has the cause {asked[:200]!r}: there are none"
    listed = "\n".join(f"  {text}" for text in nearest)
    return f"no dead letter has the cause {asked[:200]!r}; the nearest:\n{listed}"


def require_causes(outbox: Outbox, asked: str) -> FoundCauses:
    """Do as `find_causes` does. Raises NotFound, naming the nearest, where no letter has it."""
    found = find_causes(outbox, asked)
    if not found.texts:
        raise NotFound(no_such_cause(asked, found.nearest))
    return found


# -- what people say ----------------------------------------------------------------------------------------------


def mark_facts(mark: CauseMark, now_ms: int) -> dict[str, Any]:
    """Give it as lists and the API show it."""
    return {
        "muted": mark.quiet(now_ms),
        "muted_until": iso(mark.muted_until_ms) if mark.quiet(now_ms) else None,
        "assigned": mark.assigned or None,
        "note": mark.note or None,
        "marked_by": mark.by or None,
        "marked_at": iso(mark.at_ms),
    }


def marks_of(outbox: Outbox, causes: Sequence[str]) -> dict[str, CauseMark]:
    """Give cause -> what is said of it."""
    return dict(zip(causes, read_marks(outbox, [cause_digest(cause) for cause in causes]), strict=True))


def mark_cause(outbox: Outbox, asked: str, changes: Mapping[str, Any], *, by: str) -> dict[str, Any]:
    """Mutes, assigns or annotates one cause: `muted`, `muted_until_ms`, `assigned`, `note`. Gives what stands then. Raises
    NotFound, and InputInvalid where `asked` fits several or something is too long."""
    found = require_causes(outbox, asked)
    if len(found.texts) > 1:
        listed = ", ".join(sorted(short_ids(found.texts).values()))
        raise InputInvalid(f"{asked[:200]!r} fits several causes: {listed}", "cause")
    for name, most in (("note", MAX_NOTE_CHARS), ("assigned", MAX_NAME_CHARS)):
        if len(str(changes.get(name) or "")) > most:
            raise InputInvalid(f"longer than {most} characters", name)
    [cause] = found.texts
    now_ms = outbox.now_ms()
    if changes.get("muted") is False:
        changes = {**changes, "muted_until_ms": 0}
    write_mark(outbox, cause_digest(cause), {**changes, "by": by, "at_ms": now_ms})
    return {"id": cause_id(cause), "cause": cause, **mark_facts(marks_of(outbox, [cause])[cause], now_ms)}
