"""Work that gives way to all other on the machine: a thread of its own, which the system runs where a core is free."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

#: So far behind the others: a tenth of their weight.
_NICE: Final = 10

_T = TypeVar("_T")


def _give_way() -> None:
    # Linux's priority is a thread's. It cannot be taken back without a right that few have, hence a thread that does nothing else.
    if sys.platform.startswith("linux"):
        with suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICE)


_THREAD: Final = ThreadPoolExecutor(1, "low-priority", initializer=_give_way)


def run_at_low_priority(work: Callable[[], _T]) -> _T:
    """Return what `work()` does, and raise what it raises; one at a time in a process."""
    return _THREAD.submit(work).result()
