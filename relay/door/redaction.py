"""Redaction at the door: what the config names is hashed or dropped from a verified request before anything of it is parsed,
stored or sent on, and once more from the event, where what was encoded in the request has come to light.

`field` is a dotted path of the body (JSON or a form; `*` for any key or index); `pattern` a regular expression over every text.
A hash is `redacted-` and 12 hex digits, keyed, and equal for equal values, so that threads and people still fit together.
Patterns run in RE2: in linear time, whatever text comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from relay.config import Redaction
from relay.errors import PayloadInvalid
from relay.event import Event
from relay.linear_pattern import compile_pattern
from relay.sources.base import Inbound, loads
from relay.sources.proof.cut import strike
from relay.sources.read.multipart import MAX_PARTS, clean_parts, form_pairs, parse_parameters

#: Of an event, what identifies it stays: it was made of the redacted request already.
_IDENTITY = frozenset(
    {"id", "source", "adapter", "kind", "time", "thread", "message_id", "delivery_id", "also_seen"}
)
_MAX_FIELDS = 10_000
_MAX_DEPTH = 64
_LARGE_CHARS = 1_000_000


class Redactor:
    """The rules of a config, ready. `key` gives the key of the hashes, at each use; it may raise OutboxUnavailable."""

    def __init__(self, rules: Sequence[Redaction], key: Callable[[], bytes]) -> None:
        self._fields = [(rule.field.split("."), rule.how) for rule in rules if rule.field]
        self._patterns = [(compile_pattern(rule.pattern), rule.how) for rule in rules if rule.pattern]
        self._key = key
        self.hashes = any(rule.how == "hash" for rule in rules)

    # -- a request -------------------------------------------------------------------------------------------

    def request(self, inbound: Inbound) -> Inbound:
        """The request without what the rules name, as far as it stands there readably: in JSON (also JSON within its texts), in
        forms, in the parts of a multipart body, in the query. Raises PayloadInvalid, OutboxUnavailable."""
        target, query = inbound.path_query, inbound.query
        if self._patterns and "?" in target:
            path, _, text = target.partition("?")
            pairs = [(name, self._clean(value)) for name, value in _pairs(text)]
            target, query = f"{path}?{urlencode(pairs, safe='[]')}", dict(pairs)
        body = self._body(inbound.body, inbound.headers.get("content-type", ""))
        return replace(inbound, body=body, path_query=target, query=query)

    def _body(self, body: bytes, content_type: str) -> bytes:
        kind, parameters = parse_parameters(content_type)
        if kind == "application/x-www-form-urlencoded":
            return self._form(body)
        if kind.startswith("multipart/") and parameters.get("boundary"):
            return clean_parts(body, parameters["boundary"].encode("latin-1", "replace"), self._part)
        try:
            value = loads(body)
        except PayloadInvalid:
            return self._clean_bytes(body)
        struck = False
        for path, how in self._fields:
            struck |= strike(value, path, self._veil_value if how == "hash" else None)
        cleaned = self._walk(value, 0) if self._patterns else value
        # Of a large body with nothing to redact in it no copy is made.
        return orjson.dumps(cleaned) if struck or cleaned != value else body

    def _form(self, body: bytes) -> bytes:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            return self._clean_bytes(body)
        pairs = form_pairs(body, MAX_PARTS)
        kept = []
        for name, text in pairs:
            cleaned = self._field(name, text)
            if cleaned is not None:
                kept.append((name, cleaned))
        return urlencode(kept).encode() if kept != pairs else body

    def _part(self, name: str, content: bytes) -> bytes | None:
        """One field of a multipart body; None where it goes."""
        try:
            cleaned = self._field(name, content.decode("utf-8"))
        except UnicodeDecodeError:
            return self._clean_bytes(content)
        return None if cleaned is None else cleaned.encode("utf-8", "surrogatepass")

    def _field(self, name: str, text: str) -> str | None:
        held: dict[str, Any] = {name: text}
        for path, how in self._fields:
            strike(held, path, self._veil_value if how == "hash" else None)
        return self._text(held[name], 0) if name in held else None

    # -- an event --------------------------------------------------------------------------------------------

    def event(self, event: Event) -> tuple[Event, bool]:
        """(the event without what the patterns name, whether there was any of it left). What was left stood encoded in the
        request, out of reach: then the request itself must not be kept."""
        if not self._patterns:
            return event, False
        cleaned = self._dataclass(event, skip=_IDENTITY)
        return cleaned, cleaned != event

    def _dataclass(self, value: Any, skip: frozenset[str] = frozenset()) -> Any:
        changes = {}
        for one in fields(value):
            if one.name not in skip:
                held = getattr(value, one.name)
                cleaned = self._any(held)
                if cleaned != held:
                    changes[one.name] = cleaned
        return replace(value, **changes) if changes else value

    def _any(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._clean(value)
        if isinstance(value, tuple):
            return tuple(self._any(item) for item in value)
        if isinstance(value, Mapping):
            return self._walk(dict(value), 0)
        return self._dataclass(value) if is_dataclass(value) else value

    # -- texts -----------------------------------------------------------------------------------------------

    def _walk(self, value: Any, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise PayloadInvalid("JSON nested too deep")
        if isinstance(value, str):
            return self._text(value, depth)
        if isinstance(value, list):
            return [self._within(value, place, depth) for place in range(len(value))]
        if isinstance(value, dict):
            return {
                self._clean(name) if isinstance(name, str) else name: self._within(value, name, depth)
                for name in tuple(value)
            }
        return value

    def _within(self, holder: Any, place: Any, depth: int) -> Any:
        """What stands there, cleaned. A large text is taken out of its holder meanwhile: encoded, cleaned and decoded there would
        be four of it at once."""
        text = holder[place]
        if isinstance(text, str) and len(text) > _LARGE_CHARS and text[0] not in "{[":
            del text
            raw = [holder[place].encode("utf-8", "surrogatepass")]
            if not any(pattern.search(raw[0]) for pattern, _ in self._patterns):
                return holder[place]
            holder[place] = None
            return self._clean_bytes(raw.pop()).decode("utf-8", "surrogatepass")
        return self._walk(holder[place], depth + 1)

    def _text(self, text: str, depth: int) -> str:
        """A text, or the JSON that it is (SNS puts its message into one)."""
        if text[:1] in ("{", "[") and text[-1:] in ("}", "]") and self._patterns:
            try:
                value = loads(text.encode("utf-8", "surrogatepass"))
            except PayloadInvalid:
                return self._clean(text)
            cleaned = self._walk(value, depth + 1)
            return orjson.dumps(cleaned).decode() if cleaned != value else text
        return self._clean(text)

    def _clean(self, text: str) -> str:
        if not self._patterns or not text:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        cleaned = self._clean_bytes(raw)
        return text if cleaned is raw else cleaned.decode("utf-8", "surrogatepass")

    def _clean_bytes(self, text: bytes) -> bytes:
        for pattern, how in self._patterns:
            if pattern.search(text) is None:
                continue
            text = pattern.sub(self._veil_match if how == "hash" else b"", text)
        return text

    def _veil_match(self, found: Any) -> bytes:
        return self._veil(found.group()).encode()

    def _veil_value(self, value: Any) -> str:
        return self._veil(value if isinstance(value, str) else orjson.dumps(value))

    def _veil(self, value: str | bytes) -> str:
        raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        return "redacted-" + blake2b(raw, key=self._key()[:64], digest_size=6).hexdigest()


def build_redactor(rules: Sequence[Redaction], key: Callable[[], bytes]) -> Redactor | None:
    """None where there is nothing to redact."""
    return Redactor(rules, key) if rules else None


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise PayloadInvalid(f"more than {_MAX_FIELDS} fields") from error
