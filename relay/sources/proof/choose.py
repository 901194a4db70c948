"""Which proof a source has: what its config describes, over what its preset says of the sender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.source_options import JWT_SHARED, SourceOptions
from relay.sources.proof.credentials import has_secret
from relay.sources.proof.jwt_proof import read_jwt
from relay.sources.proof.kinds import BodyToken, HeadToken, Proof, SignatureProof, StandardProof
from relay.sources.proof.rule import ProofRule
from relay.sources.proof.signature import read_signature


@dataclass(frozen=True, slots=True)
class ProofPreset:
    """What a sender's documents say of its proof; at most one of these, but that `token_headers` may stand beside a `jwt`
    of key pairs, for senders whose URL can carry a secret instead. `signature`, `jwt` and `handshake` are written as in the
    config; `standard` names what the headers of Standard Webhooks begin with. `wants` says what to configure, in the
    provider's words: "secrets: [the app secret]"."""

    signature: Mapping[str, Any] = field(default_factory=dict)
    standard: tuple[str, ...] = ()
    body_token: str = ""
    token_headers: tuple[str, ...] | None = None
    jwt: Mapping[str, Any] = field(default_factory=dict)
    handshake: Mapping[str, str] = field(default_factory=dict)
    wants: str = ""


def choose_proof(options: SourceOptions, rule: ProofRule, preset: ProofPreset) -> Proof | None:
    """Return the proof that this source's requests carry beside a login; None where a login is all. Raises ValueError with a
    sentence where the config does not hold."""
    keyed = has_secret(options) or any(options.public_keys())
    if options.jwt or (keyed and preset.jwt and set(preset.jwt["algorithms"]) <= set(JWT_SHARED)):
        proof = read_jwt(options, preset.jwt)
        if keyed and not proof.is_shared:
            raise ValueError(
                f"source {options.name!r}: with {' and '.join(proof.algorithms)} in jwt there is nothing that secrets could prove: "
                "leave them out"
            )
        return proof
    if not keyed:
        if options.signature and not options.unauthenticated:
            raise ValueError(f"source {options.name!r}: signature needs secrets: [the shared secret]")
        return None
    token_path = options.signature.get("body_token") or options.raw.get("body_token") or preset.body_token
    if token_path:
        return BodyToken(str(token_path), rule)
    if preset.signature or (options.signature and not preset.standard):
        return SignatureProof(
            read_signature(options.signature, preset=preset.signature or None), options.secrets
        )
    if preset.token_headers is not None:
        return HeadToken(rule, preset.token_headers)
    return StandardProof(preset.standard or ("webhook", "svix"), options.secrets, options.public_keys)
