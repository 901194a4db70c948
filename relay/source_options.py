"""A source of the config, as its adapter sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What a sender's JWT may be signed with: a key pair, or a shared secret.
JWT_PAIRED = ("RS256", "ES256")
JWT_SHARED = ("HS256",)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """A source of the config, as its adapter sees it. Secrets are read through `secrets()` at each use, so that a
    changed file counts at once; never keep their values."""

    name: str
    adapter: str
    secrets: Callable[[], Sequence[str]] = tuple
    basic_auth: Callable[[], Sequence[str]] = tuple
    bearer: Callable[[], Sequence[str]] = tuple
    api_key_header: str = ""
    api_keys: Callable[[], Sequence[str]] = tuple
    public_keys: Callable[[], Sequence[str]] = tuple
    private_keys: Callable[[], Sequence[str]] = tuple
    public_url: str = ""
    signature: Mapping[str, Any] = field(default_factory=dict)
    #: As `jwt:` reads, with `keys` and `secrets` as callables that give all of them, `jwks_file` as one that gives its text.
    jwt: Mapping[str, Any] = field(default_factory=dict)
    handshake: Mapping[str, str] = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    certificate_files: tuple[str, ...] = ()
    scheme: str = ""
    versions: tuple[str, ...] = ()
    keep: frozenset[str] = frozenset()
    #: `strict`, `as_told`, or "" (as the adapter has it): see `relay.sources.read.privacy`.
    privacy: str = ""
    skip: frozenset[str] = frozenset()
    thread_subject: str = ""
    unauthenticated: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)
