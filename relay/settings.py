"""Process settings: the `RELAY_...` environment, read once at the start of a process.

Each variable may instead be given as `RELAY_..._FILE`, a path whose content is the value; a secret given so is read again
whenever the file changes, without a restart. Nothing else in the project reads the environment, except for the config file's
own `${NAME}`s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from relay.bounds import Bounds
from relay.environment import Environment, read_bounds
from relay.errors import SettingsInvalid
from relay.secret import (
    Secret,
    Strength,
    fernet_keys,
    given,
    weak_allowed,
)
from relay.transit import travels_in_clear


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
    #: Spans go to OpenTelemetry's collector.
    tracing: bool = False
    #: What a request may take before anything about it is proven.
    bounds: Bounds = field(default_factory=Bounds)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from the environment. Raises SettingsInvalid with the variable's name and what it should be."""
        read = Environment(environ)
        strong = Strength(weak_allowed(environ)).token
        planhat_url = read.value("PLANHAT_URL", "https://api.planhat.com").rstrip("/")
        plain_http = read.flag("PLANHAT_PLAIN_HTTP", "false")
        if travels_in_clear(planhat_url) and not plain_http:
            raise SettingsInvalid(
                "RELAY_PLANHAT_URL begins with http://, and the token and the conversations would travel in clear; write "
                "https:// (RELAY_PLANHAT_PLAIN_HTTP=true allows it for a sandbox inside a network of yours)"
            )
        operator, reader = read.secret("OPERATOR_TOKEN", strong), read.secret("READER_TOKEN", strong)
        if reader() and reader() == operator():
            raise SettingsInvalid(
                "RELAY_READER_TOKEN is the same as RELAY_OPERATOR_TOKEN: a reader could change everything"
            )
        return cls(
            config=read.value("CONFIG", "relay.yaml"),
            redis_url=read.value("REDIS_URL", "redis://127.0.0.1:6379/0"),
            planhat_url=planhat_url,
            planhat_url_given=bool(read.value("PLANHAT_URL", "")),
            planhat_plain_http=plain_http,
            planhat_token=read.secret("PLANHAT_TOKEN", given),
            operator_token=operator,
            reader_token=reader,
            reader_sees_payloads=read.flag("READER_SEES_PAYLOADS", "false"),
            encryption_keys=read.secret("ENCRYPTION_KEYS", fernet_keys),
            redaction_key=read.secret("REDACTION_KEY", strong),
            allow_weak_secrets=read.flag("ALLOW_WEAK_SECRETS", "false"),
            host=read.value("HOST", "127.0.0.1"),
            port=read.port("PORT", 8080),
            operator_port=read.port("OPERATOR_PORT", 0),
            log_format=read.choice("LOG_FORMAT", "auto", ("auto", "json", "console")),
            log_level=read.choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
            require_durable=read.flag("REQUIRE_DURABLE", "true"),
            heartbeat_file=read.value("HEARTBEAT_FILE", ""),
            key_prefix=read.key_prefix(),
            trusted_proxies=read.value("TRUSTED_PROXIES", "127.0.0.1"),
            tracing=read.flag("TRACING", "false"),
            bounds=read_bounds(read.value),
        )

    def problems(self) -> list[str]:
        """Return a sentence for each secret whose file was emptied or damaged since the start; its last good value stays in use."""
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
