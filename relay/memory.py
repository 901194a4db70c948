"""How a process that lives long treats its memory. Measured: `bench/README.md`, what paid."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

#: glibc's names of its knobs. Source: mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def tune_malloc(*, keep_bytes: int, block_bytes: int) -> None:
    """Tune malloc, once all is built. Up to `keep_bytes` of freed memory stay ours, and so does a freed block of less than
    `block_bytes`: glibc would give them back to the system, and to have them again costs a fault a page. Another C library
    has no such knob, or needs none."""
    # What is built by now lives as long as the process: the collector need not walk it at every turn.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    with suppress(AttributeError, OSError):
        set_knob = ctypes.CDLL(None).mallopt
        set_knob(_M_TRIM_THRESHOLD, keep_bytes)
        set_knob(_M_MMAP_THRESHOLD, block_bytes)
