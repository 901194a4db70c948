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
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlencode

from relay.config import Redaction
from relay.errors import PayloadInvalid
from relay.event import Event
from relay.linear_pattern import compile_pattern
from relay.sources.base import Inbound
from relay.sources.foreign_json import loads
from relay.sources.large_json import LongText, dump_large
from relay.sources.proof.cut import strike
from relay.sources.read.multipart import clean_pairs, clean_parts, parse_parameters

#: Of an event, what identifies it stays: it was made of the redacted request already.
_IDENTITY = frozenset(
    {"id", "source", "adapter", "kind", "time", "thread", "message_id", "delivery_id", "also_seen"}
)
_MAX_FIELDS = 10_000
_MAX_DEPTH = 64


class Redactor:
    """The rules of a config, ready. `key` gives the key of the hashes, at each use; it may raise OutboxUnavailable."""

    def __init__(self, rules: Sequence[Redaction], key: Callable[[], bytes]) -> None:
        self._fields = [(rule.field.split("."), rule.how) for rule in rules if rule.field]
        self._patterns = [(compile_pattern(rule.pattern), rule.how) for rule in rules if rule.pattern]
        self._key = key
        self.hashes = any(rule.how == "hash" for rule in rules)

    # -- a request -------------------------------------------------------------------------------------------

    def request(self, inbound: Inbound) -> Inbound:
        """Return the request without what the rules name, as far as it stands there readably: in JSON (also JSON within its texts), in
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
            return clean_pairs(body, self._field)
        if kind.startswith("multipart/") and parameters.get("boundary"):
            return clean_parts(body, parameters["boundary"].encode("latin-1", "replace"), self._field)
        try:
            value = loads(body)
        except PayloadInvalid:
            return self._clean_bytes(body)
        changed = False
        for path, how in self._fields:
            changed |= strike(value, path, self._veil_value if how == "hash" else None)
        if self._patterns:
            value, by_pattern = self._walk(value, 0)
            changed |= by_pattern
        return dump_large(value) if changed else body

    def _field(self, name: str, content: bytes) -> bytes | None:
        """One field of a form; None where it goes."""
        held: dict[str, Any] = {name: content}
        for path, how in self._fields:
            strike(held, path, self._veil_value if how == "hash" else None)
        if name not in held:
            return None
        if held[name] is not content:
            return str(held[name]).encode()
        return self._clean_text(content, 0)

    # -- an event --------------------------------------------------------------------------------------------

    def event(self, event: Event) -> tuple[Event, bool]:
        """Return (the event without what the patterns name, whether there was any of it left). What was left stood encoded in the
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
            return self._walk(_copied(value), 0)[0]
        return self._dataclass(value) if is_dataclass(value) else value

    # -- texts -----------------------------------------------------------------------------------------------

    def _walk(self, value: Any, depth: int) -> tuple[Any, bool]:
        """The value cleaned in its place, and whether anything was changed."""
        if depth > _MAX_DEPTH:
            raise PayloadInvalid("JSON nested too deep")
        if isinstance(value, LongText):
            whole = value.whole()
            cleaned = self._clean_text(whole, depth)
            return (value, False) if cleaned is whole else (LongText.of(cleaned), True)
        if isinstance(value, str):
            text = self._text(value, depth)
            return text, text is not value
        if not isinstance(value, (list, dict)):
            return value, False
        changed = False
        for place, inner in enumerate(value) if isinstance(value, list) else value.items():
            value[place], within = self._walk(inner, depth + 1)
            changed |= within
        if isinstance(value, dict):
            names = {name: self._clean(name) for name in value}
            if any(cleaned is not name for name, cleaned in names.items()):
                return {names[name]: inner for name, inner in value.items()}, True
        return value, changed

    def _text(self, text: str, depth: int) -> str:
        """A text, or the JSON that it is (SNS puts its message into one)."""
        if not self._patterns or not text:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        cleaned = self._clean_text(raw, depth)
        return text if cleaned is raw else cleaned.decode("utf-8", "surrogatepass")

    def _clean_text(self, text: bytes, depth: int) -> bytes:
        """The same of bytes; these themselves where there is nothing to clean."""
        if text[:1] in (b"{", b"[") and text[-1:] in (b"}", b"]") and self._patterns:
            try:
                value = loads(text)
            except PayloadInvalid:
                return self._clean_bytes(text)
            value, changed = self._walk(value, depth + 1)
            return dump_large(value) if changed else text
        return self._clean_bytes(text)

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
            # What is between is written and not listed: of a large text there would be two more.
            into, view, at = BytesIO(), memoryview(text), 0
            for found in pattern.finditer(text):
                start, end = found.span()
                into.write(view[at:start])
                if how == "hash":
                    into.write(self._veil(found.group()).encode())
                at = end
            into.write(view[at:])
            text = into.getvalue()
        return text

    def _veil_value(self, value: Any) -> str:
        if isinstance(value, LongText):
            return self._veil(value.whole())
        if isinstance(value, str):
            return self._veil(value.encode("utf-8", "surrogatepass"))
        return self._veil(value if isinstance(value, bytes) else dump_large(value))

    def _veil(self, raw: bytes) -> str:
        return "redacted-" + blake2b(raw, key=self._key()[:64], digest_size=6).hexdigest()


def build_redactor(rules: Sequence[Redaction], key: Callable[[], bytes]) -> Redactor | None:
    """Build the redactor of the config; None where there is nothing to redact."""
    return Redactor(rules, key) if rules else None


def _copied(value: Any) -> Any:
    """The value with holders of its own: whoever made the event may have others of them."""
    if isinstance(value, Mapping):
        return {name: _copied(inner) for name, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise PayloadInvalid(f"more than {_MAX_FIELDS} fields") from error
