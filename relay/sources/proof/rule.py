"""One rule for what a source was configured with: all of it must hold.

`secrets` (and `public_keys`, `jwt`) ask for the sender's own proof: a signature, or a token. `basic_auth`, `bearer` and `api_key` ask
for a login. With both, a request needs both; of several secrets one, of several logins one. `unauthenticated: true` lets
everyone in only where neither is there. What was asked for at the start is asked for from then on: a secret that is emptied
later turns nothing off.
"""

from __future__ import annotations

from relay.errors import NotAuthentic
from relay.event import event_id
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, any_same, content_key
from relay.sources.proof.credentials import has_login, has_secret, verify_login

#: For senders that sign nothing but send any header one asks for.
TOKEN_HEADER = "x-webhook-token"  # noqa: S105 - a name, no secret
#: Where a sender can be given nothing but a URL: `?token=...` and its usual other names.
URL_SECRET_NAMES = ("token", "secret", "key")


class ProofRule:
    """`secret`: the sender's own proof is wanted; `login`: a login is."""

    __slots__ = ("login", "options", "secret")

    def __init__(self, options: SourceOptions) -> None:
        self.options = options
        self.secret = has_secret(options) or any(options.public_keys()) or bool(options.jwt)
        self.login = has_login(options)

    def check_login(self, head: Inbound) -> None:
        """Raise NotAuthentic where a login is wanted and not there, and where nothing at all could prove the request."""
        if self.login:
            verify_login(head, self.options)
        elif not self.secret and not self.options.unauthenticated:
            raise NotAuthentic("missing")

    def check_head(self, head: Inbound, given: str) -> bool:
        """Check the login, and that the sender's proof is `given` where it is wanted. True: it is to be checked with the body.
        Raises NotAuthentic."""
        self.check_login(head)
        if self.secret and not given:
            raise NotAuthentic("missing")
        return self.secret

    def check_token(self, given: str) -> None:
        """Check that, where a secret is wanted, `given` is one. Raises NotAuthentic."""
        if not self.secret:
            return
        if not given:
            raise NotAuthentic("missing")
        if not any_same(given, [secret for secret in self.options.secrets() if secret]):
            raise NotAuthentic("token")

    def once(self, *signed: str | bytes) -> tuple[str, ...]:
        """Return the dedupe key of what is signed: where ids, or the kind, come from headers that nobody signed, the same signed
        bytes are good for one event only, whatever those say."""
        return (event_id(self.options.name, f"signed:{content_key(*signed)}"),) if self.secret else ()


def token_of(head: Inbound) -> str:
    """Return the token that a sender without signatures was given: in the header `X-Webhook-Token`, or in the URL."""
    return head.headers.get(TOKEN_HEADER, "") or next(
        (head.query[name] for name in URL_SECRET_NAMES if head.query.get(name)), ""
    )


def delivery_of(inbound: Inbound, header: str) -> str:
    """Return the sender's id of this delivery, or the body's hash where the header holds no id. Nobody signed it: `Rule.once` holds
    that it makes no second event of the same bytes."""
    given = inbound.headers.get(header, "")
    return given if given.isascii() and given.isprintable() and given.strip() else content_key(inbound.body)


def require_proof(options: SourceOptions, what: str) -> None:
    """Raise ValueError unless a secret or a login is configured. `what` names the secret in the provider's words."""
    if not (has_secret(options) or has_login(options) or options.unauthenticated):
        raise ValueError(
            f"source {options.name!r}: {options.adapter} needs secrets: [{what}] or basic_auth, bearer or api_key "
            "(or unauthenticated: true)"
        )


def require_free_authorization(options: SourceOptions) -> None:
    """Raise ValueError where a login would need the header in which this sender puts its own proof."""
    if any(options.basic_auth()) or any(options.bearer()):
        raise ValueError(
            f"source {options.name!r}: {options.adapter} puts its proof into the Authorization header, so basic_auth and "
            "bearer cannot be asked for beside it; leave them out (or use api_key)"
        )
