"""Where a lane's keys lie in Redis: `<base>:{<lane>}:...`. One hash tag, so that a lane lives in one slot of a cluster; a base
of its own (`RELAY_KEY_PREFIX`) for each installation, so that two may share a Redis."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

BASE: Final = "relay"
LANE: Final = "main"


def lane_prefix(lane: str, base: str = BASE) -> str:
    """What every key of `lane` begins with."""
    return f"{base}:{{{lane}}}:"


def set_rq_prefix(base: str, environ: MutableMapping[str, str] | None = None) -> None:
    """Puts RQ's keys beside ours where the base is not the usual one. Before `rq` is imported: it reads its own variable
    then. One that somebody has set stays."""
    environ = os.environ if environ is None else environ
    if base != BASE:
        environ.setdefault("RQ_KEY_PREFIX", f"{base}:rq")
