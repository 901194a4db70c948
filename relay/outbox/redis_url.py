"""The address of Redis, read strictly: a mistake is named with what would be right, and nothing of a password is ever printed.

`redis://[user:password@]host[:port][/db]`, `rediss://` (TLS), `unix:///path[?db=0]`, and
`redis+sentinel://[user:password@]host:port,host:port/service[/db]`, `redis+cluster://[user:password@]host:port,host:port`
(`rediss+...` for TLS; any of a cluster's nodes may be named). Options stand behind a `?`; a password is percent-encoded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from relay.errors import SettingsInvalid

SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
#: What may stand behind the `?`; what redis-py does with each is in its documentation of `Redis.from_url`.
OPTIONS: Final = frozenset(
    {
        "client_name",
        "db",
        "protocol",
        "sentinel_password",
        "sentinel_username",
        "ssl_ca_certs",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
        "ssl_min_version",
    }
)
_VARIABLE: Final = "RELAY_REDIS_URL"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """`hosts` are (host, port): one, the Sentinels, or some nodes of a cluster; none for a unix socket, which has `path`. `tls` for
    `rediss`."""

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def tls(self) -> bool:
        return self.scheme.startswith("rediss")

    @property
    def sentinel(self) -> bool:
        return self.scheme.endswith("+sentinel")

    @property
    def cluster(self) -> bool:
        return self.scheme.endswith("+cluster")

    def shown(self) -> str:
        """Write it for people: without user, password and options."""
        if self.scheme == "unix":
            return f"unix://{self.path}"
        places = ",".join(f"{host}:{port}" for host, port in self.hosts)
        if self.cluster:
            return f"{self.scheme}://{places}"
        return f"{self.scheme}://{places}{'/' + self.service if self.service else ''}/{self.db}"


def parse_redis_url(text: str) -> RedisUrl:
    """Read an address. Raises SettingsInvalid: a sentence that names what is wrong, never the part before the `@`."""
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in SCHEMES:
        raise _wrong(f"should begin with one of {', '.join(s + '://' for s in SCHEMES)}")
    # The last `@`: an earlier one belongs to a password that somebody forgot to encode.
    place, mark, query = rest.rpartition("@")[2].partition("?")
    login = rest.rpartition("@")[0]
    if any(char in login for char in "@/?#"):
        raise _wrong("user and password may not hold @, /, ? or #: percent-encode them (%40, %2F, %3F, %23)")
    if any(char.isspace() for char in text):
        raise _wrong("holds white space; percent-encode it (%20), or take it out")
    options = _options(query) if mark else ()
    user, colon, password = login.partition(":")
    username, password = (unquote(user), unquote(password)) if colon else ("", unquote(user))
    if login and not colon:
        raise _wrong("before the @ stands user:password, or :password alone")
    given = dict(options)
    db_text = given.pop("db", "")
    if scheme == "unix":
        if not place.startswith("/"):
            raise _wrong("after unix:// stands the absolute path of a socket, such as unix:///run/redis.sock")
        return RedisUrl(
            scheme,
            path=unquote(place),
            db=_database(db_text or "0"),
            username=username,
            password=password,
            options=tuple(given.items()),
        )
    return _of_hosts(scheme, place, given, db_text, username, password)


def _of_hosts(
    scheme: str, place: str, options: dict[str, str], db_text: str, username: str, password: str
) -> RedisUrl:
    """`place`: hosts, and what stands behind them."""
    authority, _, path = place.partition("/")
    pieces = [piece for piece in path.split("/") if piece]
    sentinel, cluster = scheme.endswith("+sentinel"), scheme.endswith("+cluster")
    if not authority:
        raise _wrong("names no host")
    if sentinel and not pieces:
        raise _wrong(f"wanted {scheme}://host:26379,host2:26379/service/0, with the service's name")
    service = unquote(pieces.pop(0)) if sentinel else ""
    if len(pieces) > 1:
        raise _wrong(f"has more than a database's number behind the {'service' if sentinel else 'host'}")
    names = authority.split(",")
    if len(names) > 1 and not (sentinel or cluster):
        raise _wrong(
            "names several hosts; several Sentinels are redis+sentinel://, a cluster's nodes redis+cluster://"
        )
    db = _database(pieces[0] if pieces else db_text or "0")
    if cluster and db:
        raise _wrong("names a database; a cluster has database 0 alone")
    return RedisUrl(
        scheme,
        hosts=tuple(_host(name, SENTINEL_PORT if sentinel else REDIS_PORT) for name in names),
        service=service,
        db=db,
        username=username,
        password=password,
        options=tuple(options.items()),
    )


def _host(text: str, default_port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise _wrong("an IPv6 address stands in brackets: [::1]:6379")
        port = port[1:]
    else:
        host, colon, port = text.partition(":")
        if ":" in port:
            raise _wrong("an IPv6 address stands in brackets: [::1]:6379")
        if colon and not port:
            raise _wrong("has a colon behind the host and no port")
    if not host:
        raise _wrong("names no host")
    if not port:
        return unquote(host), default_port
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        # What looks like a port may be a password whose @ is missing: it is not repeated.
        raise _wrong("the port should be a number from 1 to 65535; is an @ missing before the host?")
    return unquote(host), int(port)


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise _wrong("the database behind the host should be a number, such as /0")
    return int(text)


def _options(query: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise _wrong("behind the ? stand name=value, joined by &") from None
    unknown = sorted({name for name, _ in pairs} - OPTIONS)
    if unknown:
        # Their names may be pieces of a password with a ? in it.
        raise _wrong(f"has an option that is not known here; known are {', '.join(sorted(OPTIONS))}")
    return tuple(dict(pairs).items())


def _wrong(what: str) -> SettingsInvalid:
    return SettingsInvalid(f"{_VARIABLE}: {what}")
