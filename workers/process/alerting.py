"""The thread of the supervisor that tells people what is wrong. It has a connection of its own, and nothing waits for it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import redis

from relay.config import Config
from relay.errors import OutboxUnavailable, RelayError
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.connection import connect
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from relay.outbox.vault import Vault
from relay.settings import Settings, secret_problems
from relay.telemetry import log

if TYPE_CHECKING:
    from relay.operations.alerts.sending import AlertSender
    from relay.operations.alerts.telling import AlertDesk

_LOOK_EVERY_S: Final = 2.0
#: What is being sent may end; otherwise its lease runs out and somebody else sends it.
_STOP_S: Final = 2.0


class Alerting(threading.Thread):
    """Looks every two seconds, while the config has `alerts:`; without them the file's changes are all that it looks at."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        super().__init__(name="alerting", daemon=True)
        self._settings = settings
        self._environ = environ
        self._stopping = threading.Event()
        self._stamp: tuple[int, int] | None = None
        #: One a lane, which keeps what was told of it.
        self._desks: dict[str, AlertDesk] = {}
        self._refused = ""
        self._redis: redis.Redis | None = None

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._round()
            except OutboxUnavailable:
                # The sweep says so; here it is tried again.
                pass
            except Exception:
                # An alert must never cost the supervisor; the next round may do.
                logging.getLogger("relay").exception("alerts.failed")
            self._stopping.wait(_LOOK_EVERY_S)

    @property
    def looks(self) -> bool:
        """Whether it begins another look."""
        return not self._stopping.is_set()

    def look_no_more(self) -> None:
        """Begin no other look. Call it before the workers are told to stop: that nobody delivers then is no trouble."""
        self._stopping.set()

    def stop(self) -> None:
        """Waits for a moment only."""
        self.look_no_more()
        if self.is_alive():
            self.join(_STOP_S)

    def _round(self) -> None:
        self._read_config()
        # Lanes behind one connection are away together; those of another node of a cluster go on.
        away: set[int] = set()
        for desk in self._desks.values():
            if desk.config.alerts is None or self._stopping.is_set():
                return
            if id(desk.outbox.redis) in away:
                continue
            try:
                desk.look(self._damaged(desk.config))
                while not self._stopping.is_set() and desk.send():
                    pass
                desk.metrics.flush()
            except OutboxUnavailable:
                away.add(id(desk.outbox.redis))

    def _damaged(self, config: Config) -> list[str]:
        found = [*self._settings.problems(), *secret_problems(config.secrets)]
        return [*found, self._refused] if self._refused else found

    def _read_config(self) -> None:
        """Today's file; one that does not hold leaves the last one in use, and is told itself."""
        try:
            status = os.stat(self._settings.config)
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            if not self._desks and "alerts" not in Path(self._settings.config).read_text(encoding="utf-8"):
                # The rules need not be read for that, nor anything that tells be imported.
                return
            from relay.operations.alerts.sending import AlertSender
            from relay.rules.file.load import load_config

            config = load_config(self._settings.config, self._environ)
        except (OSError, UnicodeDecodeError):
            return
        except RelayError as error:
            self._refused = (
                f"The changed config file is refused, the last one stays in use: {str(error).splitlines()[0]}"
            )
            return
        self._refused = ""
        sender = AlertSender(link=config.alerts.link if config.alerts else "")
        if config.alerts is not None and not self._desks:
            log("alerts.on", channels=len(config.alerts.channels))
        elif config.alerts is None and not self._desks:
            return
        held, self._desks = self._desks, {}
        for lane in config.lane_names:
            desk = self._desks[lane] = held.get(lane) or self._make(config, lane, sender)
            desk.config, desk.sender = config, sender

    def _make(self, config: Config, lane: str, sender: AlertSender) -> AlertDesk:
        from relay.operations.alerts.telling import AlertDesk
        from relay.operations.dead.counts import DeadCounts

        settings = self._settings
        self._redis = self._redis or connect(settings.redis_url)
        client, base = lane_client(self._redis, lane), settings.key_prefix
        outbox = Outbox(client, lane=lane, base=base, vault=Vault(settings.encryption_keys))
        return AlertDesk(
            outbox,
            Delivery(client, lane=lane, base=base),
            config,
            SharedMetrics(client, lane=lane, base=base),
            DeadCounts(outbox),
            sender,
        )
