"""Sign-in links: a one-time code in the console's address instead of a token."""

from __future__ import annotations

import secrets
from typing import Literal

from relay.outbox.outbox import Outbox
from relay.outbox.sessions import Sessions

#: How long a link may lie in a terminal.
CODE_S = 15 * 60


def make_code(outbox: Outbox, *, name: str = "", role: Literal["operator", "reader"] = "operator") -> str:
    """Return a code that opens the console once, within 15 minutes, under `name`. Raises OutboxUnavailable."""
    code = secrets.token_urlsafe(24)
    Sessions(outbox).store_code(code, {"role": role, "name": name}, CODE_S)
    return code


def sign_in_link(outbox: Outbox, relay_url: str, *, name: str = "") -> str:
    """Return the link for a relay at `relay_url`."""
    return f"{relay_url.rstrip('/')}/console/sign-in?code={make_code(outbox, name=name)}"
