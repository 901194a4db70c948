"""Process settings: the `RELAY_...` environment, read once at the start of a process.

Each variable may instead be given as `RELAY_..._FILE`, a path whose content is the value; a secret given so is read again
whenever the file changes, without a restart. Nothing else in the project reads the environment, except for the config file's
own `${NAME}`s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields

from relay.bounds import Bounds
from relay.errors import SettingsInvalid
from relay.secret import (
    Secret,
    SecretCheck,
    SecretFile,
    SecretUnreadable,
    Strength,
    fernet_keys,
    fixed,
    given,
    weak_allowed,
)
from relay.transit import travels_in_clear
from relay.units import parse_duration, parse_size

#: No braces and no colons: what stands in braces decides where a cluster puts a key.
_KEY_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Settings:
    """One process's settings. Secrets are callables, because a mounted one may change; they never show in `repr`. One that is
    not configured gives ""; one that is never does."""

    config: str = "relay.yaml"
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    planhat_url: str = "https://api.planhat.com"
    #: `http://` to another machine is let through: a sandbox inside a network of one's own.
    planhat_plain_http: bool = False
    planhat_token: Callable[[], str] = field(default=lambda: "", repr=False)
    operator_token: Callable[[], str] = field(default=lambda: "", repr=False)
    #: Looks and changes nothing.
    reader_token: Callable[[], str] = field(default=lambda: "", repr=False)
    #: Whether the reader token shows what people wrote.
    reader_sees_payloads: bool = False
    #: Keys that encrypt stored payloads, newest first; none: stored in clear.
    encryption_keys: Callable[[], str] = field(default=lambda: "", repr=False)
    #: What `how: hash` is keyed with, and what an erased address is remembered by; none: a key is made and kept in Redis.
    redaction_key: Callable[[], str] = field(default=lambda: "", repr=False)
    #: Short tokens and secrets pass, for development.
    allow_weak_secrets: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    #: A second listener for console, API and metrics; 0: everything on `port`.
    operator_port: int = 0
    log_format: str = "json"
    log_level: str = "info"
    require_durable: bool = True
    heartbeat_file: str = ""
    #: Somebody has named Planhat's address; otherwise it is the usual one.
    planhat_url_given: bool = False
    #: What every key in Redis begins with.
    key_prefix: str = "relay"
    #: Proxies whose X-Forwarded-For is believed, as uvicorn's `forwarded_allow_ips`.
    trusted_proxies: str = "127.0.0.1"
    #: What a request may take before anything about it is proven.
    bounds: Bounds = field(default_factory=Bounds)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Raises SettingsInvalid with the variable's name and what it should be."""

        strength = Strength(weak_allowed(environ))

        def value(name: str, default: str) -> str:
            path = environ.get(f"RELAY_{name}_FILE", "")
            if path:
                require_one(name)
                try:
                    return SecretFile(path)().strip()
                except SecretUnreadable as error:
                    raise SettingsInvalid(f"RELAY_{name}_FILE: {error}") from error
            return environ.get(f"RELAY_{name}", "").strip() or default

        def require_one(name: str) -> None:
            if environ.get(f"RELAY_{name}", "") and environ.get(f"RELAY_{name}_FILE", ""):
                raise SettingsInvalid(f"RELAY_{name} and RELAY_{name}_FILE are both set; leave one out")

        def secret(name: str, check: SecretCheck) -> Callable[[], str]:
            require_one(name)
            # A variable that is there and empty is a mistake, not a wish to go without: the secret got lost on its way.
            for variable in (f"RELAY_{name}_FILE", f"RELAY_{name}"):
                text = environ.get(variable)
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

        def flag(name: str, default: str) -> bool:
            return choice(name, default, ("true", "false", "1", "0", "yes", "no")) in ("true", "1", "yes")

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

        planhat_url = value("PLANHAT_URL", "https://api.planhat.com").rstrip("/")
        plain_http = flag("PLANHAT_PLAIN_HTTP", "false")
        if travels_in_clear(planhat_url) and not plain_http:
            raise SettingsInvalid(
                "RELAY_PLANHAT_URL begins with http://, and the token and the conversations would travel in clear; write "
                "https:// (RELAY_PLANHAT_PLAIN_HTTP=true allows it for a sandbox inside a network of yours)"
            )
        operator, reader = secret("OPERATOR_TOKEN", strength.token), secret("READER_TOKEN", strength.token)
        if reader() and reader() == operator():
            raise SettingsInvalid(
                "RELAY_READER_TOKEN is the same as RELAY_OPERATOR_TOKEN: a reader could change everything"
            )
        return cls(
            config=value("CONFIG", "relay.yaml"),
            redis_url=value("REDIS_URL", "redis://127.0.0.1:6379/0"),
            planhat_url=planhat_url,
            planhat_url_given=bool(value("PLANHAT_URL", "")),
            planhat_plain_http=plain_http,
            planhat_token=secret("PLANHAT_TOKEN", given),
            operator_token=operator,
            reader_token=reader,
            reader_sees_payloads=flag("READER_SEES_PAYLOADS", "false"),
            encryption_keys=secret("ENCRYPTION_KEYS", fernet_keys),
            redaction_key=secret("REDACTION_KEY", strength.token),
            allow_weak_secrets=flag("ALLOW_WEAK_SECRETS", "false"),
            host=value("HOST", "127.0.0.1"),
            port=number("PORT", 8080),
            operator_port=number("OPERATOR_PORT", 0),
            log_format=choice("LOG_FORMAT", "auto", ("auto", "json", "console")),
            log_level=choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
            require_durable=flag("REQUIRE_DURABLE", "true"),
            heartbeat_file=value("HEARTBEAT_FILE", ""),
            key_prefix=key_prefix(),
            trusted_proxies=value("TRUSTED_PROXIES", "127.0.0.1"),
            bounds=read_bounds(value),
        )

    def problems(self) -> list[str]:
        """A sentence for each secret whose file was emptied or damaged since the start; its last good value stays in use."""
        tokens = (
            self.planhat_token,
            self.operator_token,
            self.reader_token,
            self.encryption_keys,
            self.redaction_key,
        )
        return secret_problems(token for token in tokens if isinstance(token, Secret))


def secret_problems(secrets: Iterable[Secret]) -> list[str]:
    """Looks at each secret now and says what is wrong with it."""
    found = []
    for secret in secrets:
        secret()
        if secret.problem:
            found.append(secret.problem)
    return found


#: The least of a bound that works at all; less is a mistake.
_LEAST = {
    "head_bytes": 1024,
    "bodies_bytes": 1024 * 1024,
    "connections": 8,
    "beside_bytes": 1024,
    "beside_processes": 1,
}


def read_bounds(value: Callable[[str, str], str]) -> Bounds:
    """The bounds that the environment sets. `value(name, default)` reads a `RELAY_` variable. Raises SettingsInvalid."""
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
