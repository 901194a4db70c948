"""A signature scheme as the config describes it: which header, which hash, what is signed.

signature: {header: X-Acme-Signature, hash: sha256, encoding: hex, prefix: "sha256=",
            signed: "{timestamp}.{body}", timestamp_header: X-Acme-Timestamp, tolerance: 300}
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.errors import NotAuthentic, PayloadInvalid
from relay.sources.base import Inbound, content_key, require_recent, same
from relay.sources.proof.credentials import keyed_digest
from relay.sources.read.json_scan import scan_path
from relay.sources.read.moment import moment_us
from relay.sources.read.pick import header as header_text

#: Of a list of signatures in one header, no more are looked at.
_MAX_SIGNATURES = 16

_KEYS = frozenset(
    {
        "header",
        "hash",
        "encoding",
        "prefix",
        "signed",
        "timestamp_header",
        "timestamp_field",
        "id_header",
        "tolerance",
        "key",
        "style",
        "unit",
        "body_token",
    }
)
_HASHES = ("sha1", "sha256", "sha384", "sha512")
_ENCODE: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda digest: b64encode(digest).decode(),
    "base64url": lambda digest: urlsafe_b64encode(digest).decode().rstrip("="),
}
_PLACES = ("{body}", "{timestamp}", "{id}")


@dataclass(frozen=True, slots=True)
class Signature:
    """`signed` is split at its places: ("", "{timestamp}", ".", "{body}", ""). `key` says how a secret is
    read: `text` verbatim, `base64` or `hex` decoded. With `style` "stripe" the header is `t=SECONDS,v1=HEX`,
    with several `v1=` while a secret rolls. `unit` is the timestamp's, "s" or "ms"; both are understood. `timestamp_field` is
    where the time stands in the signed body, for senders that have it there and in no header."""

    header: str
    hash: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: tuple[str, ...] = ("", "{body}", "")
    timestamp_header: str = ""
    timestamp_field: str = ""
    id_header: str = ""
    tolerance_s: float = 300
    key: str = "text"
    style: str = ""
    unit: str = "s"

    def look_at_head(self, head: Inbound, *, now_s: float) -> None:
        """Raise NotAuthentic where the headers alone prove nothing, or something old."""
        given = head.headers.get(self.header, "")
        if not given:
            raise NotAuthentic("missing")
        sent_at, listed = self._split(head, given)
        if sent_at and self.tolerance_s:
            require_recent(_seconds(sent_at), now_s=now_s, tolerance_s=self.tolerance_s)
        if not listed:
            raise NotAuthentic("signature")

    def verify(self, inbound: Inbound, secrets: Sequence[str], *, now_s: float) -> None:
        """Raise NotAuthentic unless one of the header's signatures holds under one of `secrets`."""
        given = inbound.headers.get(self.header, "")
        if not given:
            raise NotAuthentic("missing")
        sent_at, listed = self._split(inbound, given)
        signed = self._content(inbound.body, sent_at, self.delivery(inbound))
        if self.encoding == "hex":
            listed = [one.lower() for one in listed]
        elif self.encoding == "base64url":
            listed = [one.rstrip("=") for one in listed]
        if sent_at and self.tolerance_s:
            require_recent(_seconds(sent_at), now_s=now_s, tolerance_s=self.tolerance_s)
        found = False
        for secret in secrets:
            key = self._key(secret)
            if not key:
                continue
            wanted = _ENCODE[self.encoding](keyed_digest(key, signed, self.hash))
            for one in listed:
                found |= same(one, wanted)
        if not found:
            raise NotAuthentic("signature")
        if self.timestamp_field and self.tolerance_s:
            self._check_field(inbound.body, now_s)

    def _check_field(self, body: bytes, now_s: float) -> None:
        """The time within the body, which is proven by now. Raises NotAuthentic."""
        try:
            sent_us = moment_us(scan_path(body, self.timestamp_field))
        except PayloadInvalid:
            sent_us = None
        if sent_us is None:
            raise NotAuthentic("timestamp")
        if abs(now_s - sent_us / 1_000_000) > self.tolerance_s:
            raise NotAuthentic("stale")

    @property
    def signs_time(self) -> bool:
        return bool(self.tolerance_s) and ("{timestamp}" in self.signed or bool(self.timestamp_field))

    @property
    def signs_id(self) -> bool:
        return not self.id_header or "{id}" in self.signed

    def signed_content(self, inbound: Inbound) -> bytes:
        """Return what a verified request's signature covers."""
        sent_at, _ = self._split(inbound, inbound.headers.get(self.header, ""))
        return self._content(inbound.body, sent_at, self.delivery(inbound))

    def delivery(self, inbound: Inbound) -> str:
        """Return the sender's id of this delivery, where `id_header` names one."""
        return header_text(inbound.headers, self.id_header) if self.id_header else ""

    def sign(self, body: bytes, secret: str, *, now_s: float) -> dict[str, str]:
        """Return the headers that `verify` wants."""
        sent_at = ""
        if self.timestamp_header or self.style == "stripe":
            sent_at = str(int(now_s * 1000) if self.unit == "ms" else int(now_s))
        delivery = content_key(body) if self.id_header else ""
        signed = self._content(body, sent_at, delivery)
        digest = _ENCODE[self.encoding](keyed_digest(self._key(secret), signed, self.hash))
        if self.style == "stripe":
            return {self.header: f"t={sent_at},v1={digest}"}
        headers = {self.header: self.prefix + digest}
        if self.timestamp_header:
            headers[self.timestamp_header] = sent_at
        if self.id_header:
            headers[self.id_header] = delivery
        return headers

    def _split(self, inbound: Inbound, given: str) -> tuple[str, list[str]]:
        parts = [given]
        if "," not in self.prefix:
            parts = [part.strip() for part in given.split(",", _MAX_SIGNATURES)[:_MAX_SIGNATURES]]
        if self.style == "stripe":
            pairs = [part.partition("=") for part in parts]
            sent_at = next((value for name, _, value in pairs if name == "t"), "")
            if not sent_at:
                raise NotAuthentic("timestamp")
            return sent_at, [value for name, _, value in pairs if name == "v1"]
        sent_at = inbound.headers.get(self.timestamp_header, "") if self.timestamp_header else ""
        if self.timestamp_header and not sent_at:
            raise NotAuthentic("missing")
        return sent_at, [part[len(self.prefix) :] for part in parts if part.startswith(self.prefix)]

    def _content(self, body: bytes, sent_at: str, delivery: str) -> bytes:
        if len(self.signed) == 3 and self.signed[1] == "{body}" and not (self.signed[0] or self.signed[2]):
            return body
        pieces = []
        for n, piece in enumerate(self.signed):
            if n % 2 == 0:
                pieces.append(piece.encode())
            elif piece == "{body}":
                pieces.append(body)
            else:
                value = sent_at if piece == "{timestamp}" else delivery
                pieces.append(value.encode("utf-8", "surrogatepass"))
        return b"".join(pieces)

    def _key(self, secret: str) -> bytes:
        if self.key == "text":
            return secret.encode()
        try:
            return b64decode(secret, validate=True) if self.key == "base64" else bytes.fromhex(secret)
        except (binascii.Error, ValueError):
            return b""


def _seconds(sent_at: str) -> str:
    """Senders write seconds or milliseconds; 10^11 seconds are the year 5138."""
    return sent_at[:-3] if len(sent_at) > 11 and sent_at.isascii() and sent_at.isdigit() else sent_at


def read_signature(described: Mapping[str, Any], *, preset: Mapping[str, Any] | None = None) -> Signature:
    """Return the scheme of the config's `signature:` over a preset's values. Raises ValueError with a sentence."""
    unknown = sorted(set(described) - _KEYS)
    if unknown:
        raise ValueError(f"signature: unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}")
    values: dict[str, Any] = {**(preset or {}), **described}
    header = values.get("header")
    if not isinstance(header, str) or not header:
        raise ValueError("signature: needs header, the name of the header that holds the signature")
    hash_name = str(values.get("hash", "sha256")).lower().replace("-", "")
    if hash_name not in _HASHES:
        raise ValueError(f"signature: hash must be one of {', '.join(_HASHES)}")
    encoding = str(values.get("encoding", "hex")).lower()
    if encoding not in _ENCODE:
        raise ValueError(f"signature: encoding must be one of {', '.join(_ENCODE)}")
    key = str(values.get("key", "text"))
    if key not in ("text", "base64", "hex"):
        raise ValueError("signature: key must be text, base64 or hex")
    style = str(values.get("style", ""))
    timestamp_header = str(values.get("timestamp_header") or "")
    stamped = bool(timestamp_header or style == "stripe")
    signed = str(values.get("signed") or ("{timestamp}.{body}" if stamped else "{body}"))
    if "{body}" not in signed:
        raise ValueError("signature: signed must contain {body}, else anyone could change the body")
    if "{id}" in signed and not values.get("id_header"):
        raise ValueError("signature: signed names {id}, so id_header must say where it is")
    if stamped and "{timestamp}" not in signed:
        raise ValueError(
            "signature: a timestamp that is not part of signed proves nothing: put {timestamp} into signed, or leave "
            "timestamp_header out"
        )
    if "{timestamp}" in signed and not stamped:
        raise ValueError("signature: signed names {timestamp}, so timestamp_header must say where it is")
    return Signature(
        header=header.lower(),
        hash=hash_name,
        encoding=encoding,
        prefix=str(values.get("prefix") or ""),
        signed=_split_places(signed),
        timestamp_header=timestamp_header.lower(),
        timestamp_field=str(values.get("timestamp_field") or ""),
        id_header=str(values.get("id_header") or "").lower(),
        tolerance_s=_tolerance_s(values.get("tolerance", 300)),
        key=key,
        style=style,
        unit="ms" if values.get("unit") == "ms" else "s",
    )


def _split_places(signed: str) -> tuple[str, ...]:
    pieces = [""]
    place = 0
    while place < len(signed):
        found = next((name for name in _PLACES if signed.startswith(name, place)), None)
        if found:
            pieces += [found, ""]
            place += len(found)
        else:
            pieces[-1] += signed[place]
            place += 1
    return tuple(pieces)


def _tolerance_s(value: Any) -> float:
    """Seconds as a number, or a duration such as "300s", "5m", "1500ms"; 0: any age."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if isinstance(value, str):
        for unit, factor in (
            ("ms", 0.001),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
            ("d", 86400.0),
            ("", 1.0),
        ):
            number = value.strip().removesuffix(unit)
            if value.strip().endswith(unit) and number.isascii() and number.isdigit():
                return int(number) * factor
    raise ValueError('signature: tolerance must be a duration such as "300s"')
