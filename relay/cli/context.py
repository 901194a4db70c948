"""What a command works with: settings, the loaded config, Redis. Beside a running `relay up` (its `up.json` in the data
folder) a command needs no environment at all; where no relay is found it says where it looked."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
from redis.exceptions import RedisError

from relay.cli.place import Place
from relay.errors import ConfigInvalid, Mistake, NotFound, OutboxUnavailable, RelayError, UserError
from relay.settings import Settings

_T = TypeVar("_T")


def _of_all_lanes(make: Callable[[Any], _T]) -> cached_property[_T]:
    """What is the same for all lanes: made once, and when it is first asked for."""

    def read(context: CliContext) -> _T:
        if context.whole is None:
            return make(context)
        made: _T = getattr(context.whole, make.__name__)
        return made

    return cached_property(read)


class NothingRuns(RelayError):
    """No relay was found; the message names what was tried and what to do."""


def running_up(data: str) -> dict[str, Any]:
    """Return what the `relay up` of this folder wrote, {} where there is none or it has ended."""
    try:
        held: dict[str, Any] = json.loads((Path(data) / "up.json").read_text(encoding="utf-8"))
        pid = int(held["pids"]["up"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return held


@dataclass
class CliContext:
    """Everything a command may need, made when first asked for. Raises UserError and NothingRuns from its properties."""

    place: Place = field(default_factory=Place)
    #: That of all lanes, of which this is one.
    whole: CliContext | None = None

    # -- where it is ------------------------------------------------------------------------------------------

    @_of_all_lanes
    def up(self) -> dict[str, Any]:
        return running_up(self.place.data)

    @_of_all_lanes
    def environ(self) -> dict[str, str]:
        """Return what settings and the config's `${NAME}`s are read from: what `relay up` made for its example, the env file, and
        the environment, the last word."""
        config = "" if self.place.config else str(self.up.get("config") or "")
        return {**self.up.get("environ", {}), **self.place.environ(config)}

    @_of_all_lanes
    def settings(self) -> Settings:
        """Return the environment's; where it names no Redis, config or Planhat, those of the `relay up`. A folder given as --data
        is meant: then its `relay up` goes before the environment."""
        settings = Settings.read(self.environ)
        changes: dict[str, Any] = {"config": self.place.config} if self.place.config else {}
        if self.up:
            if self.place.named or not self._set("REDIS_URL"):
                changes["redis_url"] = self.up["redis"]
            if not self.place.config and (self.place.named or not self._set("CONFIG")):
                changes["config"] = self.up["config"]
            if self.up.get("planhat") and (self.place.named or not self._set("PLANHAT_URL")):
                changes["planhat_url"] = self.up["planhat"]
            if self.up.get("sandbox") and not self._set("PLANHAT_TOKEN"):
                changes["planhat_token"] = lambda: "sandbox"
        return replace(settings, **changes)

    @property
    def relay_url(self) -> str:
        """The running relay's address. Raises NothingRuns: no port is guessed."""
        if self.up:
            return str(self.up["relay"])
        self.require_named()
        if self._set("PORT") or self._set("HOST"):
            return f"http://{self.settings.host}:{self.settings.port}"
        raise NothingRuns(
            f"no relay to send to: no `relay up` runs in {self.place.data}, and neither --url nor RELAY_PORT names one. "
            f"`relay up` starts one; --data names another folder"
        )

    @property
    def operators_url(self) -> str:
        """The address of console and API. Raises NothingRuns."""
        if self.up:
            return str(self.up.get("console") or self.up["relay"]).removesuffix("/console/")
        base, port = self.relay_url, self.settings.operator_port
        return f"http://{self.settings.host}:{port}" if port else base

    def require_named(self) -> None:
        """Raise NothingRuns where a folder was named on the command line and no `relay up` runs there: whatever else the
        environment names is another relay."""
        if self.place.named and not self.up:
            raise self._nothing_runs()

    def _nothing_runs(self) -> NothingRuns:
        told = f"no relay runs in {self.place.data} (no `relay up` there). Start it with `relay up --data {self.place.data}`"
        if self._set("REDIS_URL"):
            # The folder was meant: what the environment names may be production.
            return NothingRuns(f"{told}, or leave --data out to use the Redis that RELAY_REDIS_URL names")
        return NothingRuns(f"{told}, name another folder with --data, or a Redis with RELAY_REDIS_URL")

    def operator_token(self) -> str:
        """Return the token for console and API: the environment's, else the one that `relay up` keeps; "" where there is none."""
        token = self.settings.operator_token()
        file = str(self.up.get("operator_token_file") or "")
        if not token and file:
            from relay.secret import SecretFile, SecretUnreadable

            try:
                token = SecretFile(file)()
            except SecretUnreadable as error:
                raise UserError(f"{error}") from error
        return token

    def _set(self, name: str) -> bool:
        return bool(self.environ.get(f"RELAY_{name}") or self.environ.get(f"RELAY_{name}_FILE"))

    @property
    def names_redis(self) -> bool:
        """Whether a `relay up` or the environment says which Redis is meant."""
        return bool(self.up) or self._set("REDIS_URL")

    # -- what stands there --------------------------------------------------------------------------------------

    @_of_all_lanes
    def _loaded(self) -> tuple[Any, Any]:
        from relay.rules.file.load import load

        if not Path(self.settings.config).exists():
            told = "no such file; name one with --config or RELAY_CONFIG, or run beside `relay up`"
            raise ConfigInvalid([Mistake(told, self.settings.config)])
        return load(self.settings.config, self.environ)

    @property
    def config(self) -> Any:
        """Today's; of the lane that is named, where one is."""
        return self._loaded[0].for_lane(self.place.lane) if self.place.lane else self._loaded[0]

    @property
    def known_sources(self) -> frozenset[str]:
        """Those of the config, where it holds, and of the books: who pauses or drops in a hurry must not need a sound file."""
        from relay.operations.pause import known_sources

        try:
            configured = list(self.config.sources)
        except RelayError:
            configured = []
        names = known_sources(self.each_lane()[0].outbox, configured)
        return names.union(*(lane.outbox.sources() for lane in self.each_lane()[1:]))

    def require_source(self, name: str) -> None:
        """Raise NotFound for a source that is neither in the config nor in the books, with what was perhaps meant. "" is every source."""
        if name:
            _require("source", name, self.known_sources, "neither in the config nor in the books")

    def require_rule(self, name: str) -> None:
        """Raise NotFound for a rule that maps nothing today, with what was perhaps meant. "" is every rule."""
        if name:
            book = self.rulebook
            rules = (*book.rules, *book.for_any, *(rule for own in book.by_source.values() for rule in own))
            _require("rule", name, {rule.name for rule in rules}, "today's config has none of that name")

    @cached_property
    def config_or_none(self) -> Any:
        """Today's config; None, and on standard error why, where it does not hold: it hides nothing of what happened."""
        try:
            return self.config
        except ConfigInvalid as error:
            first = str(error).splitlines()[0]
            click.echo(f"the config does not hold ({first}); `relay check` names every mistake", err=True)
            return None

    @property
    def rulebook(self) -> Any:
        return self._loaded[1]

    @_of_all_lanes
    def house(self) -> Any:
        from relay.door.house import furnish

        return furnish(self.config, self.rulebook)

    @_of_all_lanes
    def redis(self) -> Any:
        """Return a client. Raises NothingRuns where no relay is named here, OutboxUnavailable where its Redis does not answer."""
        from relay.outbox.connection import connect, in_cluster
        from relay.outbox.keys import set_rq_prefix
        from relay.outbox.reasons import unavailable_reason

        set_rq_prefix(self.settings.key_prefix, clustered=in_cluster(self.settings.redis_url))

        self.require_named()
        named = self.names_redis
        if not named and (self.place.wanted or Path(self.place.data).is_dir()):
            raise self._nothing_runs()
        client = connect(self.settings.redis_url)
        try:
            # Not PING: a server with a full disk refuses that one, and lets itself be read.
            client.time()
        except (RedisError, OSError) as error:
            where = "of the `relay up` there" if self.up else "RELAY_REDIS_URL" if named else "the default"
            advice = (
                ""
                if named
                else f"; no `relay up` runs in {self.place.data} either: start one, or name a Redis"
            )
            raise OutboxUnavailable(
                f"Redis: {unavailable_reason(error)} at {_shown(self.settings.redis_url)} ({where}){advice}"
            ) from error
        return client

    # -- lanes --------------------------------------------------------------------------------------------------

    @_of_all_lanes
    def lane_names(self) -> tuple[str, ...]:
        """Return the config's, as far as the file can be read: who holds a lane in a hurry must not need one that holds."""
        from relay.lane_name import MAIN
        from relay.rules.file.lane_names import read_lane_names

        return read_lane_names(self.settings.config) or (MAIN,)

    @property
    def several(self) -> bool:
        """Whether the config has several lanes and none of them was named."""
        return not self.place.lane and len(self.lane_names) > 1

    @cached_property
    def lane(self) -> str:
        """The lane that is meant. Raises UserError where there are several and none was named, or one that is not there."""
        from relay.lane_name import MAIN
        from relay.rules.file.shape import did_you_mean

        named, names = self.place.lane, self.lane_names
        if not named and len(names) > 1:
            raise UserError(f"the config has several lanes: name one with --lane ({', '.join(names)})")
        if named and named not in (*names, MAIN) and named not in self._left():
            raise UserError(f"no lane is called {named!r}{did_you_mean(named, names)}")
        return named or names[0]

    def _left(self) -> frozenset[str]:
        """Lanes that the config had once: what lies there can still be looked at."""
        from relay.outbox.known_lanes import known_lanes

        try:
            return known_lanes(self.home)
        except RelayError:
            return frozenset()

    def each_lane(self) -> list[CliContext]:
        """Return one for each lane that is meant: the one that was named, or all."""
        if not self.several:
            return [self]
        return [self._of_lane(name) for name in self.lane_names]

    def _of_lane(self, name: str) -> CliContext:
        return CliContext(replace(self.place, lane=name), self)

    @property
    def tenant(self) -> Any:
        """The lane's Planhat, as `LaneTenant`. Raises ConfigInvalid where only the config would tell."""
        from relay.lane_name import MAIN
        from relay.operations.lanes import LaneTenant, lane_tenant

        settings = self.settings
        if self.lane_names == (MAIN,):
            return LaneTenant(settings.planhat_url, settings.planhat_token, settings.planhat_url_given)
        return lane_tenant(self._loaded[0], self.lane, settings)

    @_of_all_lanes
    def home(self) -> Any:
        """Return the outbox of what is the installation's and no lane's: the audit, sign-in links, drops."""
        from relay.outbox.outbox import Outbox
        from relay.outbox.vault import Vault

        return Outbox(self.redis, base=self.settings.key_prefix, vault=Vault(self.settings.encryption_keys))

    @cached_property
    def outbox(self) -> Any:
        """The lane's. Raises UserError as `lane` does."""
        from relay.outbox.cluster_nodes import lane_client
        from relay.outbox.outbox import Outbox

        home, lane = self.home, self.lane
        if lane == home.lane_name:
            return home
        client = lane_client(self.redis, lane)
        return Outbox(client, lane=lane, base=home.base, vault=home.vault, home=home)

    @cached_property
    def delivery(self) -> Any:
        from relay.outbox.cluster_nodes import lane_client
        from relay.outbox.delivery import Delivery

        return Delivery(lane_client(self.redis, self.lane), lane=self.lane, base=self.settings.key_prefix)

    def audit(self, what: str, **of: Any) -> None:
        """Write a line in the audit, before the act; what is empty is left out. Raises OutboxUnavailable."""
        from relay.outbox.audit import AuditLine, write_audit

        told = {name: value for name, value in {**of, "lane": self.place.lane}.items() if value}
        write_audit(self.home, AuditLine(operator(), what, socket.gethostname(), told))


def _require(kind: str, name: str, known: Collection[str], why: str) -> None:
    if name not in known:
        from relay.rules.file.shape import did_you_mean

        raise NotFound(f"no {kind} {name[:80]!r}: {why}{did_you_mean(name, sorted(known))}")


def asked_lanes(contexts: Sequence[CliContext]) -> list[Any]:
    """Return each context's lane as `AskedLane`, with its config where that holds: the books do not depend on it."""
    from relay.operations.lane_facts import AskedLane

    try:
        configs = [context.config for context in contexts]
    except RelayError:
        # That it was refused is among the problems.
        configs = [None] * len(contexts)
    return [
        AskedLane(context.outbox, context.delivery, config)
        for context, config in zip(contexts, configs, strict=True)
    ]


def open_context(place: Place) -> CliContext:
    return CliContext(place)


def operator() -> str:
    """Return who does it, for the record."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def _shown(url: str) -> str:
    """A Redis URL without its login."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "the address given"
