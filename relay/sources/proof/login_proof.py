"""The proof of senders that sign nothing: the login of the request, which stands in its head."""

from __future__ import annotations

from relay.source_options import SourceOptions
from relay.sources.base import BaseAdapter, Inbound, Sample
from relay.sources.proof.credentials import login_headers, require_login
from relay.sources.proof.rule import ProofRule


class LoginProof(BaseAdapter):
    """Comes before the adapter's own class in its bases. Raises ValueError, when it is made, without a login and without
    `unauthenticated: true`."""

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_login(options)
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Verify nothing more: the login is all there is."""

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        return Sample(sample.body, {**sample.headers, **login_headers(self.options)}, sample.method)
