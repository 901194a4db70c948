"""Whether a write is on disk, on servers whose WAITAOF says so too early.

With `appendfsync everysec` Valkey from 8.0 on and Redis 7.4.0 to 7.4.2 answer WAITAOF within a tenth of a second, synced or
not (findings/valkey-waitaof-answers-before-fsync.sh). What they do can be watched instead: a sync begins at the latest a
second after the last one began, and INFO tells whether one is under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: What one question consists of; its answers are what `heard` takes.
QUESTION: Final = (("INFO", "persistence"), ("TIME",))
#: The server's own: it syncs so long after the last time.
_EVERY_MS: Final = 1_000
_SOON_S: Final = 0.01


def answers_early(info: Mapping[str, Any]) -> bool:
    """Tell whether this server's WAITAOF is known to answer before the sync with `everysec`. `info`: INFO's section `server`."""
    valkey = _numbers(info.get("valkey_version"))
    if valkey:
        return valkey >= (8, 0)
    return (7, 4) <= _numbers(info.get("redis_version")) < (7, 4, 3)


def _numbers(version: Any) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in str(version or "").split(".")[:3])
    except ValueError:
        return ()


class FsyncWatch:
    """Watches for one write that was answered, with `everysec`. Three things must be seen, in this order: that the write has
    left the server's buffer while no sync was under way; that a second went by on the server's clock, so that a sync of
    it has begun; and that none is under way any more.

    `skips_in_rewrite`: the server may be set not to sync while a child of it writes (`no-appendfsync-on-rewrite`)."""

    def __init__(self, *, skips_in_rewrite: bool) -> None:
        self._skips = skips_in_rewrite
        self._begun = False
        self._written_ms = 0
        self._rewriting: Any = None

    def heard(self, info: Mapping[str, Any], server_ms: int) -> float | None:
        """Return seconds to wait before asking again; None: the write is on disk."""
        if str(info.get("aof_last_write_status", "")) != "ok":
            return _SOON_S
        syncing = bool(int(info.get("aof_pending_bio_fsync", 1)))
        rewriting = info.get("aof_rewrite_in_progress")
        if not self._written_ms or rewriting != self._rewriting:
            # A rewrite begins another file: what was seen of the one before says nothing.
            self._rewriting, self._begun = rewriting, False
            if syncing or int(info.get("aof_buffer_length", 1)):
                self._written_ms = 0
                return _SOON_S
            self._written_ms = server_ms
            return (_EVERY_MS + 5) / 1000
        if syncing:
            # Begun after the write had left the buffer: it holds it.
            self._begun = True
            return _SOON_S
        left_ms = self._written_ms + _EVERY_MS - server_ms
        if not self._begun and left_ms >= 0:
            return (left_ms + 5) / 1000
        if self._skips and self._child(info):
            self._begun = False
            return _SOON_S
        if not self._begun:
            # The server looks whether a sync is due after it has answered: one more question shows it.
            self._begun = True
            return 0.0
        return None

    @staticmethod
    def _child(info: Mapping[str, Any]) -> bool:
        return any(int(info.get(name) or 0) for name in ("rdb_bgsave_in_progress", "aof_rewrite_in_progress"))


def server_ms(told: tuple[Any, Any]) -> int:
    """Give TIME's answer in epoch ms."""
    return int(told[0]) * 1000 + int(told[1]) // 1000
