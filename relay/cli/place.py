"""Where a command looks for the relay: `--data`, `--config` and `--env-file`, alike on every command; and of which lane, `--lane`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any, TypeVar

import click

from relay.errors import UserError

DATA = ".relay"
_F = TypeVar("_F", bound=Callable[..., Any])
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """`data` is the folder of a `relay up`; `named`: it was given on the command line, `wanted`: there or as RELAY_DATA.
    `config`, `env_file` and `lane` are "" where they were not given."""

    data: str = DATA
    named: bool = False
    wanted: bool = False
    config: str = ""
    env_file: str = ""
    lane: str = ""

    def environ(self, config: str = "") -> dict[str, str]:
        """Return the environment, and what the env file says beside it: `--env-file`, else `.env` beside `config`. What the
        environment has stands. Raises UserError for a file that cannot be read."""
        filed = {
            name: value
            for name, value in self._filed(config or self.config).items()
            if not (name.startswith("RELAY_") and _other_way(name) in os.environ)
        }
        return {**filed, **os.environ}

    def enter(self, config: str = "") -> None:
        """Take what the env file says into this process's environment, for it and for those that it starts. Raises UserError."""
        os.environ.update(self.environ(config))

    def _filed(self, config: str) -> Mapping[str, str]:
        if self.env_file:
            return read_env_file(self.env_file)
        path = Path(config or _told("CONFIG") or "relay.yaml").parent / ".env"
        return read_env_file(str(path)) if path.is_file() else {}


def _told(name: str) -> str:
    """Return a setting that is wanted before all others are read; "" where it is not set. Raises UserError."""
    if not any(f"RELAY_{name}{end}" in os.environ for end in ("", "_FILE")):
        return ""
    from relay.environment import Environment

    return Environment(os.environ).value(name, "")


def _other_way(name: str) -> str:
    """The other of the two variables that a setting may be given by."""
    return name.removesuffix("_FILE") if name.endswith("_FILE") else f"{name}_FILE"


def lane_options(command: _F) -> _F:
    """Return `place_options` and `--lane`."""
    from relay.cli.names import LANE_PARAM

    wrapped: Any = click.option(
        "--lane",
        type=LANE_PARAM,
        help="This Planhat tenant's alone, where the config has several.",
    )
    return wrapped(place_options(command))  # type: ignore[no-any-return]


env_file_option = click.option(
    "--env-file",
    type=click.Path(dir_okay=False),
    help="Variables, one NAME=value a line; `.env` beside the config otherwise.",
)


def place_options(command: _F) -> _F:
    """Adds the three options and gives the command one argument, `place`."""

    def run(
        *arguments: Any,
        data: str | None,
        config_file: str | None,
        env_file: str | None,
        lane: str | None = None,
        **options: Any,
    ) -> Any:
        told = {"data": data, "config_file": config_file, "env_file": env_file, "lane": lane}
        return command(*arguments, place=place_of(told), **options)

    wrapped: Any = update_wrapper(run, command)
    for option in (
        env_file_option,
        click.option(
            "--config",
            "config_file",
            type=click.Path(dir_okay=False),
            help="The YAML file; RELAY_CONFIG otherwise.",
        ),
        click.option(
            "--data",
            type=click.Path(file_okay=False),
            help=f"The folder of the `relay up` to use; RELAY_DATA, or {DATA}, otherwise.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def place_of(options: Mapping[str, Any]) -> Place:
    """Return what the values of the options name; what is missing or None was not given."""
    data = options.get("data")
    told = _told("DATA")
    return Place(
        data=data or told or DATA,
        named=data is not None,
        wanted=bool(data is not None or told),
        config=options.get("config_file") or "",
        env_file=options.get("env_file") or "",
        lane=options.get("lane") or "",
    )


def read_env_file(path: str) -> dict[str, str]:
    """Return `NAME=value` lines (`export` before them, quotes around the value and comments as shells have them; nothing is
    expanded). Raises UserError with the line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not text'}"
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if not match:
            raise UserError(f"{path}:{number}: wanted NAME=value")
        found[match[1]] = _unquoted(match[2].strip())
    return found


def _unquoted(value: str) -> str:
    for quote in ("'", '"'):
        if value.startswith(quote):
            inner, closed, _ = value[1:].partition(quote)
            return inner if closed else value
    return re.split(r"\s+#", value, maxsplit=1)[0]
