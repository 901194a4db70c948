"""JSON Web Tokens as proof: in a header, or as the body itself.

Which algorithms count is the config's word, never the token's. Those with a shared secret and those with a key pair are
never both accepted for one source: a public key, which anybody may know, could pass for the secret.
Source: RFC 7515, RFC 7517, RFC 7519, RFC 8725.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeGuard

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWKSet, PyJWS
from jwt.exceptions import PyJWTError

from relay.errors import NotAuthentic, PayloadInvalid
from relay.source_options import JWT_PAIRED, JWT_SHARED
from relay.sources.base import any_same
from relay.sources.foreign_json import json_object
from relay.sources.proof.public_key import public_key_of

#: A sender's clock that runs ahead or behind.
LEEWAY_S = 60.0
#: A token that expires later is refused: it would outlive the memory of what it was sent with.
MAX_LIFE_S = 72 * 3600.0
#: How old a token may be that says when it was made and not when it ends.
DEFAULT_AGE_S = 300.0
#: The longest of those that stand in a header; nobody's is a quarter of it.
MAX_TOKEN_CHARS = 16_384
_MAX_HEADER_CHARS = 4096
#: Of a set without a matching `kid`, no more are tried.
_MAX_KEYS = 16
_LEAST_RSA_BITS = 2048

ALGORITHMS = (*JWT_PAIRED, *JWT_SHARED)

_JWS = PyJWS(algorithms=list(ALGORITHMS))

_KINDS = {"RS256": RSAPublicKey, "ES256": EllipticCurvePublicKey}

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JwtRules:
    """What a token must be. `public_keys` are PEM or its inside in base64, `jwks` the text of a JWK set, `secrets` for HS256: all
    are read at each use. `claims` must be there with exactly these values. `body_claim` holds the body's SHA-256, in hex or
    base64. `age_s` is for tokens with `iat` and without `exp`."""

    algorithms: tuple[str, ...]
    public_keys: Callable[[], Sequence[str]] = tuple
    jwks: Callable[[], str] | None = None
    secrets: Callable[[], Sequence[str]] = tuple
    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    body_claim: str = ""
    age_s: float = DEFAULT_AGE_S

    @property
    def is_shared(self) -> bool:
        return self.algorithms[0] in JWT_SHARED

    def problem(self) -> str:
        """Return what is wrong with these rules, as the end of a sentence; "" where they hold."""
        unknown = [name for name in self.algorithms if name not in ALGORITHMS]
        if unknown or not self.algorithms:
            return f"algorithms must name some of {', '.join(ALGORITHMS)}"
        shared = [name in JWT_SHARED for name in self.algorithms]
        if any(shared) and not all(shared):
            return (
                "HS256 cannot stand beside RS256 or ES256: whoever has the public key could then sign with it"
            )
        paired = bool(self.jwks) or any(self.public_keys())
        if all(shared):
            if paired:
                return "HS256 is checked with secrets, not with keys or jwks_file"
            return "" if any(self.secrets()) else "HS256 needs secrets: [the shared secret]"
        if not paired:
            return f"{' and '.join(self.algorithms)} need keys: [a public key] or jwks_file: a file with a JWK set"
        kinds = tuple(_KINDS[name] for name in self.algorithms)
        if not all(isinstance(_public_key(key), kinds) for key in self.public_keys() if key):
            return (
                f"keys for {' and '.join(self.algorithms)} must be RSA keys of 2048 bits or P-256 keys in turn, as PEM or its "
                "inside in base64"
            )
        return ""


def bearer_token(value: str) -> str:
    """Return a header's token, with or without the word `Bearer` before it; "" for what is none."""
    scheme, _, rest = value.strip().partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else value.strip()
    return token if token.count(".") == 2 and " " not in token else ""


def verify_jwt(token: bytes, rules: JwtRules, *, now_s: float, bound: bool = False) -> Claims:
    """Return the claims of a token that holds. `bound`: it covers the body, so it needs no time of its own. Raises NotAuthentic."""
    claims = _claims(token, rules)
    _check_times(claims, rules.age_s, now_s=now_s, bound=bound)
    _check_names(claims, rules)
    return claims


def verify_body_claim(claims: Claims, name: str, body: bytes) -> None:
    """Verify that the claim is the body's SHA-256. Raises NotAuthentic."""
    given = claims.get(name)
    digest = hashlib.sha256(body)
    raw = digest.digest()
    wanted = [
        b64encode(raw).decode(),
        urlsafe_b64encode(raw).decode(),
        urlsafe_b64encode(raw).decode().rstrip("="),
    ]
    if not isinstance(given, str) or not (
        any_same(given.lower(), [digest.hexdigest()]) or any_same(given, wanted)
    ):
        raise NotAuthentic("claims")


def read_payload(token: bytes) -> bytes:
    """Return what a token that was verified already carries. Raises NotAuthentic for what is no token."""
    return _decoded(token.partition(b".")[2].partition(b".")[0])


def read_claims(token: bytes) -> Claims:
    """Return `read_payload` as JSON."""
    return _json(read_payload(token))


def is_timeless(claims: Claims) -> bool:
    return not (_is_number(claims.get("exp")) or _is_number(claims.get("iat")))


def _claims(raw: bytes, rules: JwtRules) -> Claims:
    algorithm, key_id = _read_header(raw)
    if algorithm not in rules.algorithms:
        raise NotAuthentic("algorithm")
    for key in _candidates(algorithm, key_id, rules):
        try:
            signed: bytes = _JWS.decode_complete(raw, key, algorithms=[algorithm])["payload"]
        except (PyJWTError, ValueError, TypeError):
            continue
        return _json(signed)
    raise NotAuthentic("signature")


def _read_header(raw: bytes) -> tuple[str, str]:
    """`alg` and `kid`; the only part that is read of what nobody has proven yet. Raises NotAuthentic."""
    encoded, _, rest = raw.partition(b".")
    if not encoded or len(encoded) > _MAX_HEADER_CHARS or rest.count(b".") != 1:
        raise NotAuthentic("token")
    header = _json(_decoded(encoded))
    algorithm, key_id = header.get("alg"), header.get("kid")
    return (algorithm if isinstance(algorithm, str) else ""), (key_id if isinstance(key_id, str) else "")


def _decoded(encoded: bytes) -> bytes:
    try:
        return b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotAuthentic("token") from None


def _json(raw: bytes) -> Claims:
    try:
        return json_object(raw)
    except PayloadInvalid:
        raise NotAuthentic("token") from None


def _candidates(algorithm: str, key_id: str, rules: JwtRules) -> Iterator[Any]:
    if algorithm in JWT_SHARED:
        yield from (_padded(secret) for secret in rules.secrets() if secret)
        return
    wanted = _KINDS[algorithm]
    for text in rules.public_keys():
        key = _public_key(text) if text else None
        if isinstance(key, wanted):
            yield key
    if rules.jwks is not None:
        known = [key for key in read_jwks(rules.jwks()) if isinstance(key.key, wanted)]
        named = [key for key in known if key.key_id == key_id]
        yield from (key.key for key in (named or known)[:_MAX_KEYS])


def _check_times(claims: Claims, age_s: float, *, now_s: float, bound: bool) -> None:
    for name in ("exp", "nbf", "iat"):
        if name in claims and not _is_number(claims[name]):
            raise NotAuthentic("claims")
    ends_s, begins_s, made_s = claims.get("exp"), claims.get("nbf"), claims.get("iat")
    if ends_s is not None:
        if not now_s - LEEWAY_S <= ends_s <= now_s + MAX_LIFE_S:
            raise NotAuthentic("stale")
    elif made_s is not None:
        if made_s < now_s - age_s - LEEWAY_S:
            raise NotAuthentic("stale")
    elif not bound:
        # Without a time, and good for any body, it would be a password that was sent to everybody.
        raise NotAuthentic("claims")
    if any(moment is not None and moment > now_s + LEEWAY_S for moment in (begins_s, made_s)):
        raise NotAuthentic("stale")


def _check_names(claims: Claims, rules: JwtRules) -> None:
    issuer, audience = claims.get("iss"), claims.get("aud")
    if rules.issuers and not (isinstance(issuer, str) and any_same(issuer, rules.issuers)):
        raise NotAuthentic("issuer")
    if rules.audiences:
        told = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(one, str) and any_same(one, rules.audiences) for one in told[:_MAX_KEYS]):
            raise NotAuthentic("audience")
    for name, wanted in rules.claims.items():
        told_value = claims.get(name)
        if not isinstance(told_value, str) or not any_same(told_value, [wanted]):
            raise NotAuthentic("claims")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _public_key(text: str) -> RSAPublicKey | EllipticCurvePublicKey | None:
    """A PEM, its base64 without the frame lines, or None for what is no key of these two kinds."""
    key = public_key_of(text)
    return key if _is_sound(key) else None


@lru_cache(maxsize=32)
def read_jwks(text: str) -> tuple[PyJWK, ...]:
    """Return the keys of a JWK set that verify signatures; () for what is none."""
    try:
        found = PyJWKSet.from_dict(json.loads(text)).keys
    except (PyJWTError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return ()
    return tuple(key for key in found if key.public_key_use in (None, "sig") and _is_sound(key.key))


def _is_sound(key: Any) -> TypeGuard[RSAPublicKey | EllipticCurvePublicKey]:
    if isinstance(key, RSAPublicKey):
        return key.key_size >= _LEAST_RSA_BITS
    return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)


def _padded(secret: str) -> bytes:
    """The secret as HMAC reads it anyway, with zeros behind it: the library warns of each that is shorter than the hash."""
    return secret.encode().ljust(32, b"\0")


def sign_shared(claims: Claims, secret: str) -> str:
    """Return a token under HS256: what `relay send` sends."""
    return _JWS.encode(orjson.dumps(claims), _padded(secret), algorithm="HS256", headers={"typ": "JWT"})
