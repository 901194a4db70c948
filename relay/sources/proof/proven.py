"""An adapter whose proof and handshake are put together from its config and a preset: what is left to it is to read."""

from __future__ import annotations

from typing import ClassVar

from relay.source_options import SourceOptions
from relay.sources.base import BaseAdapter, Inbound, Reply, Sample
from relay.sources.proof.choose import ProofPreset, choose_proof
from relay.sources.proof.credentials import login_headers
from relay.sources.proof.handshake import read_handshake
from relay.sources.proof.rule import ProofRule


class ProvenAdapter(BaseAdapter):
    """Everything of an adapter but `parse` and `sample`. A subclass gives its preset to `__init__`."""

    #: For those that are configured; without one, nothing is answered before its proof.
    handshake_before_verify: ClassVar[bool] = True

    def __init__(self, options: SourceOptions, preset: ProofPreset) -> None:
        super().__init__(options)
        self._rule = ProofRule(options)
        self._proof = choose_proof(options, self._rule, preset)
        described = options.handshake or preset.handshake
        self._handshake = read_handshake(described) if described else None
        if self._proof is not None:
            self.credentials, self.proof_window_s = self._proof.credentials, self._proof.window_s
        elif not self._rule.login and not options.unauthenticated:
            raise ValueError(
                f"source {options.name!r}: {options.adapter} needs {preset.wants or 'secrets, jwt'}, basic_auth, bearer or "
                "api_key (or unauthenticated: true, which lets anyone in)"
            )

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        if self._handshake is None or not self._handshake.may_follow(head):
            self._look_at_head(head, now_s)

    def _look_at_head(self, head: Inbound, now_s: float) -> None:
        self._check_login(head)
        if self._proof is not None:
            self._proof.look_at_head(head, now_s=now_s)

    def _check_login(self, head: Inbound) -> None:
        self._rule.check_login(head)

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        # Whatever a handshake may leave open in a head is asked for here.
        self._look_at_head(inbound, now_s)
        self.verify_body(inbound, now_s=now_s)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if self._proof is not None:
            self._proof.verify(inbound, now_s=now_s)

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        return self._handshake.reply(inbound) if self._handshake is not None else None

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        """Return what counts once: all that is signed, where the id of a delivery is not or nothing says when it was."""
        signed = self._proof.once(inbound) if self._proof is not None else ()
        return self._rule.once(*signed) if signed else ()

    def timeless(self, inbound: Inbound) -> bool:
        return self._proof is not None and self._proof.timeless(inbound)

    def opened(self, inbound: Inbound) -> Inbound:
        """Return the verified request with what its sender tells as the body: the claims, where that is a JWT."""
        return inbound if self._proof is None else inbound.with_body(self._proof.payload(inbound))

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        body, proof = sample.body, dict[str, str]()
        if self._proof is not None:
            body, proof = self._proof.sign(body, now_s=now_s)
        return Sample(body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)
