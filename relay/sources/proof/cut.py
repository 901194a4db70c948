"""Takes the credentials out of a verified request, before anything of it is parsed, kept or shown: what `verify` compared in
clear, and what of the kind senders put beside it. A signature is none: it proves this request and no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from relay.errors import PayloadInvalid
from relay.sources.base import Credentials, Inbound
from relay.sources.foreign_json import loads
from relay.sources.large_json import dump_large
from relay.sources.read.multipart import form_pairs

#: What stands in the place of a credential.
CUT = "[cut]"
#: Names under which senders hand over a shared secret, whichever adapter asks for it.
_QUERY = frozenset(
    {
        "access_token",
        "api_key",
        "api-key",
        "apikey",
        "auth",
        "auth_token",
        "key",
        "password",
        "secret",
        "token",
    }
)
_HEADERS = frozenset(
    {
        "api-key",
        "apikey",
        "authorization",
        "cookie",
        "proxy-authorization",
        "x-access-token",
        "x-api-key",
        "x-apikey",
    }
    | {
        "x-auth-token",
        "x-authorization",
        "x-gitlab-token",
        "x-hook-secret",
        "x-secret",
        "x-token",
        "x-webhook-secret",
    }
    | {"x-webhook-token"}
)
_FORM = "application/x-www-form-urlencoded"


def all_places(own: Credentials, *headers: str) -> Credentials:
    """Return an adapter's places, and those that hold for every sender; `headers` are further ones, in any case."""
    listed = {header.lower() for header in headers if header}
    return replace(own, headers=own.headers | _HEADERS | listed, query=own.query | _QUERY)


def without_credentials(
    inbound: Inbound, credentials: Credentials, secrets: Callable[[], Sequence[str]] = tuple
) -> Inbound:
    """Return the request without what stands at these places (see `all_places`). `secrets` gives the values that are configured: where
    a body carries credentials, none of them stays in it, however it is written there."""
    hidden, headers = credentials.headers, inbound.headers
    target, query, body = inbound.path_query, inbound.query, inbound.body
    if "?" in target:
        target, query = _without_query(inbound, credentials.query)
    if credentials.in_body:
        body = _without_fields(inbound, credentials)
        if not credentials.quick:
            for secret in filter(None, secrets()):
                body = body.replace(secret.encode(), CUT.encode())
    if not hidden.isdisjoint(headers):
        headers = {name: value for name, value in headers.items() if name not in hidden}
    elif body is inbound.body and target is inbound.path_query:
        return inbound
    return Inbound(body, headers, inbound.method, target, query, inbound.once)


def _without_query(inbound: Inbound, names: frozenset[str]) -> tuple[str, Mapping[str, str]]:
    path, _, text = inbound.path_query.partition("?")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return path, {}
    if not any(name.lower() in names for name, _ in pairs):
        return inbound.path_query, inbound.query
    kept = [(name, CUT if name.lower() in names else value) for name, value in pairs]
    return f"{path}?{urlencode(kept, safe='[]')}", dict(kept)


def _without_fields(inbound: Inbound, credentials: Credentials) -> bytes:
    body = inbound.body
    if credentials.quick:
        mark, value = _quick(credentials.quick)
        at = body.find(mark)
        if at >= 0 and (found := value.match(body, at + len(mark))):
            return b"".join((body[: found.start(1)], CUT.encode(), body[found.end(1) :]))
        return body
    if credentials.elements:
        body = _elements(credentials.elements).sub(rb"\1" + CUT.encode(), body)
    if not credentials.paths:
        return body
    if inbound.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        return _without_form_fields(body, credentials)
    try:
        value = loads(body)
    except PayloadInvalid:
        return body
    struck = False
    for path in credentials.paths:
        struck |= strike(value, path.split("."), CUT)
    return dump_large(value) if struck else body


def _without_form_fields(body: bytes, credentials: Credentials) -> bytes:
    try:
        pairs = form_pairs(body, 1000)
    except PayloadInvalid:
        return body
    if not any(name in credentials.paths for name, _ in pairs):
        return body
    return urlencode([(name, CUT if name in credentials.paths else text) for name, text in pairs]).encode()


def strike(value: Any, path: list[str], instead: str | Callable[[Any], Any] | None) -> bool:
    """Puts `instead` (what it makes of what was there; None: nothing) where `path` leads (`*` is any key or index); whether there
    was anything."""
    head, rest = path[0], path[1:]
    keys: Iterable[Any] = ()
    if isinstance(value, dict):
        keys = list(value) if head == "*" else (head,) if head in value else ()
    elif isinstance(value, list):
        if head == "*":
            keys = range(len(value))
        elif head.isascii() and head.isdigit() and int(head[:9]) < len(value):
            keys = (int(head),)
    struck = False
    for key in keys:
        if rest:
            struck |= strike(value[key], rest, instead)
            continue
        struck = True
        if instead is None and isinstance(value, dict):
            del value[key]
        else:
            value[key] = instead(value[key]) if callable(instead) else instead
    return struck


@lru_cache(maxsize=64)
def _quick(name: str) -> tuple[bytes, re.Pattern[bytes]]:
    """The first `"name": "..."` of JSON: the key, and a pattern for what follows it. A quote within a text is escaped, so what
    fits is a key and its value."""
    return f'"{name}"'.encode(), re.compile(
        rb'\s{0,9}:\s{0,9}"((?:[^"\\]{1,1000}+|\\.){0,1000}+)"', re.DOTALL
    )


@lru_cache(maxsize=64)
def _elements(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """The text of XML elements, whatever their prefix."""
    listed = b"|".join(re.escape(name.encode()) for name in names)
    return re.compile(rb"(<(?:[\w.-]{1,40}:)?(?:" + listed + rb")(?:\s[^<>]{0,1000})?>)[^<]{1,10000}")
