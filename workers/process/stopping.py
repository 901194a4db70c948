"""That a worker process was told to stop, and since when."""

from __future__ import annotations

import threading
import time
from typing import Final

#: What a process ends with whose settings or config do not hold: starting it again would not help.
WRONG_SETTINGS: Final = 2
#: After SIGTERM a call under way has so long to end before its claims are handed back.
_GRACE_S: Final = 3.0
#: After SIGTERM a Redis that blinks is waited for so long; after that what it does not take is left to the leases.
_PATIENCE_S: Final = 2.0
#: Whatever else waits then, a worker process ends so long after SIGTERM: its supervisor kills it a second later.
LATEST_S: Final = 6.0


class Stopping:
    """That the process is to stop, and since when. Set from a signal handler, read by every loop."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._since: float | None = None

    def __call__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        if self._since is None:
            self._since = time.monotonic()
        self._event.set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    def impatient(self) -> bool:
        """Tell whether nothing is tried again any more at Redis."""
        return self._since is not None and time.monotonic() - self._since > _PATIENCE_S

    def overdue(self) -> bool:
        return self._since is not None and time.monotonic() - self._since > _GRACE_S


#: One for the process: RQ's signal handler sets it.
STOPPING: Final = Stopping()
