"""Reading one `RELAY_...` variable of a process: as a text, a number, a choice, a secret, or the bounds of a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields

from relay.bounds import Bounds
from relay.errors import SettingsInvalid
from relay.secret import Secret, SecretCheck, SecretFile, SecretUnreadable, fixed
from relay.units import parse_duration, parse_size

#: No braces and no colons: what stands in braces decides where a cluster puts a key.
_KEY_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")

#: The least of a bound that works at all; less is a mistake.
_LEAST = {
    "head_bytes": 1024,
    "bodies_bytes": 1024 * 1024,
    "connections": 8,
    "beside_bytes": 1024,
    "beside_processes": 1,
}


class Environment:
    """The variables of a process. Every reading raises SettingsInvalid with the variable's name and what it should be."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def value(self, name: str, default: str) -> str:
        """Return `RELAY_<name>`, or what its file holds, or the default."""
        path = self._environ.get(f"RELAY_{name}_FILE", "")
        if path:
            self._require_one(name)
            try:
                return SecretFile(path)().strip()
            except SecretUnreadable as error:
                raise SettingsInvalid(f"RELAY_{name}_FILE: {error}") from error
        return self._environ.get(f"RELAY_{name}", "").strip() or default

    def _require_one(self, name: str) -> None:
        if self._environ.get(f"RELAY_{name}", "") and self._environ.get(f"RELAY_{name}_FILE", ""):
            raise SettingsInvalid(f"RELAY_{name} and RELAY_{name}_FILE are both set; leave one out")

    def secret(self, name: str, check: SecretCheck) -> Callable[[], str]:
        self._require_one(name)
        # A variable that is there and empty is a mistake, not a wish to go without: the secret got lost on its way.
        for variable in (f"RELAY_{name}_FILE", f"RELAY_{name}"):
            text = self._environ.get(variable)
            if text is None:
                continue
            # As from a file: a newline at its end is nobody's secret.
            text = text.rstrip("\r\n")
            if not text:
                raise SettingsInvalid(f"{variable} is set and empty; give it a value, or unset it")
            read = SecretFile(text) if variable.endswith("_FILE") else None
            try:
                return Secret(variable, read, check) if read else fixed(variable, text, check)
            except ValueError as error:
                raise SettingsInvalid(f"{variable}: {error}") from error
        return lambda: ""

    def flag(self, name: str, default: str) -> bool:
        return self.choice(name, default, ("true", "false", "1", "0", "yes", "no")) in ("true", "1", "yes")

    def port(self, name: str, default: int) -> int:
        text = self.value(name, str(default))
        if not (text.isascii() and text.isdigit() and int(text) < 65536):
            raise SettingsInvalid(f"RELAY_{name} should be a port number (0-65535), not {text!r}")
        return int(text)

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        text = self.value(name, default).lower()
        if text not in choices:
            raise SettingsInvalid(f"RELAY_{name} should be one of {', '.join(choices)}, not {text!r}")
        return text

    def key_prefix(self) -> str:
        text = self.value("KEY_PREFIX", "relay")
        if not _KEY_PREFIX.fullmatch(text):
            raise SettingsInvalid(
                f"RELAY_KEY_PREFIX should be 1 to 40 letters, digits, dots or hyphens, not {text!r}"
            )
        return text


def read_bounds(value: Callable[[str, str], str]) -> Bounds:
    """Return the bounds that the environment sets. `value(name, default)` reads a `RELAY_` variable. Raises SettingsInvalid."""
    found: dict[str, float | int] = {}
    for one in fields(Bounds):
        name = one.name.upper()
        text = value(name, "")
        if not text:
            continue
        found[one.name] = _seconds(name, text) if one.name.endswith("_s") else _number(name, text)
        if found[one.name] < _LEAST.get(one.name, 0):
            raise SettingsInvalid(f"RELAY_{name} should be at least {_LEAST[one.name]}, not {text!r}")
    return Bounds(**found)  # type: ignore[arg-type]


def _seconds(name: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise SettingsInvalid(f"RELAY_{name} {error}, not {text!r}") from error
    if seconds <= 0:
        raise SettingsInvalid(f"RELAY_{name} should be more than nothing, not {text!r}")
    return seconds


def _number(name: str, text: str) -> int:
    try:
        return parse_size(text) if name.endswith("_BYTES") else int(text)
    except ValueError as error:
        wanted = str(error) if name.endswith("_BYTES") else "should be a whole number"
        raise SettingsInvalid(f"RELAY_{name} {wanted}, not {text!r}") from error
