"""What `relay up` tells its sandbox of the tenant: the config's conversation types, the companies of its tables, and what `sandbox:`
says beside them. Told again when the config file changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import orjson

from relay.cli.up_folder import write_private
from relay.config import Config, LaneConfig
from relay.errors import RelayError
from relay.planhat.sandbox.seeds import standard_tenant

SEED_FILE: Final = "sandbox-seed.json"
_LOOK_EVERY_S: Final = 1.0
_TOLD_TIMEOUT_S: Final = 5.0


def tenant_of_config(config: Config) -> dict[str, Any]:
    """Return a seed as `relay.planhat.sandbox.seed` reads it. What `sandbox:` gives comes last and so has the last word."""
    given = config.sandbox
    types = given.get("types") or [
        *config.planhat.types,
        *(type_ for lane in config.lanes.values() for type_ in lane.planhat.types),
        *(source.type for source in config.sources.values() if source.type),
    ]
    seed: dict[str, Any] = {"companies": [*_companies_of_tables(config), *(given.get("companies") or [])]}
    if types:
        seed["types"] = list(dict.fromkeys(types))
    for name in ("people", "custom_fields"):
        if given.get(name):
            seed[name] = list(given[name])
    return seed


def _companies_of_tables(config: Config) -> Iterator[dict[str, Any]]:
    """Those that the sandbox does not have already, with the domains that a table gives them."""
    domains: dict[str, list[str]] = {}
    # A lane that says nothing of its own has the file's steps.
    lanes: tuple[Config | LaneConfig, ...] = (config, *config.lanes.values())
    for step in {id(step): step for lane in lanes for step in lane.companies}.values():
        if step.kind == "default":
            domains.setdefault(step.value, [])
        for asked, company_id in step.table.items():
            domains.setdefault(company_id, [])
            if step.key == "domain":
                domains[company_id].append(asked)
    standard = standard_tenant()["companies"]
    taken = {domain for row in standard for domain in row["domains"]}
    known = {key: row for row in standard for key in _keys_of(row)}
    for company_id, own in domains.items():
        more = [domain for domain in own if domain not in taken]
        row = known.get(company_id)
        if row is None:
            yield {**_key_of(company_id), "domains": more}
        elif more:
            yield {"_id": row["_id"], "name": row["name"], "domains": [*row["domains"], *more]}


def _keys_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    return str(row["_id"]), f"extid-{row['externalId']}", f"srcid-{row['sourceId']}"


def _key_of(company_id: str) -> dict[str, str]:
    kind, _, rest = company_id.partition("-")
    names = {"extid": "externalId", "srcid": "sourceId"}
    name, key = (names[kind], rest) if kind in names else ("_id", company_id)
    return {name: key, "name": key}


class SandboxTenant:
    """The seed file, and the running sandbox that is told of its changes. `load` gives the config, or raises RelayError."""

    def __init__(self, folder: Path, config_file: Path, load: Callable[[], Config]) -> None:
        self.file = folder / SEED_FILE
        self._config_file = config_file
        self._load = load
        self._stamp = self._look()
        self._next = 0.0
        self._told: dict[str, Any] = {}

    def write(self, config: Config) -> None:
        """Write the seed of the sandbox. Raises UserError where it cannot be written."""
        self._told = tenant_of_config(config)
        write_private(self.file, self._told)

    def follow(self, url: str, now: float) -> None:
        """Tell the sandbox what a changed config says, so that a new type is one there too. Never raises: a broken config is the
        web side's to complain of, and a sandbox that does not answer reads the file when it starts again."""
        if now < self._next:
            return
        self._next = now + _LOOK_EVERY_S
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            config = self._load()
            if tenant_of_config(config) == self._told:
                return
            self.write(config)
            _post(f"{url}/_sandbox/seed", self._told)
        except (RelayError, OSError):
            return
        click.echo("the sandbox was told what the changed config says of its tenant", err=True)

    def _look(self) -> tuple[int, int]:
        try:
            found = self._config_file.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size


def _post(url: str, seed: Mapping[str, Any]) -> None:
    import urllib.request

    request = urllib.request.Request(  # noqa: S310 - our own sandbox
        url, orjson.dumps(seed), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=_TOLD_TIMEOUT_S):  # noqa: S310
        pass
