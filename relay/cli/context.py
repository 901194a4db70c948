"""What a command works with: settings, the loaded config, Redis. Beside a running `relay up` (its `up.json` in the data
folder) a command needs no environment at all."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from relay.errors import UserError
from relay.settings import Settings

DATA = ".relay"


def running_up(data: str = DATA) -> dict[str, Any]:
    """What the `relay up` of this folder wrote, {} where there is none or it has ended."""
    try:
        held: dict[str, Any] = json.loads((Path(data) / "up.json").read_text(encoding="utf-8"))
        pid = int(held["pids"]["up"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return held


def read_settings(data: str = DATA) -> Settings:
    """The environment's settings; where it names no Redis and a `relay up` runs here, that one's."""
    settings = Settings.read(os.environ)
    held = running_up(data)
    if not held:
        return settings
    changes: dict[str, Any] = {}
    if not _set("REDIS_URL"):
        changes["redis_url"] = held["redis"]
    if not _set("CONFIG"):
        changes["config"] = held["config"]
    if not _set("PLANHAT_URL") and held.get("planhat"):
        changes["planhat_url"] = held["planhat"]
    if not _set("PLANHAT_TOKEN") and held.get("sandbox"):
        changes["planhat_token"] = lambda: "sandbox"
    return replace(settings, **changes)


def environment(data: str = DATA) -> dict[str, str]:
    """What `${NAME}` in the config is read from: the environment, and the example's own defaults beside `relay up`."""
    held = running_up(data)
    return {**held.get("environ", {}), **os.environ}


def _set(name: str) -> bool:
    return bool(os.environ.get(f"RELAY_{name}") or os.environ.get(f"RELAY_{name}_FILE"))


@dataclass
class Context:
    """Everything a command may need, made when first asked for."""

    settings: Settings
    data: str = DATA

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from relay.rules.file.load import load

        if not Path(self.settings.config).exists():
            raise UserError(
                f"{self.settings.config}: no such file; name one with RELAY_CONFIG, or run beside `relay up`"
            )
        return load(self.settings.config, environment(self.data))

    @property
    def config(self) -> Any:
        return self._loaded[0]

    @property
    def rulebook(self) -> Any:
        return self._loaded[1]

    @cached_property
    def house(self) -> Any:
        from relay.door.house import furnish

        return furnish(self.config, self.rulebook)

    @cached_property
    def redis(self) -> Any:
        from relay.outbox.connection import connect
        from relay.outbox.keys import set_rq_prefix

        set_rq_prefix(self.settings.key_prefix)

        return connect(self.settings.redis_url)

    @cached_property
    def outbox(self) -> Any:
        from relay.outbox.outbox import Outbox
        from relay.outbox.vault import Vault

        return Outbox(self.redis, base=self.settings.key_prefix, vault=Vault(self.settings.encryption_keys))

    @cached_property
    def delivery(self) -> Any:
        from relay.outbox.delivery import Delivery

        return Delivery(self.redis, base=self.settings.key_prefix)


def open_context(data: str = DATA) -> Context:
    return Context(settings=read_settings(data), data=data)
