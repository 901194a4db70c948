"""The only place that builds the web side."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.types import Scope

from relay.config import Config
from relay.door.beside import Beside
from relay.door.house import House, furnish
from relay.door.intake import Intake
from relay.door.killswitch import KillSwitch
from relay.door.redaction import Redactor, build_redactor
from relay.door.spooling import Spooler
from relay.errors import ConfigInvalid, OutboxUnavailable, RelayError
from relay.lane_name import MAIN
from relay.memory import tune_malloc
from relay.operations.lanes import LaneTenant
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.connection import PARTING_S, connect, connect_async, in_cluster
from relay.outbox.delivery import Delivery
from relay.outbox.keys import set_rq_prefix
from relay.outbox.outbox import Outbox
from relay.outbox.processes import config_facts, give_sign, lane_facts, sign_off
from relay.outbox.recorder import Recorder, WriteRoom
from relay.outbox.shared_metrics import SharedMetrics
from relay.outbox.spool import Spool
from relay.outbox.store import Retention
from relay.outbox.vault import Vault
from relay.outbox.veil_key import VeilKey
from relay.rules.file.load import load
from relay.settings import Settings, secret_problems
from relay.telemetry import log
from relay.tracing import Tracing
from relay.web.config_file import stamp_of, text_of
from relay.web.health import Health
from relay.web.hooks import Hooks
from relay.web.lane import WebLane, WebRedis
from relay.web.lane_looks import LaneLooks
from relay.web.lanes import WebLanes
from relay.web.protocol import BoundedProtocol, bounded
from relay.web.spool_drain import SpoolDrain
from relay.web.tally import Tally
from relay.web.traffic import BodyRoom, Traffic
from relay.web.watch import RedisWatch

#: How often the config file is looked at, and the counts are written to Redis.
TICK_S = 1.0
SIGN_EVERY_S = 5.0


class WebSide:
    """Everything one web process holds. `app` is for the public listener, `operator_app` for the operators' one."""

    def __init__(self, settings: Settings, environ: dict[str, str] | None = None) -> None:
        self.settings = settings
        set_rq_prefix(settings.key_prefix, clustered=in_cluster(settings.redis_url))
        self._environ = dict(os.environ) if environ is None else environ
        self._stamp = stamp_of(settings.config)
        text = text_of(settings.config)
        config, book = load(settings.config, self._environ, text=text)
        house = furnish(config, book)
        self._reach_redis(config, house)
        self._open_door(config, house, text or "")
        self._damage_said: list[str] = []
        self._lane_looks = LaneLooks()
        self._ticker: asyncio.Task[None] | None = None
        self._look_wanted = asyncio.Event()
        self._who = f"{socket.gethostname()}:{os.getpid()}:web"
        self._sign_at, self._started_ms = 0.0, 0
        #: The first mistake of a config file that was not taken over; "" where the file's own is in use.
        self._config_refused = ""

    def _reach_redis(self, config: Config, house: House) -> None:
        """What keeps, counts and watches."""
        settings, base = self.settings, self.settings.key_prefix
        self.redis = connect(settings.redis_url)
        self.redis_async = connect_async(settings.redis_url, connected=self._connected)
        self.vault = Vault(settings.encryption_keys)
        #: What is the installation's and no lane's: the audit, sessions, the kill switch, processes.
        self.home = Outbox(self.redis, base=base, vault=self.vault)
        self.veil_key = VeilKey(self.home, settings.redaction_key)
        self.tally = Tally(lane_of=self._lane_of, base=base)
        #: What is counted of no lane.
        self.metrics = SharedMetrics(self.redis, base=base)
        # A counter that is not there cannot be seen to rise.
        self.metrics.add("relay_rules_reload_failures_total", {}, 0)
        self._ringer = ThreadPoolExecutor(1, thread_name_prefix="bell")
        room = WriteRoom()
        self.lanes = WebLanes(settings, self._open_lane)
        self.watch = RedisWatch(
            self.home,
            require_durable=settings.require_durable,
            lanes=lambda: self.lanes,
            strangers=self.lanes.strangers,
            room=room,
            replicas=self._replicas,
        )
        self._reach = WebRedis(
            looks=self.redis,
            door=self.redis_async,
            rings=connect(settings.redis_url),
            ringer=self._ringer,
            room=room,
            failed=self.watch.expire,
            replicas=self._replicas,
        )
        self.lanes.take(config, _retention(config, house))
        self.health = Health(
            self.home,
            self.lanes,
            self.tally,
            self.watch,
            damaged_secrets=self.damaged_secrets,
            config=lambda: self.house.config,
        )

    def _open_lane(self, name: str, tenant: LaneTenant) -> WebLane:
        reach, home = self._reach, self.home
        if name == home.lane_name:
            return WebLane(home, tenant, reach)
        if in_cluster(self.settings.redis_url):
            # Its keys lie in a slot of their own.
            door = connect_async(self.settings.redis_url, connected=self._connected, lane=name)
            reach = replace(reach, looks=lane_client(reach.looks, name), door=door)
        outbox = Outbox(reach.looks, lane=name, base=home.base, vault=self.vault, home=home)
        return WebLane(outbox, tenant, reach)

    def _lane_of(self, source: str) -> str:
        """The lane in whose books a source is counted."""
        held = self.house.sources.get(source)
        return held.config.lane if held else MAIN

    def _door_of(self, lane: str) -> Any:
        """The event loop's client for a lane's keys."""
        return self.redis_async if lane == MAIN else self.lanes.door(lane)

    # -- of the first lane: of the only one, where there is one ------------------------------------------------

    @property
    def outbox(self) -> Outbox:
        return self.lanes.first.outbox

    @property
    def delivery(self) -> Delivery:
        return self.lanes.first.delivery

    @property
    def recorder(self) -> Recorder:
        return self.lanes.first.recorder

    def _open_door(self, config: Config, house: House, text: str) -> None:
        """What takes hooks in. `text`: the config file, for the processes that read large bodies."""
        bounds = self.settings.bounds
        self.killswitch = KillSwitch()
        self.intake = Intake(
            house=house,
            records=self.lanes,
            redact=self._redactor(config),
            filters=self.killswitch,
            find_threads=self.lanes.find_threads,
        )
        self.beside = Beside(
            self.settings.config,
            self._environ,
            text,
            facts=self._facts,
            vault=self.vault,
            processes=bounds.beside_processes,
            limit_s=bounds.beside_s,
        )
        self.intake.beside = self.beside
        self.tracing = Tracing.open("web") if self.settings.tracing else None
        self.hooks = Hooks(self.intake, self.tally, large_from=bounds.beside_bytes, tracing=self.tracing)
        self._room = BodyRoom(bounds)
        self.spool_drain: SpoolDrain | None = None
        if config.spool is not None:
            spool = Spool(config.spool.dir, max_bytes=config.spool.max_bytes, vault=self.vault)
            self.spool_drain = SpoolDrain(spool, self.intake, lambda: self.lanes, self.veil_key)
            self.intake.spool = self.health.spooler = self.spool_drain.spooler

    @property
    def spooler(self) -> Spooler | None:
        """What takes requests while Redis does not."""
        return self.spool_drain.spooler if self.spool_drain else None

    def protocol(self) -> type[BoundedProtocol]:
        """Give HTTP for one listener: connections are counted by listener, so that nobody shuts the operators out by filling the
        public one; bodies are counted together."""
        return bounded(Traffic(self.settings.bounds, self._room, self._refused))

    def _refused(self, status: int, scope: Scope | None) -> None:
        """The protocol answered by itself."""
        name = scope["path"].removeprefix("/hooks/") if scope else ""
        self.tally.request(name if name in self.house.sources else "unknown", status, 0.0)

    @property
    def house(self) -> House:
        return self.intake.house

    def _replicas(self) -> int:
        return self.house.config.redis.replicas

    # -- secrets ---------------------------------------------------------------------------------------------

    def damaged_secrets(self) -> list[str]:
        """Return a sentence for each secret, of the settings and of the config, whose last good value is in use."""
        return [*self.settings.problems(), *secret_problems(self.house.config.secrets)]

    def _say_damage(self) -> None:
        damaged = self.damaged_secrets()
        if damaged != self._damage_said:
            self._damage_said = damaged
            for sentence in damaged:
                log("secret.damaged", level=logging.ERROR, what=sentence)

    # -- reload ----------------------------------------------------------------------------------------------

    def reload_if_changed(self) -> bool:
        """Takes over a changed config file; a broken one is refused loudly and the old rules go on."""
        stamp = stamp_of(self.settings.config)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            text = text_of(self.settings.config)
            config, book = load(self.settings.config, self._environ, text=text)
            house = furnish(config, book)
        except RelayError as error:
            mistakes = len(error.mistakes) if isinstance(error, ConfigInvalid) else 1
            log(
                "config.refused",
                level=logging.ERROR,
                file=self.settings.config,
                mistakes=mistakes,
                first=str(error).split("\n")[0],
            )
            self._config_refused, self._sign_at = str(error).split("\n")[0], 0.0
            self.metrics.add("relay_rules_reload_failures_total", {})
            return False
        self._config_refused, self._sign_at = "", 0.0
        self.intake.house = house
        self.beside.tell(text or "")
        self.intake.redact = self._redactor(config)
        self._look_for_the_key()
        self.lanes.take(config, _retention(config, house))
        log("config.reloaded", file=self.settings.config, version=config.version)
        return True

    def _facts(self) -> dict[str, Any]:
        """What a process beside this one has to be told with each request. Raises OutboxUnavailable."""
        redact = self.intake.redact
        return {
            "vault_keys": self.settings.encryption_keys(),
            "veil_key": self.veil_key.known().hex() if redact is not None and redact.hashes else "",
            "drops": self.killswitch.rows,
        }

    def _redactor(self, config: Config) -> Redactor | None:
        return build_redactor(config.redact, key=self.veil_key.known)

    def _look_for_the_key(self) -> None:
        """Before a request needs it: asking Redis would hold the event loop."""
        redact = self.intake.redact
        if redact is not None and redact.hashes:
            try:
                self.veil_key()
            except OutboxUnavailable as error:
                log("redaction.key_missing", level=logging.ERROR, why=str(error))

    def _look_for_drops(self) -> None:
        # Redis away: the drops known last go on until it is back, and end by their own time there.
        with suppress(OutboxUnavailable):
            self.killswitch.update(self.home.drops())

    def _give_sign(self) -> None:
        """Once in a while, so that who looks knows which releases are running."""
        if time.monotonic() < self._sign_at:
            return
        self._sign_at = time.monotonic() + SIGN_EVERY_S
        with suppress(OutboxUnavailable):
            self._started_ms = self._started_ms or self.home.now_ms()
            self.lanes.note(self.home)
            give_sign(
                self.home,
                self._who,
                "web",
                due_s=4 * SIGN_EVERY_S,
                started_ms=self._started_ms,
                facts={
                    **config_facts(self.house.config.version, self._config_refused),
                    **lane_facts(self.watch.last.strangers),
                },
            )

    def _sign_off(self) -> None:
        if self._started_ms:
            parting = connect(self.settings.redis_url, timeout_s=PARTING_S)
            sign_off(Outbox(parting, base=self.settings.key_prefix), self._who)

    def _connected(self) -> None:
        """The door has a new connection (called in the event loop): what is behind it is looked at at once."""
        self.watch.reconnected()
        self._look_wanted.set()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.health.stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._look_wanted.wait()
            self._look_wanted.clear()
            try:
                await loop.run_in_executor(None, self.reload_if_changed)
                await loop.run_in_executor(None, self._say_damage)
                seen = await self.watch.seen()
                if not seen.answers:
                    # Each question would take its 2 s; the config is reloaded all the same.
                    continue
                await loop.run_in_executor(None, self._look_for_the_key)
                await loop.run_in_executor(None, self._give_sign)
                await loop.run_in_executor(None, self._look_for_drops)
                await self.tally.flush(self._door_of, int(time.time() * 1000))
                await loop.run_in_executor(None, self.metrics.flush)
                if self.spool_drain is not None and not seen.away:
                    self.spool_drain.begin()
                self.beside.rest()
                await loop.run_in_executor(None, self._lane_looks.look, tuple(self.lanes))
            except Exception:
                # The ticker must outlive anything: without it nothing is reloaded or counted any more.
                logging.getLogger("relay").exception("tick.failed")

    # -- life ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        await self.watch.seen()
        await loop.run_in_executor(None, self._look_for_the_key)
        if self.spool_drain is not None:
            await self.spool_drain.begin_first()
        self._ticker = loop.create_task(self._tick())
        tune_malloc(keep_bytes=16 * 1024 * 1024, block_bytes=1024 * 1024)
        log("web.started", config=self.house.config.version, sources=len(self.house.sources))
        try:
            yield
        finally:
            self.health.stopping = True
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
            if self.spool_drain is not None:
                await self.spool_drain.stop()
            await self.lanes.close()
            await asyncio.to_thread(self.beside.close)
            if self.spool_drain is not None:
                await self.spool_drain.close()
            # Where Redis hangs each lane's counts would take its time; the sign-off waits as briefly.
            with suppress(TimeoutError):
                async with asyncio.timeout(PARTING_S):
                    await self.tally.flush(self._door_of, int(time.time() * 1000))
            await self.lanes.hang_up()
            await self.redis_async.aclose()
            await asyncio.to_thread(self._sign_off)
            self._ringer.shutdown()
            if self.tracing is not None:
                await asyncio.to_thread(self.tracing.close)
            log("web.stopped")


def _retention(config: Config, house: House) -> Retention:
    return Retention.of(config.keep, dedupe_s=house.dedupe_s)
