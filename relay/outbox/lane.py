"""The lane: who works on it, what is due, claimed under a lease and settled.

A lease is a due time in the future under a token: a worker that dies gives its items back by doing nothing, one that comes
back late is refused by the token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from sys import intern
from typing import Any

from relay.errors import NewerRecord, OutboxUnavailable
from relay.outbox.items import Claim, Done, Item, Later, Settled, Settlement
from relay.outbox.lane_servers import LaneServers
from relay.outbox.pipe import Pipe
from relay.outbox.store import ITEMS_PER_SCRIPT, Store, script_parts

#: How long a rung bell may stay unheard before the sweep rings again; a working flush job renews it every second.
WAKE_MS = 5_000
#: Patches of one conversation taken in one claim; a busy thread takes several.
PATCHES_PER_CLAIM = 1_000
#: What one claim hands out at most, in stored bytes: patches and documents lie in the worker's memory meanwhile.
BYTES_PER_CLAIM = 4_000_000
#: What a claim gives instead of a document that is forgotten.
FORGOTTEN = b"?"


class OutboxLane:
    """Claims what is due in one lane, and settles it. `piped`: what `begin_` starts does not wait for Redis (see `pipe.py`); one thread may use those then.
    `set_back`: a later claim had a smaller number than this process was given before, so Redis was set back in between."""

    def __init__(self, store: Store, *, piped: bool = False) -> None:
        self._store = store
        self.pipe = Pipe(store.redis, store.prefix) if piped else None
        self.set_back = False
        self._last_claim = 0

    # -- who works on it -------------------------------------------------------------------------------------

    def ring(self, *, now_ms: int = 0, clock: bool = False) -> int:
        """Give the lane a new generation where something is due and nobody works on it; 0 otherwise. `clock`: `now_ms` is what the server's own
        clock says."""
        return int(self._store.run("ring", [now_ms, WAKE_MS, "clock" if clock else ""]))

    def begin(self, generation: int, ttl_ms: int = 3_000) -> int:
        """Take the lane for the job of `generation`; the generation that it works with, 0 where somebody else has the lane. It is a new one
        where that of the job is the lane's no more, and nobody has begun since."""
        return int(self._store.run("own", [generation, ttl_ms, "begin"]))

    def own(self, generation: int, ttl_ms: int = 3_000) -> bool:
        return bool(self._store.run("own", [generation, ttl_ms, "own"]))

    def release(self, generation: int) -> None:
        self._store.run("own", [generation, 0, "release"])

    def hand_over(self, generation: int) -> int:
        """Hand the lane over; the successor's generation, to be rung for; 0 where the lane was no longer ours."""
        return int(self._store.run("own", [generation, WAKE_MS, "hand_over"]))

    # -- claims ----------------------------------------------------------------------------------------------

    def claim(
        self,
        generation: int,
        limit: int = ITEMS_PER_SCRIPT,
        *,
        lease_ms: int = 20_000,
        now_ms: int = 0,
        wake_ms: int = 3_000,
        max_bytes: int = BYTES_PER_CLAIM,
        stay: bool = False,
    ) -> Claim:
        """Claim up to `limit` due items (at most 1,000, and at most `max_bytes` of stored documents and patches, but always
        one), hidden from every other claim until the lease runs out. `stay`: the lane stays ours though nothing is due."""
        args = (generation, limit, lease_ms, now_ms, wake_ms, max_bytes, stay)
        return self._claimed(self._store.run("claim", self._claim_args(*args)))

    def begin_claim(
        self, generation: int, limit: int, *, lease_ms: int, wake_ms: int, max_bytes: int, stay: bool
    ) -> Callable[[], Claim]:
        """Begin a `claim`, without waiting; what it gives back waits. Raises OutboxUnavailable there."""
        args = self._claim_args(generation, limit, lease_ms, 0, wake_ms, max_bytes, stay)
        answer = self.begin_script("claim", args)
        return lambda: self._claimed(answer())

    def read_available(self) -> None:
        """Read what has come, now and then between a `begin_` and the asking for what became of it; see `Pipe.read_available`."""
        if self.pipe is not None:
            self.pipe.read_available()

    def push(self) -> None:
        """Send now what `begin_settle` has held back."""
        if self.pipe is not None:
            self.pipe.push()

    def begin_script(self, name: str, args: Sequence[Any], *, corked: bool = False) -> Callable[[], Any]:
        """Begin any script of the lane, in line with claims and settlements; what it gives back waits. Raises OutboxUnavailable
        there. `corked`: it may be held back as `begin_settle` says."""
        if self.pipe is not None:
            return self.pipe.send(name, args, corked=corked).answer
        answer = self._store.run(name, args)
        return lambda: answer

    def forget_claims(self) -> None:
        """Forget the last claim once it is noted that Redis was set back: its claims may count from anywhere."""
        self._last_claim, self.set_back = 0, False

    def _claimed(self, answer: list[Any]) -> Claim:
        unseal = self._store.vault.open
        token = answer[2].decode()
        items = []
        life, since_ms = int(answer[4]), int(answer[5])
        if token:
            self.set_back = self.set_back or int(token) <= self._last_claim
            self._last_claim = int(token)
        at = 7 + int(answer[6])
        doubted, end = frozenset(answer[7:at]), len(answer)
        while at < end:
            head, at = answer[at : at + 8], at + 8
            external_id, source, crashes, refusals, first_ms, document, count, events = head
            entries, at = answer[at : at + count], at + count
            stored, at = answer[at : at + events], at + events
            unreadable, newer = "", False
            try:
                fold = unseal(document) if document and document != FORGOTTEN else None
                patches = self._store.all_pending(entries, stored)
            except ValueError as error:
                # The others of this claim must not suffer for it.
                fold, unreadable, newer = None, str(error), isinstance(error, NewerRecord)
                patches = self._store.all_pending(entries, stored, lenient=True)
            items.append(
                Item(
                    external_id.decode(),
                    intern(source.decode()),
                    token,
                    crashes,
                    refusals,
                    first_ms,
                    fold,
                    patches,
                    unreadable,
                    document == FORGOTTEN,
                    life,
                    since_ms,
                    newer,
                    external_id in doubted,
                )
            )
        self._store.clock.heard(int(answer[1]))
        return Claim(owned=bool(answer[0]), items=tuple(items), now_ms=int(answer[1]), more=bool(answer[3]))

    def renew(self, items: Iterable[Item], *, lease_ms: int = 20_000, now_ms: int = 0) -> frozenset[str]:
        """Return the externalIds whose lease was lost."""
        lost: set[str] = set()
        for part in script_parts(list(items)):
            args: list[Any] = [now_ms, lease_ms]
            for item in part:
                args += (item.lane_source, item.external_id, item.token)
            lost.update(name.decode() for name in self._store.run("renew", args))
        return frozenset(lost)

    # -- settlements -----------------------------------------------------------------------------------------

    def settle(self, settlements: Sequence[Settlement], *, now_ms: int = 0) -> Settled:
        """Return each settlement takes effect once, if its lease is still held; saying it twice is saying it once."""
        lost: set[str] = set()
        for part in script_parts(settlements):
            lost.update(name.decode() for name in self._store.run("settle", self._settle_args(part, now_ms)))
        return Settled(lost=frozenset(lost))

    def begin_settle(self, settlements: Sequence[Settlement]) -> Callable[[], Settled]:
        """Begin a `settle` of at most 1,000, without waiting; what it gives back waits. Raises OutboxUnavailable there. It may be
        held back until something else is sent, somebody waits, or `push`."""
        answer = self.begin_script("settle", self._settle_args(settlements, 0), corked=True)
        return lambda: Settled(lost=frozenset(name.decode() for name in answer()))

    def _settle_args(self, settlements: Sequence[Settlement], now_ms: int) -> list[Any]:
        seal = self._store.vault.seal
        args: list[Any] = [
            now_ms,
            self._store.retention.documents_s,
            self._store.retention.dead_s,
            len(settlements),
            self._store.retention.mark_years,
            self._store.retention.events_s,
        ]
        for what in settlements:
            item = what.item
            head = (item.lane_source, item.external_id, item.token)
            document = seal(what.document) if what.document else b""
            if isinstance(what, Done):
                if what.mark or what.look_ms:
                    flags = f"{'m' if what.mark else ''}{what.look_ms or ''}"
                    args += (
                        "D",
                        *head,
                        len(item.pending),
                        document,
                        what.planhat_id,
                        flags,
                        len(what.events),
                    )
                else:
                    args += ("d", *head, len(item.pending), document, what.planhat_id, len(what.events))
                if len(item.pending) == 1 == len(what.events):
                    args += (what.events[0][0], item.pending[0].source, what.events[0][1])
                    continue
                sources = {p.event_id: p.source for p in item.pending}
                for event_id, state in what.events:
                    args += (event_id, sources[event_id], state)
            elif isinstance(what, Later):
                args += ("l", *head, what.due_ms, int(what.refused), document)
            else:
                args += ("x", *head, len(item.pending), what.dead_id, seal(what.record), document)
        return args

    def _claim_args(
        self,
        generation: int,
        limit: int,
        lease_ms: int,
        now_ms: int,
        wake_ms: int,
        max_bytes: int,
        stay: bool,
    ) -> list[Any]:
        most = min(limit, ITEMS_PER_SCRIPT)
        limits = (generation, now_ms, lease_ms, most, PATCHES_PER_CLAIM, wake_ms, max_bytes)
        return [*limits, int(stay), self._store.retention.mark_years]


def ring_lanes(servers: LaneServers, stores: Sequence[Store]) -> list[int | OutboxUnavailable]:
    """Return `OutboxLane.ring` of several lanes, one round trip for each server; of one that did not answer the error."""
    return [
        one if isinstance(one, OutboxUnavailable) else int(one)
        for one in servers.ask("ring", stores, lambda place: (0, WAKE_MS, ""))
    ]
