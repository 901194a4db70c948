"""JWT proofs of `generic`, signed by a library of its own: which hold, which do not, and for how long."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from relay.errors import ConfigInvalid, NotAuthentic
from relay.event import Event
from relay.rules.file.load import load_config
from relay.secret import SecretFile
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound
from relay.sources.proof.jwt import LEEWAY_S, MAX_LIFE_S
from relay.sources.registry import build_adapter
from tests.environ import WEAK

NOW_S = 1_790_000_000.0
BODY = b'{"type": "note.added", "ticket_id": 7, "text": "hello"}'
SECRET = "a shared secret of thirty-two bytes or more"


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    public: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public.decode()


def jwks(**keys: Any) -> str:
    return json.dumps(
        {
            "keys": [
                {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid}
                if isinstance(key, rsa.RSAPrivateKey)
                else {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": kid}
                for kid, key in keys.items()
            ]
        }
    )


def adapter(**described: Any) -> Adapter:
    for key in ("keys", "secrets"):
        if key in described:
            described[key] = lambda values=described[key]: values
    if isinstance(described.get("jwks_file"), str):
        described["jwks_file"] = lambda text=described["jwks_file"]: text
    rules = {"header": "Authorization", "algorithms": ("RS256",), **described}
    return build_adapter(SourceOptions(name="it", adapter="generic", jwt=rules))


def token(key: Any, algorithm: str = "RS256", *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    held = {"exp": NOW_S + 60, "iat": NOW_S, **claims}
    held = {name: value for name, value in held.items() if value is not None}
    return jwt.encode(held, key, algorithm=algorithm, headers=headers)


def accepts(source: Adapter, given: str, body: bytes = BODY, *, now_s: float = NOW_S) -> bool:
    try:
        source.verify(Inbound(body, {"authorization": given}), now_s=now_s)
    except NotAuthentic:
        return False
    return True


def test_each_algorithm_is_accepted_under_its_own_key() -> None:
    rs = adapter(keys=[pem(rsa_key())])
    assert accepts(rs, f"Bearer {token(rsa_key())}")
    assert accepts(rs, token(rsa_key()))
    es = adapter(algorithms=("ES256",), keys=[pem(ec_key())])
    assert accepts(es, f"bearer {token(ec_key(), 'ES256')}")
    hs = adapter(algorithms=("HS256",), secrets=["another", SECRET])
    assert accepts(hs, token(SECRET, "HS256"))
    for source, other in ((rs, token(rsa_key(1))), (hs, token(SECRET + "x", "HS256"))):
        assert not accepts(source, other)


def test_no_token_chooses_its_algorithm() -> None:
    """The public key is known to anybody: as the secret of HS256 it would let them in."""
    der = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    source = adapter(keys=[pem(rsa_key())])
    header = {"alg": "HS256", "typ": "JWT"}
    claims = {"exp": NOW_S + 60}
    signed = b".".join(urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (header, claims))
    for secret in (pem(rsa_key()).encode(), pem(rsa_key()).strip().encode(), der, b64encode(der)):
        mac = urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
        assert not accepts(source, (signed + b"." + mac).decode())
    none = jwt.encode({"exp": NOW_S + 60}, "", algorithm="none")
    assert not accepts(source, none)
    assert not accepts(source, none + "x")
    both = adapter(algorithms=("RS256", "ES256"), keys=[pem(rsa_key()), pem(ec_key())])
    assert accepts(both, token(rsa_key()))
    assert accepts(both, token(ec_key(), "ES256"))
    assert not accepts(source, token(ec_key(), "ES256"))


@pytest.mark.parametrize(
    ("described", "wanted"),
    [
        ({"algorithms": ("RS256", "HS256"), "keys": ["PEM"]}, "cannot stand beside"),
        ({"algorithms": ("HS256",), "keys": ["PEM"]}, "secrets, not with keys"),
        ({"algorithms": ("HS256",)}, "needs secrets"),
        ({"algorithms": ("RS256",)}, "need keys"),
        ({"algorithms": ()}, "algorithms must name"),
        ({"algorithms": ("none",)}, "algorithms must name"),
        ({"algorithms": ("RS256",), "keys": ["no key"]}, "must be RSA"),
        ({"algorithms": ("ES256",), "keys": ["PEM"]}, "P-256"),
        ({"keyz": 1}, "unknown key 'keyz'"),
    ],
)
def test_rules_that_do_not_hold_are_refused_with_a_sentence(described: dict[str, Any], wanted: str) -> None:
    held = {**described, **({"keys": [pem(rsa_key())]} if described.get("keys") == ["PEM"] else {})}
    with pytest.raises(ValueError, match=wanted):
        adapter(**held)


def test_secrets_beside_a_key_pair_are_refused_as_they_would_prove_nothing() -> None:
    rules = {"header": "x", "algorithms": ("RS256",), "keys": lambda: [pem(rsa_key())]}
    with pytest.raises(ValueError, match="leave them out"):
        build_adapter(SourceOptions("it", "generic", secrets=lambda: [SECRET], jwt=rules))


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": NOW_S - LEEWAY_S}, True),
        ({"exp": NOW_S - LEEWAY_S - 1}, False),
        ({"exp": NOW_S + MAX_LIFE_S}, True),
        ({"exp": NOW_S + MAX_LIFE_S + 1}, False),
        ({"exp": "soon"}, False),
        ({"exp": True}, False),
        ({"nbf": NOW_S + LEEWAY_S}, True),
        ({"nbf": NOW_S + LEEWAY_S + 1}, False),
        ({"iat": NOW_S + LEEWAY_S + 1}, False),
        ({"exp": None, "iat": NOW_S - 300}, True),
        ({"exp": None, "iat": NOW_S - 300 - LEEWAY_S - 1}, False),
        ({"exp": None, "iat": None}, False),
        ({"exp": None, "iat": None, "nbf": NOW_S}, False),
    ],
)
def test_a_token_counts_within_its_time(claims: dict[str, Any], good: bool) -> None:
    # The library refuses some of these as claims: signed as plain bytes.
    held = {name: value for name, value in {"exp": NOW_S + 60, **claims}.items() if value is not None}
    signed = jwt.PyJWS().encode(orjson.dumps(held), rsa_key(), algorithm="RS256")
    assert accepts(adapter(keys=[pem(rsa_key())]), signed) is good


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"iss": "desk", "aud": "relay"}, True),
        ({"iss": "desk", "aud": ["other", "relay"]}, True),
        ({"iss": "desk2", "aud": "relay"}, False),
        ({"iss": ["desk"], "aud": "relay"}, False),
        ({"iss": "desk", "aud": ["other"]}, False),
        ({"iss": "desk"}, False),
        ({"aud": "relay"}, False),
        ({"iss": "desk", "aud": {"relay": 1}}, False),
    ],
)
def test_issuer_and_audience_are_those_of_the_config(claims: dict[str, Any], good: bool) -> None:
    source = adapter(keys=[pem(rsa_key())], issuer=("desk",), audience="relay")
    signed = jwt.PyJWS().encode(orjson.dumps({"exp": NOW_S + 60, **claims}), rsa_key(), algorithm="RS256")
    assert accepts(source, signed) is good


def test_a_claim_may_be_asked_for() -> None:
    source = adapter(keys=[pem(rsa_key())], claims={"email": "chat@example.com"})
    assert accepts(source, token(rsa_key(), email="chat@example.com"))
    assert not accepts(source, token(rsa_key(), email="chat@example.org"))
    assert not accepts(source, token(rsa_key()))


@pytest.mark.parametrize(
    "encode",
    [bytes.hex, lambda raw: b64encode(raw).decode(), lambda raw: urlsafe_b64encode(raw).decode().rstrip("=")],
)
def test_a_claim_may_bind_the_body(encode: Any) -> None:
    source = adapter(keys=[pem(rsa_key())], body_claim="body_sha256")
    good = token(rsa_key(), body_sha256=encode(hashlib.sha256(BODY).digest()))
    assert accepts(source, good)
    assert not accepts(source, good, BODY + b" ")
    assert not accepts(source, token(rsa_key()))
    assert not accepts(source, token(rsa_key(), body_sha256=7))


def test_a_bound_token_without_a_time_counts_once() -> None:
    source = adapter(keys=[pem(rsa_key())], body_claim="sum")
    given = token(rsa_key(), sum=hashlib.sha256(BODY).hexdigest(), exp=None, iat=None)
    request = Inbound(BODY, {"authorization": given})
    source.verify(request, now_s=NOW_S)
    assert source.timeless(request)
    assert source.nonces(request)
    again = Inbound(BODY, {"authorization": token(rsa_key(), sum=hashlib.sha256(BODY).hexdigest())})
    assert not source.timeless(again)
    assert source.nonces(again) == ()


def test_the_key_that_kid_names_is_taken_and_a_rotated_file_counts_at_once(tmp_path: Path) -> None:
    place = tmp_path / "keys.json"
    place.write_text(jwks(old=rsa_key()))
    source = adapter(jwks_file=SecretFile(str(place)))
    assert accepts(source, token(rsa_key(), headers={"kid": "old"}))
    assert accepts(source, token(rsa_key()))
    assert not accepts(source, token(rsa_key(1), headers={"kid": "new"}))
    place.write_text(jwks(old=rsa_key(), new=rsa_key(1)) + " ")
    assert accepts(source, token(rsa_key(1), headers={"kid": "new"}))
    # A kid that names another key is no proof of this one.
    assert not accepts(source, token(rsa_key(1), headers={"kid": "old"}))


def test_keys_of_the_set_that_only_encrypt_do_not_verify() -> None:
    held = json.loads(jwks(one=rsa_key()))
    held["keys"][0]["use"] = "enc"
    assert not accepts(adapter(jwks_file=json.dumps(held)), token(rsa_key()))


def test_a_set_may_hold_both_kinds() -> None:
    source = adapter(algorithms=("RS256", "ES256"), jwks_file=jwks(r=rsa_key(), e=ec_key()))
    assert accepts(source, token(rsa_key()))
    assert accepts(source, token(ec_key(), "ES256"))


def test_the_body_may_be_the_token() -> None:
    source = adapter(header="", algorithms=("HS256",), secrets=[SECRET])
    body = jwt.encode(orjson.loads(BODY), SECRET, algorithm="HS256").encode()
    request = Inbound(body + b"\n", {"content-type": "text/plain"})
    source.verify(request, now_s=NOW_S)
    (event,) = source.parse(request, now_s=NOW_S)
    assert isinstance(event, Event)
    assert (event.thread, event.text) == ("7", "hello")
    assert source.timeless(request)
    assert source.nonces(request) == source.nonces(Inbound(body, {}))
    with pytest.raises(NotAuthentic):
        source.verify(Inbound(BODY, {}), now_s=NOW_S)
    stale = jwt.encode({**orjson.loads(BODY), "exp": NOW_S - 3600}, SECRET, algorithm="HS256").encode()
    with pytest.raises(NotAuthentic):
        source.verify(Inbound(stale, {}), now_s=NOW_S)


def test_what_send_signs_is_accepted() -> None:
    for described in (
        {
            "algorithms": ("HS256",),
            "secrets": [SECRET],
            "issuer": "us",
            "audience": ("them",),
            "body_claim": "sum",
        },
        {"algorithms": ("HS256",), "secrets": [SECRET], "header": ""},
    ):
        source = adapter(**described)
        signed = source.sign(source.sample(serial=1, now_s=NOW_S), now_s=NOW_S, url="https://x")
        request = Inbound(signed.body, dict(signed.headers))
        source.verify(request, now_s=NOW_S)
        assert isinstance(source.parse(request, now_s=NOW_S)[0], Event)
    paired = adapter(keys=[pem(rsa_key())])
    with pytest.raises(ValueError, match="private key"):
        paired.sign(paired.sample(serial=1, now_s=NOW_S), now_s=NOW_S, url="https://x")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.binary(max_size=4))
def test_no_damaged_token_is_accepted_or_breaks_anything(noise: bytes, at: int, piece: bytes) -> None:
    source = adapter(header="", algorithms=("HS256",), secrets=[SECRET])
    good = jwt.encode({"text": "hello", "exp": NOW_S + 60}, SECRET, algorithm="HS256").encode()
    for body in (noise, good[:at] + piece + good[at + len(piece) :], noise + b"." + noise + b"." + noise):
        if body.strip() == good:
            continue
        try:
            source.verify(Inbound(body, {}), now_s=NOW_S)
        except NotAuthentic:
            continue
        # Trailing bits of base64 may differ: what is signed is the same.
        assert body.strip().rpartition(b".")[0] == good.rpartition(b".")[0]


@pytest.mark.parametrize(
    "part",
    [
        b"[" * 3000,
        b'{"a":' * 3000,
        b"{}",
        b"[]",
        b"null",
        b'{"alg":"HS256","crit":["x"],"x":1}',
        b'{"alg":"HS256","b64":false,"crit":["b64"]}',
        b'{"alg":["HS256"]}',
    ],
)
def test_strange_headers_are_refused(part: bytes) -> None:
    source = adapter(header="", algorithms=("HS256",), secrets=[SECRET])
    header = urlsafe_b64encode(part).rstrip(b"=")
    with pytest.raises(NotAuthentic):
        source.verify(Inbound(header + b".e30.AAAA", {}), now_s=NOW_S)


CONFIG = """
planhat: {types: [Note thread]}
sources:
  desk:
    adapter: generic
    type: Note thread
    jwt: JWT
"""


def loaded(tmp_path: Path, described: str) -> Any:
    place = tmp_path / "relay.yaml"
    place.write_text(CONFIG.replace("JWT", described))
    return load_config(str(place), WEAK)


def test_the_config_reads_keys_from_files_and_a_damaged_one_leaves_the_last_good_in_use(
    tmp_path: Path,
) -> None:
    (tmp_path / "keys.json").write_text(jwks(one=rsa_key()))
    config = loaded(tmp_path, "{header: X-Proof, algorithms: [RS256], jwks_file: keys.json, issuer: desk}")
    source = build_adapter(config.sources["desk"].options)
    request = Inbound(BODY, {"x-proof": token(rsa_key(), iss="desk")})
    source.verify(request, now_s=NOW_S)
    (tmp_path / "keys.json").write_text('{"keys": []}')
    source.verify(request, now_s=NOW_S)
    (held,) = config.secrets
    assert "the last good value stays in use" in held.problem
    assert "jwks" not in str(config.sources["desk"].options.raw)


@pytest.mark.parametrize(
    ("described", "wanted"),
    [
        ("{algorithms: [RS256], jwks_file: missing.json}", "cannot be read"),
        ("{algorithms: [RS256], jwks_file: empty.json}", "is no JWK set"),
        ("{algorithms: [none], jwks_file: keys.json}", "is not known"),
        ("{algorithms: [HS256], secrets: [a]}", "too weak"),
    ],
)
def test_the_config_says_what_is_wrong(tmp_path: Path, described: str, wanted: str) -> None:
    (tmp_path / "empty.json").write_text('{"keys": []}')
    (tmp_path / "keys.json").write_text(jwks(one=rsa_key()))
    place = tmp_path / "relay.yaml"
    place.write_text(CONFIG.replace("JWT", described))
    with pytest.raises(ConfigInvalid, match=wanted):
        load_config(str(place), {})


def test_a_private_key_is_none_to_verify_with() -> None:
    private = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ValueError, match="must be RSA"):
        adapter(keys=[private])
