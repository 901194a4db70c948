"""uvicorn's server, and what else hears of a stop."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

import uvicorn


class Listener(uvicorn.Server):
    """`told()` hears of each signal to stop: the event loop takes the signals from where they are waited for otherwise. `beside`, a second
    server of the same process, ends at the same time: its open requests do not get their seconds after this one's."""

    def __init__(self, config: uvicorn.Config, told: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = told
        self.beside: uvicorn.Server | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._told()
        if self.beside is not None:
            self.beside.should_exit = True
        super().handle_exit(sig, frame)
