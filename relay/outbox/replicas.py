"""Replicas that are to have a write before it counts as accepted (`redis.replicas` in the config).

A failover puts a replica in the master's place; what it had not received by then is gone, acknowledged or not. The door therefore asks WAIT on
the connection that wrote. Source: Redis, WAIT; Redis Cluster, write safety.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

#: How long the door waits for them; a write takes 2 s at most.
WAIT_MS: Final = 1_500
#: The same for the look whether a write goes through.
LOOK_MS: Final = 500


def online_replicas(info: Mapping[str, Any]) -> int:
    """Return how many replicas follow this server, by INFO's section `replication`."""
    rows = [value for key, value in info.items() if re.fullmatch(r"slave\d+", key)]
    return sum(isinstance(row, Mapping) and row.get("state") == "online" for row in rows)


def too_few(online: int, wanted: int) -> str:
    """Return "what; what to do" where fewer follow than are to have each write, else ""."""
    if online >= wanted:
        return ""
    return (
        f"{_replicas(wanted)} to have each write (redis.replicas), and {online} {'follows' if online == 1 else 'follow'} "
        "the master; start them, or lower redis.replicas"
    )


def not_confirmed(acknowledged: int, wanted: int) -> str:
    """Too few said in time that they have a write."""
    return f"Redis did not confirm in time that {wanted} of its replicas have the write ({acknowledged} have)"


def no_spare(online: int, wanted: int) -> str:
    """Return "what; what to do" where a failover leaves too few, else "". Said where there are enough now."""
    if not wanted or online > wanted:
        return ""
    return (
        f"{_replicas(wanted)} to have each write, and no more than {online} follow the master: after a failover, or while one is "
        f"away, nothing is accepted; give each master {wanted + 1} replicas"
    )


def _replicas(number: int) -> str:
    return f"{number} {'replica is' if number == 1 else 'replicas are'}"
