"""Redaction at the door: what the config names is hashed or dropped from a verified body before anything of it is parsed,
stored or sent on.

`field` is a dotted path of a JSON body (`*` for any key or index); `pattern` a regular expression over every text of it, or
over the whole body where that is no JSON. A hash is `redacted-` and 12 hex digits, equal for equal values, so that threads
and people still fit together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from relay.config import Redaction
from relay.errors import PayloadInvalid


def build_redactor(rules: Sequence[Redaction], *, key: bytes = b"") -> Callable[[bytes], bytes] | None:
    """None where there is nothing to redact. `key` keeps the hashes from being guessed by trying (at most 64 bytes)."""
    if not rules:
        return None
    fields = [(rule.field.split("."), rule.how) for rule in rules if rule.field]
    patterns = [(re.compile(rule.pattern), rule.how) for rule in rules if rule.pattern]

    def veil(value: str) -> str:
        return (
            "redacted-"
            + blake2b(value.encode("utf-8", "surrogatepass"), key=key[:64], digest_size=6).hexdigest()
        )

    def clean(text: str) -> str:
        for pattern, how in patterns:
            text = pattern.sub((lambda found: veil(found.group())) if how == "hash" else "", text)
        return text

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return clean(value)
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, dict):
            return {clean(name): walk(item) for name, item in value.items()}
        return value

    def strike(value: Any, path: Sequence[str], how: str) -> None:
        head, rest = path[0], path[1:]
        keys: list[Any] = []
        if isinstance(value, dict):
            keys = list(value) if head == "*" else [head] if head in value else []
        elif isinstance(value, list):
            if head == "*":
                keys = list(range(len(value)))
            elif head.isdigit() and int(head) < len(value):
                keys = [int(head)]
        for name in keys:
            if rest:
                strike(value[name], rest, how)
            elif how == "hash":
                held = value[name]
                value[name] = veil(held if isinstance(held, str) else orjson.dumps(held).decode())
            elif isinstance(value, dict):
                del value[name]
            else:
                value[name] = None

    def redact(body: bytes) -> bytes:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return (
                clean(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
                if patterns
                else body
            )
        try:
            for path, how in fields:
                strike(value, path, how)
            return orjson.dumps(walk(value) if patterns else value)
        except RecursionError as error:
            raise PayloadInvalid("JSON nested too deep") from error

    return redact
