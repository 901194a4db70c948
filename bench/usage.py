"""What processes use, read from /proc: CPU seconds, resident memory, and what everybody else on the machine used meanwhile.

Where there is no /proc (macOS, BSD) these figures are NaN and left out of the tables."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis

TICKS = os.sysconf("SC_CLK_TCK")
UNKNOWN = float("nan")


def cpu_s(pid: int) -> float:
    """User and system seconds of a process, all its threads."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return UNKNOWN
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """MB of `VmRSS` (now) or `VmHWM` (the most so far)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return UNKNOWN
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":")), UNKNOWN)


def children(pid: int) -> dict[int, str]:
    """pid -> command line of a process's children."""
    found: dict[int, str] = {}
    # Each of its threads has its own.
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found[int(child)] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def redis_cpu_s(client: redis.Redis) -> float:
    """CPU seconds of the server, to the microsecond."""
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _busy_s() -> float:
    """CPU seconds that the whole machine has worked since it started."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    except OSError:
        return UNKNOWN
    user, nice, system, _, _, irq, soft = fields[:7]
    return (user + nice + system + irq + soft) / TICKS


def _own_s() -> float:
    """CPU seconds of this process and of its children that have ended (a generator)."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total


@dataclass
class Watch:
    """CPU seconds by name from `with` to its end. `others` are cores kept busy by anything else: noise, where not near 0."""

    pids: Mapping[str, int]
    cpu_s: dict[str, float] = field(default_factory=dict)
    took_s: float = 0.0
    others: float = UNKNOWN

    def __enter__(self) -> Watch:
        self._began = time.perf_counter()
        self._busy, self._own = _busy_s(), _own_s()
        self._before = {name: cpu_s(pid) for name, pid in self.pids.items()}
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s = {name: cpu_s(pid) - self._before[name] for name, pid in self.pids.items()}
        self.took_s = time.perf_counter() - self._began
        ours = sum(self.cpu_s.values()) + _own_s() - self._own
        self.others = max(0.0, (_busy_s() - self._busy - ours) / self.took_s) if self.took_s else UNKNOWN
