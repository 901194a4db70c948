"""What every source adapter promises: verify on raw bytes, then parse, then trust.

An adapter is built once per configured source from a `SourceOptions` and holds no state that matters. It does no
Redis, no rules and no logging; network only where its provider's proof needs it (SNS certificates), under a
time limit. Nothing of a body is parsed before `verify` returned.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import ClassVar, Protocol

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event
from relay.source_options import SourceOptions
from relay.value import value_class


@value_class(frozen=True, slots=True)
class Inbound:
    """One HTTP request as it came. Header names are lower-case; where a header repeats, values are joined by ", ".

    `path_query` is the request target as received ("/hooks/hubspot?x=1"); adapters that sign the URL
    join it to `public_url`.
    """

    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"
    path_query: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    #: Dedupe keys of what this verified request was proven with (`Adapter.nonces`).
    once: tuple[str, ...] = ()

    def with_body(self, body: bytes) -> Inbound:
        return Inbound(body, self.headers, self.method, self.path_query, self.query, self.once)

    def proven_by(self, once: tuple[str, ...]) -> Inbound:
        return Inbound(self.body, self.headers, self.method, self.path_query, self.query, once)


@dataclass(frozen=True, slots=True)
class Reply:
    """A ready HTTP answer: a handshake's echo, or what a sender demands instead of 202."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Genuine, but no event: `reason` is a short word for counting ("bot", "private", "handshake", "unfurl")."""

    reason: str


@dataclass(frozen=True, slots=True)
class Parked:
    """Genuine but malformed, from a sender that would lose it on a 4xx: accepted, and a dead letter at stage `map`.

    `delivery_key` makes its event id stable (a content hash where nothing better is known).
    """

    cause: str
    delivery_key: str


Parsed = Event | Skipped | Parked


@dataclass(frozen=True, slots=True)
class Answers:
    """The four outcomes in this sender's codes. `accepted_body` replaces our JSON where the sender wants its own."""

    accepted: int = 202
    not_authentic: int = 401
    malformed: int = 400
    try_later: int = 503
    accepted_body: bytes | None = None
    accepted_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where a request of this sender carries a shared secret in clear, beside the places that hold for all (a login, the usual
    headers and query names): `headers` and `query` by name, lower-case; in the body `paths` (dotted, `*` for any key or index) of
    JSON or a form, XML `elements` by name, and `quick`, a key of JSON that is cut without reading the body."""

    headers: frozenset[str] = frozenset()
    query: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    quick: str = ""

    @property
    def in_body(self) -> bool:
        return bool(self.paths or self.elements or self.quick)


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that `relay send` can post: unsigned; `Adapter.sign` adds the proof. `serial` makes it unique."""

    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"


class Adapter(Protocol):
    """One configured source. Built as `AdapterClass(options)`; raises `ValueError` with a sentence where a needed
    option is missing (`relay check` reports it)."""

    #: The adapter's name in the config.
    name: ClassVar[str]
    #: Content types accepted (lower-case, without parameters); empty: any.
    content_types: ClassVar[frozenset[str]]
    #: Default body limit in bytes.
    max_body_bytes: ClassVar[int]
    #: A body up to this size is read within 50 ms, whatever it holds: a larger one is read beside the event loop.
    inline_bytes: ClassVar[int]
    #: True where the provider's handshake carries no signature (Graph's validationToken).
    handshake_before_verify: ClassVar[bool]
    #: True where the proof may need the network (SNS certificates): it then runs beside the event loop.
    proof_may_fetch: ClassVar[bool]
    answers: Answers
    options: SourceOptions
    #: What is cut out of a request once it is verified.
    credentials: Credentials
    #: How long after it was made a proof may be accepted, in seconds: so long, at least, a delivery is remembered.
    proof_window_s: float

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        """Raise NotAuthentic where headers and URL alone say that the request is none of ours: before its body, which
        `head` is without, is read. What it lets through is not proven yet."""

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        """Returns, or raises NotAuthentic (or VerificationUnavailable). Reads raw bytes and headers only; a proof that lies
        in the body is taken out of it without parsing the rest."""

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        """Give dedupe keys of what this verified request was proven with, and no other may be: a token that does not cover the
        body, or the signed bytes where ids come from elsewhere, or the proof is timeless. They are remembered even where
        nothing of the request is relayed."""

    def timeless(self, inbound: Inbound) -> bool:
        """Tell whether the proof of this verified request says nothing of when it was made."""

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        """Return the answer to a provider's handshake, else None. Called after `verify` for POST (an adapter whose
        handshake is unsigned says so in `handshake_before_verify`), and for GET, HEAD and OPTIONS."""

    def opened(self, inbound: Inbound) -> Inbound:
        """Return the verified request with what its sender tells as the body, where that is wrapped up (a JWT). Raises
        PayloadInvalid."""

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        """Return what the body holds, in its order. Raises PayloadInvalid for what this source never sends."""

    def sample(self, *, serial: int, now_s: float) -> Sample:
        """Return a plausible message of this provider's; a different `serial` gives another message."""

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a root and its replies, oldest first; the sample alone where a source's messages have no threads."""

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        """Return the sample with the proof that `verify` wants, made with the first configured secret."""


class BaseAdapter:
    """The protocol's defaults; an adapter subclasses it and fills in `verify_head`, `verify_body`, `parse`, `sample` and
    `sign`."""

    name: ClassVar[str] = ""
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json"})
    max_body_bytes: ClassVar[int] = 1024 * 1024
    inline_bytes: ClassVar[int] = 64 * 1024
    answers: Answers = Answers()
    credentials: Credentials = Credentials()
    handshake_before_verify: ClassVar[bool] = False
    proof_may_fetch: ClassVar[bool] = False

    def __init__(self, options: SourceOptions) -> None:
        self.options = options
        #: How long after it was made a proof may be accepted, a sender's clock that runs ahead included: so long, at
        #: least, a delivery is remembered.
        self.proof_window_s = 600.0

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        return None

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Verify what `verify_head` could not see. Raises NotAuthentic."""
        raise NotImplementedError

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        self.verify_head(inbound, now_s=now_s)
        self.verify_body(inbound, now_s=now_s)

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return ()

    def timeless(self, inbound: Inbound) -> bool:
        return False

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        return None

    def opened(self, inbound: Inbound) -> Inbound:
        return inbound

    def sample(self, *, serial: int, now_s: float) -> Sample:
        raise NotImplementedError

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [self.sample(serial=serial, now_s=now_s)]


def require_recent(sent_at_s: str, *, now_s: float, tolerance_s: float = 300) -> None:
    """Require that `sent_at_s` is decimal digits, seconds since 1970, at most `tolerance_s` away from `now_s` either way."""
    if not (sent_at_s.isascii() and sent_at_s.isdigit() and len(sent_at_s) < 15):
        raise NotAuthentic("timestamp")
    if abs(now_s - int(sent_at_s)) > tolerance_s:
        raise NotAuthentic("stale")


def same(given: str | bytes, wanted: str | bytes) -> bool:
    """Tell whether two are equal, in constant time; non-ASCII never raises."""
    left = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
    right = wanted.encode("utf-8", "surrogatepass") if isinstance(wanted, str) else wanted
    return hmac.compare_digest(left, right)


def any_same(given: str | bytes, wanted: Iterable[str | bytes]) -> bool:
    """Tell whether `given` is one of `wanted`; all are compared, so time tells nothing."""
    found = False
    for candidate in wanted:
        found |= same(given, candidate)
    return found


def hmac_bytes(secret: str | bytes, signed: bytes, hash_name: str = "sha256") -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.digest(key, signed, hash_name)


def iso_from_us(moment_us: int) -> str:
    """Return microseconds since 1970 as "2026-03-04T05:06:07.089Z", without a float on the way. Raises PayloadInvalid
    outside of years 1-9999."""
    seconds, micros = divmod(moment_us, 1_000_000)
    return f"{_iso_second(seconds)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=256)
def _iso_second(seconds: int) -> str:
    # Events come in bursts: most share their second with the one before.
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    except (OverflowError, OSError, ValueError):
        raise PayloadInvalid("not a time") from None


def content_key(*parts: str | bytes) -> str:
    """Return a delivery key for senders that repeat no id: a hash over what a retry repeats byte for byte."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part)
        digest.update(b"\x1f")
    return digest.hexdigest()
