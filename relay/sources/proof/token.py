"""What adapters with a signature share: when a login may stand in for it, and a secret in the URL."""

from __future__ import annotations

from relay.errors import NotAuthentic
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, any_same, content_key
from relay.sources.proof.credentials import has_login, has_secret, verify_login

#: For senders that sign nothing but send any header one asks for.
TOKEN_HEADER = "x-webhook-token"  # noqa: S105 - a name, no secret
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


def verify_token(inbound: Inbound, options: SourceOptions) -> bool:
    """Whether the header `X-Webhook-Token` or the URL (`?token=...`) carries one of the secrets. Raises
    NotAuthentic where it carries a wrong one, or where nothing else is configured."""
    given = inbound.headers.get(TOKEN_HEADER, "") or next(
        (inbound.query[name] for name in URL_SECRET_NAMES if inbound.query.get(name)), ""
    )
    secrets = [secret for secret in options.secrets() if secret]
    if not secrets:
        return False
    if given:
        if any_same(given, secrets):
            return True
        raise NotAuthentic("token")
    if not has_login(options):
        raise NotAuthentic("missing")
    return False


def delivery_of(inbound: Inbound, header: str) -> str:
    """The sender's id of this delivery, or the body's hash where the header holds no id."""
    given = inbound.headers.get(header, "")
    return given if given.isascii() and given.isprintable() and given.strip() else content_key(inbound.body)
