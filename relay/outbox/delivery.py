"""The state of delivery and the fleet's call budget, in Redis: every worker and every restart knows them.

Keys: `delivery` (hash: state, until_ms, reason, failures, before), `calls` (zset of the last minute's calls), `tune`
(hash: items, bytes, calls: what the controller found
best; learned: what it knows, as JSON), `paused` (set of paused sources), `pauses`
(hash: since when, and by whom).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import redis

from relay.outbox import keys
from relay.outbox.keys import BASE, LANE, lane_prefix
from relay.outbox.reading import Reading, read_alone
from relay.outbox.scripts import reaching_redis, run_commands, run_script

#: Instead of a wait: no call is to be made until a person says so.
NO_CALLS_WANTED: Final = -1

DeliveryWord = Literal["open", "backing_off", "blocked", "paused"]


class BeginsScript(Protocol):
    """Begins a script without waiting; what it gives back waits for the answer."""

    def __call__(self, name: str, args: Sequence[Any], *, corked: bool = False) -> Callable[[], Any]: ...


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """`until_ms` is when a backing-off or blocked delivery tries again (epoch ms of Redis's clock), 0 otherwise.
    `failures` counts whole-batch failures in a row; `reopened_ms` is when it last came back, for the ramp-up (0: none)."""

    state: DeliveryWord = "open"
    until_ms: int = 0
    reason: str = ""
    failures: int = 0
    reopened_ms: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """`since_ms` 0, `by` "": not known."""

    since_ms: int = 0
    by: str = ""

    @classmethod
    def of(cls, stored: bytes) -> Pause:
        since, _, by = stored.decode("utf-8", "replace").partition(" ")
        return cls(int(since), by) if since.isdigit() else cls()


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """How delivery stands, and what is known beside: `pauses` as `Delivery.pauses` gives them, `calls_used` in the minute before,
    `tune` as `Delivery.tune`."""

    state: DeliveryState
    paused_sources: frozenset[str]
    pauses: Mapping[str, Pause]
    calls_used: int
    tune: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CallPermit:
    """How delivery stands and what the minute's budget means for the next call. `wait_ms` until it may be made (0: now),
    `used`: calls in the 60 s before. `spent`: the minute's calls are used up. `scarce`: what is left of them is spread over
    the minute, so that each should carry what it can. `taken`: this call is counted, it is to follow."""

    state: DeliveryState
    wait_ms: int
    used: int
    spent: bool
    scarce: bool
    taken: bool = False


class Delivery:
    def __init__(self, client: redis.Redis, *, lane: str = LANE, base: str = BASE) -> None:
        self._redis = client
        self._prefix = lane_prefix(lane, base)

    def read(self) -> DeliveryState:
        with reaching_redis():
            stored: dict[bytes, bytes] = self._redis.hgetall(self._prefix + keys.DELIVERY)  # type: ignore[assignment]
        return _state(stored)

    def back_off(self, until_ms: int, reason: str) -> None:
        """Back off after 429, 5xx and time-outs. A person's pause is kept."""
        self._hold("backing_off", until_ms, reason)

    def block(self, until_ms: int, reason: str) -> None:
        """Block after a 401 or a total 403: one probe at `until_ms`."""
        self._hold("blocked", until_ms, reason)

    def _hold(self, state: str, until_ms: int, reason: str) -> None:
        self._change("hold", state, until_ms, reason)

    def reopen(self, now_ms: int) -> None:
        """Reopen after a call went through: the ramp begins at `now_ms` (0: there is none). Does nothing to a pause."""
        self._change("reopen", "", now_ms, "")

    def pause(self, source: str = "", *, by: str = "") -> None:
        """Deliver nothing (of `source`) until `resume`. `by`: who says so."""
        self._change("pause", source, 0, "paused by a person", by)

    def resume(self, source: str = "") -> None:
        """Ends a pause; of an outage it only ends the wait: the next call is a probe again."""
        self._change("resume", source, 0, "")

    def _change(self, mode: str, what: str, at_ms: int, reason: str, by: str = "") -> None:
        run_script(self._redis, "delivery", self._prefix, [mode, what, at_ms, reason, by])

    def pauses(self) -> dict[str, Pause]:
        """Return what a person holds, "" for all delivery: since when, and who. One that an older release began has neither."""
        return dict(read_alone(self._redis, self.reading(0)).pauses)

    def reading(self, now_ms: int) -> Reading[DeliveryFacts]:
        """Everything that is shown of it, in one question. `now_ms`: calls are counted before."""

        def queue(pipe: Any) -> None:
            pipe.hgetall(self._prefix + keys.DELIVERY)
            pipe.smembers(self._prefix + keys.PAUSED)
            pipe.hgetall(self._prefix + keys.PAUSES)
            pipe.zcount(self._prefix + keys.CALLS, now_ms - 60_000 + 1, "+inf")
            pipe.hgetall(self._prefix + keys.TUNE)

        stored, paused, told, calls, tune = yield queue
        state = _state(stored)
        held = ([b""] if state.state == "paused" else []) + sorted(paused)
        return DeliveryFacts(
            state,
            frozenset(name.decode() for name in paused),
            {name.decode(): Pause.of(told.get(name, b"")) for name in held},
            int(calls),
            {key.decode(): value.decode() for key, value in tune.items()},
        )

    def paused_sources(self) -> frozenset[str]:
        with reaching_redis():
            stored: set[bytes] = self._redis.smembers(self._prefix + keys.PAUSED)  # type: ignore[assignment]
        return frozenset(name.decode() for name in stored)

    def take_call(self, per_minute: int, at_once: int | None = None, *, now_ms: int = 0) -> int:
        """Give 0 where a call may be made now (and is counted), else milliseconds to wait before asking again; `NO_CALLS_WANTED` where a
        person wants none. So many of a minute's calls as `at_once` (default: all) are made nearly as they come, the others
        spread over the minute."""
        return int(self._ask_for_call(per_minute, at_once, now_ms, "take")[0])

    def permit(
        self, per_minute: int, at_once: int | None = None, *, seize: bool = False, now_ms: int = 0
    ) -> CallPermit:
        """Return how things stand. Nothing is taken; with `seize` a call's place is, where delivery is open and calls are plentiful."""
        mode = "seize" if seize else "look"
        return _permit(self._ask_for_call(per_minute, at_once, now_ms, mode), per_minute, at_once)

    def begin_permit(
        self, begin: BeginsScript, per_minute: int, at_once: int | None = None, *, seize: bool = False
    ) -> Callable[[], CallPermit]:
        """Ask for a `permit` without waiting; what it gives back waits. `begin` begins a script of this lane (`OutboxLane.begin_script`)."""
        answer = begin(
            "take_call", _call_args(per_minute, at_once, 0, "seize" if seize else "look"), corked=True
        )
        return lambda: _permit(answer(), per_minute, at_once)

    def begin_call(
        self, begin: BeginsScript, per_minute: int, at_once: int | None = None
    ) -> Callable[[], object]:
        """Count a call as `take_call` does, without waiting; what it gives back waits."""
        return begin("take_call", _call_args(per_minute, at_once, 0, "take"))

    def _ask_for_call(self, per_minute: int, at_once: int | None, now_ms: int, mode: str) -> Any:
        return run_script(
            self._redis, "take_call", self._prefix, _call_args(per_minute, at_once, now_ms, mode)
        )

    def calls_used(self, *, now_ms: int) -> int:
        """Count calls in the 60 s before `now_ms`."""
        with reaching_redis():
            count: Any = self._redis.zcount(self._prefix + keys.CALLS, now_ms - 60_000 + 1, "+inf")
        return int(count)

    def tune(self) -> dict[str, str]:
        with reaching_redis():
            stored: dict[bytes, bytes] = self._redis.hgetall(self._prefix + keys.TUNE)  # type: ignore[assignment]
        return {key.decode(): value.decode() for key, value in stored.items()}

    def set_tune(self, values: dict[str, str]) -> None:
        words = [word for pair in values.items() for word in pair]
        run_commands(self._redis, self._prefix, ("HSET", keys.TUNE, *words))


def _call_args(per_minute: int, at_once: int | None, now_ms: int, mode: str) -> list[Any]:
    return [now_ms, per_minute, per_minute if at_once is None else at_once, mode]


def _permit(answer: Any, per_minute: int, at_once: int | None) -> CallPermit:
    wait_ms, used, taken, fields = answer
    return CallPermit(
        _state(dict(zip(fields[::2], fields[1::2], strict=True))),
        wait_ms,
        used,
        spent=used >= per_minute,
        scarce=used >= (per_minute if at_once is None else at_once),
        taken=bool(taken),
    )


def _state(stored: Mapping[bytes, bytes]) -> DeliveryState:
    word = stored.get(b"state", b"open").decode()
    return DeliveryState(
        state=word if word in ("open", "backing_off", "blocked", "paused") else "open",  # type: ignore[arg-type]
        until_ms=int(stored.get(b"until_ms", b"0")),
        reason=stored.get(b"reason", b"").decode(),
        failures=int(stored.get(b"failures", b"0")),
        reopened_ms=int(stored.get(b"reopened_ms", b"0")),
    )
