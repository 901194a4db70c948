"""Process settings: the `RELAY_...` environment, read once at the start of a process.

Each variable may instead be given as `RELAY_..._FILE`, a path whose content (stripped) is the value; a token given so
is read again whenever the file changes, without a restart. Nothing else in the project reads the environment, except
for the config file's own `${NAME}`s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relay.errors import SettingsInvalid

#: No braces and no colons: what stands in braces decides where a cluster puts a key.
_KEY_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class SecretFile:
    """A value in a file that may change. Calling it gives today's content, stripped; while the file cannot be read
    (a secret being swapped) it gives the last one that could."""

    __slots__ = ("_last", "_stamp", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._last = ""
        self._read(first=True)

    def __call__(self) -> str:
        self._read()
        return self._last

    def __repr__(self) -> str:
        return f"SecretFile({self.path!r})"

    def _read(self, first: bool = False) -> None:
        try:
            status = os.stat(self.path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._last = Path(self.path).read_text(encoding="utf-8").strip()
                self._stamp = stamp
        except (OSError, UnicodeDecodeError) as error:
            if first:
                raise SettingsInvalid(f"{self.path}: cannot be read: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class Settings:
    """One process's settings. Tokens are callables, because a mounted secret may change; they never show in `repr`."""

    config: str = "relay.yaml"
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    planhat_url: str = "https://api.planhat.com"
    planhat_token: Callable[[], str] = field(default=lambda: "", repr=False)
    operator_token: Callable[[], str] = field(default=lambda: "", repr=False)
    #: Keys that encrypt stored payloads, newest first; none: stored in clear.
    encryption_keys: Callable[[], str] = field(default=lambda: "", repr=False)
    host: str = "127.0.0.1"
    port: int = 8080
    #: A second listener for console, API and metrics; 0: everything on `port`.
    operator_port: int = 0
    log_format: str = "json"
    log_level: str = "info"
    require_durable: bool = True
    heartbeat_file: str = ""
    #: What every key in Redis begins with.
    key_prefix: str = "relay"
    #: Proxies whose X-Forwarded-For is believed, as uvicorn's `forwarded_allow_ips`.
    trusted_proxies: str = "127.0.0.1"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Raises SettingsInvalid with the variable's name and what it should be."""

        def value(name: str, default: str) -> str:
            path = environ.get(f"RELAY_{name}_FILE", "")
            if path:
                if environ.get(f"RELAY_{name}", ""):
                    raise SettingsInvalid(f"RELAY_{name} and RELAY_{name}_FILE are both set; leave one out")
                return SecretFile(path)()
            return environ.get(f"RELAY_{name}", "").strip() or default

        def secret(name: str) -> Callable[[], str]:
            path = environ.get(f"RELAY_{name}_FILE", "")
            if path:
                return SecretFile(path)
            # As from a file: a newline at its end is nobody's secret.
            fixed = environ.get(f"RELAY_{name}", "").strip()
            return lambda: fixed

        def number(name: str, default: int) -> int:
            text = value(name, str(default))
            if not (text.isascii() and text.isdigit() and int(text) < 65536):
                raise SettingsInvalid(f"RELAY_{name} should be a port number (0-65535), not {text!r}")
            return int(text)

        def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
            text = value(name, default).lower()
            if text not in choices:
                raise SettingsInvalid(f"RELAY_{name} should be one of {', '.join(choices)}, not {text!r}")
            return text

        def key_prefix() -> str:
            text = value("KEY_PREFIX", "relay")
            if not _KEY_PREFIX.fullmatch(text):
                raise SettingsInvalid(
                    f"RELAY_KEY_PREFIX should be 1 to 40 letters, digits, dots or hyphens, not {text!r}"
                )
            return text

        return cls(
            config=value("CONFIG", "relay.yaml"),
            redis_url=value("REDIS_URL", "redis://127.0.0.1:6379/0"),
            planhat_url=value("PLANHAT_URL", "https://api.planhat.com").rstrip("/"),
            planhat_token=secret("PLANHAT_TOKEN"),
            operator_token=secret("OPERATOR_TOKEN"),
            encryption_keys=secret("ENCRYPTION_KEYS"),
            host=value("HOST", "127.0.0.1"),
            port=number("PORT", 8080),
            operator_port=number("OPERATOR_PORT", 0),
            log_format=choice("LOG_FORMAT", "auto", ("auto", "json", "console")),
            log_level=choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
            require_durable=choice("REQUIRE_DURABLE", "true", ("true", "false", "1", "0", "yes", "no"))
            in ("true", "1", "yes"),
            heartbeat_file=value("HEARTBEAT_FILE", ""),
            key_prefix=key_prefix(),
            trusted_proxies=value("TRUSTED_PROXIES", "127.0.0.1"),
        )
