"""What became of each conversation of a batch, and how Planhat's answer is turned into that. Pure but for `send`.

Exactly one outcome per item: what the answer names is decided by name; where the counts add up, they decide the rest;
what is left in doubt is halved and sent again, which changes nothing in Planhat, because an upsert is keyed. For p bad
items among n this takes at most 2*p*ceil(log2 n)+1 calls (each item that is refused as a duplicate costs at most one
more: its sequential second try), and no good item is sent more than ceil(log2 n)+2 times.

A failure of the whole call (429, 5xx, time-out, 401, total 403, an answer nobody can read) is a verdict on no item:
it stops the batch and postpones what is undecided, and `Hold` says what it means for delivery.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

from relay.planhat.answers import PlainKeys
from relay.planhat.complaints import UNSORTED, in_order, kinds_of, say, sort_out
from relay.planhat.outcomes import Delivered, Hold, Outcome, Postponed, Refused, Row, Unchanged
from relay.planhat.report import (
    Answer,
    Forbidden,
    Garbled,
    ItemError,
    Key,
    NotTheApi,
    Rejected,
    Report,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    blame,
)

#: Answers to the whole request that speak of its address, method or head, or of the tenant, never of an item. Source: RFC 9110, section
#: 15.5; RFC 6585. Not 415: it may be said of a compressed body alone, and smaller ones go uncompressed.
_OF_THE_REQUEST: Final = frozenset({402, 404, 405, 406, 407, 410, 411, 414, 417, 421, 426, 428, 431})
_DUPLICATED: Final = re.compile(r"duplicat", re.IGNORECASE)
#: Calls of one batch that are spent on telling apart whose complaint is whose: a minute's, where all of a flood is refused.
_SORTING_CALLS: Final = 150
_NO_KEYS: Final = PlainKeys((), ())


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What an answer left open. `errors`: complaints whose owner is unknown (None: it did not count). `exact`: its
    counts and complaints add up to what was sent. `complaints`: all of them, named ones too. `suspects`: hinted at.
    `together`: nothing may be wrong with any of them but that they are too large together. `parts`: all of `rest` is
    refused, for different reasons: each part is sent alone until each item has its own."""

    rest: tuple[int, ...] = ()
    errors: int | None = 0
    exact: bool = False
    complaints: int | None = 0
    suspects: frozenset[int] = frozenset()
    together: bool = False
    parts: tuple[tuple[int, ...], ...] = ()


class Resolution:
    """One batch on its way to one outcome per item. Iterate `run()`: it yields what each call newly decided.

    `send` makes one call for the given items, in order. `stop()` is asked before each further call. `forbidden_before`: each
    of them was refused for want of permission while others went through, so that a refusal of all says nothing of the token. After `run`:
    `calls`, `hold` (why delivery stops, or None), `too_large` (a 413 came), `doubted` (something had to be halved).
    """

    def __init__(
        self,
        batch: Sequence[Row],
        send: Callable[[Sequence[Row]], Answer],
        *,
        stop: Callable[[], bool] = lambda: False,
        forbidden_before: bool = False,
    ) -> None:
        self.batch = batch
        self.calls = 0
        self.hold: Hold | None = None
        self.too_large = False
        self._too_large_from = sys.maxsize
        self.doubted = False
        self._send = send
        self._stop = stop
        self._stopped = False
        self._outcomes: dict[int, Outcome] = {}
        self._fresh: dict[int, Outcome] = {}
        self._presumed: list[int] = []
        self._again: list[int] = []
        self._tried_again: set[int] = set()
        self._took = forbidden_before
        self._hints_hold = True
        self._perhaps: set[int] = set()
        self._sorting = 0

    def run(self) -> Iterator[dict[int, Outcome]]:
        if not self.batch:
            return
        yield from self._resolve(tuple(range(len(self.batch))), presume=True)
        while not self._over() and (self._presumed or self._again):
            # First what only needs to be seen once more; then, one after the other, those that may have lost a race.
            group, self._presumed = tuple(self._presumed), []
            if not group:
                group, self._again = tuple(self._again), []
                self._tried_again.update(group)
            yield from self._resolve(group, presume=False)
        reason = self.hold.reason if self.hold else "stopped before it was decided"
        for position in range(len(self.batch)):
            if position not in self._outcomes:
                self._note(position, Postponed(reason, self.hold, position in self._perhaps))
        yield from self._news()

    # -- one group -------------------------------------------------------------------------------------------

    def _resolve(self, group: tuple[int, ...], *, presume: bool) -> Iterator[dict[int, Outcome]]:
        doubt = self._ask(group)
        yield from self._news()
        yield from self._halve(doubt, presume=presume)

    def _halve(self, doubt: _Doubt, *, presume: bool) -> Iterator[dict[int, Outcome]]:
        """`doubt.rest` holds at least one bad item, or nobody knows: find it, without sending it whole again."""
        rest = doubt.rest
        if not rest or self._over():
            return
        self.doubted = True
        if len(rest) == 1:
            yield from self._resolve(rest, presume=presume)
            return
        middle = (len(rest) + 1) // 2
        parts = doubt.parts or ((rest[:middle], rest[middle:]) if doubt.together else ())
        for part in parts:
            if not self._over():
                yield from self._resolve(part, presume=presume)
        if parts:
            return
        left, right, hinted = self._cut(doubt)
        found = self._ask(left)
        yield from self._news()
        if self._over():
            return
        clean = not found.rest and found.complaints == 0
        if hinted and (found.rest or found.complaints != doubt.errors):
            # Misled, wholly or in part: from here on plain halves. In part, no call is spent on seeing things once more; wholly,
            # the one that was lost is saved there.
            self._hints_hold = False
            presume = presume and clean
        if clean:
            # Whatever is wrong is on the right: no use in sending it whole once more.
            yield from self._halve(_Doubt(right, doubt.errors, doubt.exact), presume=presume)
            return
        if presume and doubt.exact and doubt.errors is not None and found.complaints == doubt.errors:
            # All complaints came from the left, so the right went through with the call before. It is not taken
            # on trust: all such halves are sent once more, together, at the end.
            self._presumed.extend(right)
            yield from self._halve(found, presume=presume)
            return
        yield from self._halve(found, presume=presume)
        if not self._over():
            yield from self._resolve(right, presume=presume)

    def _cut(self, doubt: _Doubt) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        if self._hints_hold and doubt.suspects and len(doubt.suspects) < len(doubt.rest):
            left = tuple(p for p in doubt.rest if p in doubt.suspects)
            return left, tuple(p for p in doubt.rest if p not in doubt.suspects), True
        # The larger half on the right: where the left one is at fault, the right one costs a call more.
        middle = len(doubt.rest) // 2
        return doubt.rest[:middle], doubt.rest[middle:], False

    # -- one call --------------------------------------------------------------------------------------------

    def _ask(self, group: tuple[int, ...]) -> _Doubt:
        """One call. Decides what its answer decides and gives back what it leaves open."""
        if self._over():
            return _Doubt(group)
        if self.calls and self._stop():
            self._stopped = True
            return _Doubt(group)
        if self.too_large and len(group) > 1 and self._bytes(group) >= self._too_large_from:
            # As large as what a 413 has refused: halved without asking.
            return _Doubt(group, None, False, None, together=True)
        self.calls += 1
        match self._send([self.batch[position] for position in group]):
            case Report() as report:
                if report.wholly_forbidden and not self._took:
                    return self._give_up(
                        group, Hold("blocked", "Planhat refused every item: permission missing")
                    )
                return self._read(report, group)
            case Throttled(retry_after_s):
                hold = Hold("rate_limited", "Planhat answered 429: too many calls", retry_after_s)
            case Unavailable(_, reason, retry_after_s):
                self._perhaps.update(group)
                hold = Hold("unavailable", reason, retry_after_s)
            case Garbled(status, reason):
                self._perhaps.update(group)
                hold = Hold("unavailable", f"Planhat answered {status}, but {reason}")
            case NotTheApi(status, reason):
                # A page before the API, say of a proxy: whether anything got through it is unknown.
                self._perhaps.update(group)
                hold = Hold("unavailable" if status < 400 else "blocked", reason)
            case Unauthorized(reason) | Forbidden(reason):
                hold = Hold("blocked", reason)
            case TooLarge():
                self.too_large = True
                self._too_large_from = min(self._too_large_from, self._bytes(group))
                if len(group) > 1:
                    return _Doubt(group, None, False, None, together=True)
                self._refuse_large(group[0])
                return _Doubt(complaints=1)
            case Rejected(status, message):
                if status in _OF_THE_REQUEST:
                    asked = "is the tenant paid for?" if status == 402 else "is RELAY_PLANHAT_URL right?"
                    hold = Hold("blocked", f"Planhat answered {status} to the upsert: {asked}")
                elif len(group) > 1:
                    return _Doubt(group, None, False, None)
                else:
                    self._refuse(group[0], message, f"{status} {message}")
                    return _Doubt(complaints=1)
        return self._give_up(group, hold)

    def _bytes(self, group: Sequence[int]) -> int:
        return sum(len(self.batch[position].body) for position in group)

    def _give_up(self, group: tuple[int, ...], hold: Hold) -> _Doubt:
        self.hold = hold
        return _Doubt(group)

    def _read(self, report: Report, group: tuple[int, ...]) -> _Doubt:
        sent = [self.batch[position] for position in group]
        keys = (
            [Key(row.planhat_id or None, row.external_id or None, row.source_id or None) for row in sent]
            if report.errors
            else []
        )
        verdict = blame(report.errors, keys)
        complaints = len(report.errors)
        if report.accounted or report.inserted or report.updated_keys:
            self._took = True
        open_ = dict(enumerate(group))
        for at, error in verdict.certain.items():
            self._refuse(open_.pop(at), error.message, error.raw_excerpt)
        created, named = self._by_name(report, sent, open_)
        rest = tuple(open_.values())
        loose = [*verdict.hinted.values(), *verdict.unnamed]
        left = report.accounted - named
        if not rest:
            return _Doubt(complaints=complaints)
        if not loose and left >= len(rest):
            known = report.only_id() if len(group) == 1 else ""
            unchanged = report.nonupdates if len(group) == 1 else report.nonupdates >= len(rest)
            outcome: Outcome = (
                Unchanged(known) if unchanged else Delivered(known, report.all_created(created))
            )
            # Nearly every batch ends here, and Planhat waits for the next one.
            decided: dict[int, Outcome] = dict.fromkeys(rest, outcome)
            self._outcomes.update(decided)
            self._fresh.update(decided)
            return _Doubt(complaints=complaints)
        if loose and left <= 0 and (len(loose) >= len(rest) or len(group) == 1):
            return self._refuse_all(rest, in_order(report.errors, loose), complaints)
        if len(group) == 1:
            message = "Planhat took no notice of it: neither counted nor refused"
            self._refuse(rest[0], message, f"status {report.status}, counted {report.accounted}")
            return _Doubt(complaints=1)
        self._perhaps.update(rest)
        return _Doubt(
            rest,
            len(loose) or None,
            left + len(loose) == len(rest),
            complaints if complaints else None,
            frozenset(group[at] for at in verdict.hinted if at in open_),
        )

    def _by_name(self, report: Report, sent: Sequence[Row], open_: dict[int, int]) -> tuple[int, int]:
        """Decides what the answer names as taken, and removes it from `open_`; how many of those were created, and how
        many there were."""
        plain = self._by_plain_name(report, sent, open_)
        if plain is not None:
            return plain
        names: tuple[tuple[Key, bool | None], ...] = (
            *((key, True) for key in report.inserted),
            *((key, False) for key in report.updated_keys),
            *((Key(planhat_id), False) for planhat_id in report.modified),
            *((Key(planhat_id), None) for planhat_id in report.upserted),
        )
        if not names:
            return 0, 0
        by_external = {row.external_id: at for at, row in enumerate(sent)}
        by_planhat = {row.planhat_id: at for at, row in enumerate(sent) if row.planhat_id}
        by_source = {row.source_id: at for at, row in enumerate(sent) if row.source_id}
        created = named = 0
        for (planhat_id, external_id, source_id), new in names:
            at = by_external.get(external_id) if external_id else None
            if at is None and planhat_id:
                at = by_planhat.get(planhat_id)
            if at is None and source_id:
                at = by_source.get(source_id)
            if at is not None and at in open_:
                self._note(open_.pop(at), Delivered(planhat_id or sent[at].planhat_id, new))
                created += new is True
                named += 1
        return created, named

    def _by_plain_name(
        self, report: Report, sent: Sequence[Row], open_: dict[int, int]
    ) -> tuple[int, int] | None:
        """The same where each name is plain, ours, and said once, as nearly always: Planhat waits for the next call. None, and nothing
        is decided, where it is not."""
        inserted, updated = report.inserted or _NO_KEYS, report.updated_keys or _NO_KEYS
        if not (isinstance(inserted, PlainKeys) and isinstance(updated, PlainKeys)):
            return None
        if report.modified or report.upserted or len(open_) < len(sent):
            return None
        if not inserted and not updated:
            return 0, 0
        by_external = {row.external_id: at for at, row in zip(open_.values(), sent, strict=True)}
        external_ids = (*inserted.external_ids, *updated.external_ids)
        if len(by_external) < len(sent) or not by_external.keys() >= set(external_ids):
            return None
        decided: dict[int, Outcome] = {}
        for keys, new in ((inserted, True), (updated, False)):
            places = map(by_external.__getitem__, keys.external_ids)
            decided.update(zip(places, map(Delivered, keys.planhat_ids, repeat(new)), strict=True))
        if len(decided) < len(external_ids):
            return None
        for at in [at for at, position in open_.items() if position in decided]:
            del open_[at]
        self._outcomes.update(decided)
        self._fresh.update(decided)
        return len(inserted), len(decided)

    def _refuse_all(self, rest: tuple[int, ...], errors: Sequence[ItemError], complaints: int) -> _Doubt:
        """Everything that is left was complained of, whichever complaint is whose: where they differ, each is to have its own."""
        message, raw = say(errors)
        if len(rest) > 1 and len(kinds_of(errors)) > 1:
            parts = sort_out(rest, errors)
            self._sorting += len(parts)
            if self._sorting <= _SORTING_CALLS:
                return _Doubt(rest, len(errors), True, complaints, parts=tuple(parts))
            message = UNSORTED
        for position in rest:
            self._refuse(position, message, raw)
        return _Doubt(complaints=complaints)

    # -- one item --------------------------------------------------------------------------------------------

    def _refuse(self, position: int, message: str, raw: str) -> None:
        if _DUPLICATED.search(f"{message} {raw}") and position not in self._tried_again:
            self._again.append(position)
        else:
            self._note(position, Refused(message, raw))

    def _refuse_large(self, position: int) -> None:
        size = len(self.batch[position].body)
        self._note(position, Refused(f"too large for Planhat alone: {size} bytes", "413", too_large=True))

    def _note(self, position: int, outcome: Outcome) -> None:
        self._outcomes[position] = outcome
        self._fresh[position] = outcome

    def _news(self) -> Iterator[dict[int, Outcome]]:
        if self._fresh:
            fresh, self._fresh = self._fresh, {}
            yield fresh

    def _over(self) -> bool:
        return self.hold is not None or self._stopped


def resolve(
    batch: Sequence[Row], send: Callable[[Sequence[Row]], Answer]
) -> tuple[Mapping[int, Outcome], Resolution]:
    """Return the whole of it at once: position -> outcome, and the finished `Resolution`."""
    resolution = Resolution(batch, send)
    outcomes: dict[int, Outcome] = {}
    for news in resolution.run():
        outcomes.update(news)
    return outcomes, resolution
