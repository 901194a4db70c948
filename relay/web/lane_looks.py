"""What a web process looks after in its lanes now and then, all of them together: whether Redis was set back, and what the plots show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from relay.errors import OutboxUnavailable
from relay.operations.plots import take_samples
from relay.outbox.epoch import look_together, tell
from relay.outbox.lane_servers import LaneServers
from relay.web.lane import WebLane

#: One lane is looked at each second, many as much more seldom; a sample is due each ten seconds.
_LIFE_S: Final = (1.0, 10.0)
_SAMPLE_S: Final = 5.0
_MANY: Final = 50


class LaneLooks:
    """Called from a ticker; for one thread at a time."""

    def __init__(self) -> None:
        self._servers = LaneServers()
        self._looked_at = self._sampled_at = float("-inf")

    def look(self, lanes: Sequence[WebLane]) -> None:
        """Look at those whose time it is, and write what was counted of each. A lane that does not answer is passed over."""
        now = time.monotonic()
        for lane in lanes:
            lane.metrics.flush()
        least, most = _LIFE_S
        # A tick is a second: what is due within half of one is due.
        if now - self._looked_at > min(most, least * (1 + (len(lanes) - 1) / _MANY)) - 0.5:
            self._looked_at = now
            epochs, accepted = [lane.epoch for lane in lanes], [lane.recorder.total for lane in lanes]
            for lane, change in zip(lanes, look_together(self._servers, epochs, accepted), strict=True):
                if not isinstance(change, OutboxUnavailable):
                    tell(change, lane.metrics)
        if now - self._sampled_at > _SAMPLE_S - 0.5:
            self._sampled_at = now
            take_samples(self._servers, [lane.outbox for lane in lanes])
