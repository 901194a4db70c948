"""What adapters with a signature share: when a login may stand in for it, and a secret in the URL."""

from __future__ import annotations

from relay.errors import NotAuthentic
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, any_same
from relay.sources.credentials import has_login, has_secret, verify_login

#: Where a sender can be given nothing but a URL: `?token=...` and its usual other names.
URL_SECRET_NAMES = ("token", "secret", "key")


def wants_signature(inbound: Inbound, options: SourceOptions, given: str) -> bool:
    """True: check the signature `given`. False: the request is proven by a login, or needs no proof.

    A signature that is there is never passed over in favour of a login. Raises NotAuthentic.
    """
    if has_secret(options):
        if given:
            return True
        if not has_login(options):
            raise NotAuthentic("missing")
    verify_login(inbound, options)
    return False


def require_proof(options: SourceOptions, what: str) -> None:
    """ValueError unless a secret or a login is configured. `what` names the secret in the provider's words."""
    if not (has_secret(options) or has_login(options) or options.unauthenticated):
        raise ValueError(
            f"source {options.name!r}: {options.adapter} needs secrets: [{what}] or basic_auth, bearer or api_key "
            "(or unauthenticated: true)"
        )


def verify_url_secret(inbound: Inbound, options: SourceOptions) -> bool:
    """Whether the URL carries one of the secrets. Raises NotAuthentic where it carries a wrong one."""
    for name in URL_SECRET_NAMES:
        given = inbound.query.get(name, "")
        if given:
            if any_same(given, [secret for secret in options.secrets() if secret]):
                return True
            raise NotAuthentic("url_secret")
    return False
