"""Guessing is slowed down by network, without ever locking the right token out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from relay.web.refused import RequestRefused

_WINDOW_S = 60.0
#: Networks remembered; the one that guessed longest ago is forgotten first.
_REMEMBERED = 10_000


class Guesses:
    """Wrong tokens of the last minute, by way of signing in and network."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def require_patience(self, way: str, network: str, limit: int) -> None:
        """Raise RequestRefused (429) after `limit` wrong ones within a minute."""
        tries = self._recent(f"{way} {network}")
        if len(tries) >= limit:
            wait_s = max(1, int(tries[-limit] + _WINDOW_S - self._clock()) + 1)
            raise RequestRefused(429, "too_many_tries", f"too many wrong tokens; wait {wait_s} s", wait_s)

    def failed(self, way: str, network: str, limit: int) -> None:
        key = f"{way} {network}"
        self._wrong[key] = [*self._recent(key), self._clock()][-limit:]
        self._wrong.move_to_end(key)
        while len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)

    def _recent(self, key: str) -> list[float]:
        return [at for at in self._wrong.get(key, []) if at > self._clock() - _WINDOW_S]
