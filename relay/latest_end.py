"""The last bound of a process that was told to stop: it ends after so many seconds, whatever its threads wait for then.

Each wait on the way out has a bound of its own; this one holds for those that nobody thought of, and for those that Python cannot
interrupt (a host's name that no DNS server answers for).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from relay.telemetry import log

_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT})


class LatestEnd:
    """Ends the process `seconds` after SIGTERM or SIGINT. `last()` is what is still done then, for `last_s` seconds at most;
    `code`: what the process ends with. To be made in the main thread."""

    def __init__(
        self, seconds: float, *, last: Callable[[], None] = lambda: None, last_s: float = 1.0, code: int = 0
    ) -> None:
        self._seconds = seconds
        self._last = last
        self._last_s = last_s
        self._code = code
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)
        # Told by the system's own handler: Python's runs only once the main thread is back in Python.
        signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        threading.Thread(target=self._wait, name="latest-end", daemon=True).start()

    def told(self) -> None:
        """Note that the process is to stop, where an event loop has taken over the signals."""
        os.write(self._told, bytes([signal.SIGTERM]))

    def _wait(self) -> None:
        # Ignored signals do not come here; others, such as a job's alarm, tell nothing.
        while not _STOPS & set(os.read(self._heard, 64)):
            pass
        time.sleep(self._seconds)
        log("stop.cut_off", level=logging.WARNING, after_s=self._seconds)
        last = threading.Thread(target=self._last, daemon=True)
        last.start()
        last.join(self._last_s)
        for stream in (sys.stdout, sys.stderr):
            # Nobody may read them any more (a closed pipe); that must not keep the process.
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(self._code)
