"""Who may use the console and the API: the operator token, or the reader token, as Bearer or by a session. Without a token
there is neither console nor API (`relay/web/app.py` leaves them out).

A session is a random word in a cookie (http-only, same-site strict) whose hash stands in Redis: signing out ends it there, and
another token ends all that the old one opened. What changes something wants, from a browser, a proof that our own page asked.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal

from starlette.requests import HTTPConnection

from relay.operations.context import WebContext
from relay.outbox.sessions import Sessions
from relay.secret import Strength
from relay.web.guessing import Guesses
from relay.web.peer import network_of, require_plain_host, require_same_origin, told_address
from relay.web.refused import RequestRefused

COOKIE = "relay_session"
SESSION_S = 12 * 3600
#: Wrong tokens from one network in a minute before it must wait, at the sign-in page and as Bearer.
SIGN_IN_TRIES = 5
BEARER_TRIES = 30
_NAME = re.compile(r"[^\w .@+-]")
_SESSION = re.compile(r"s2\.[A-Za-z0-9_-]{32,64}", re.ASCII)

_Role = Literal["operator", "reader"]
ROLES: tuple[_Role, ...] = ("operator", "reader")


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts. `session` is the cookie's value, "" for a program; `csrf` what its forms must carry. A reader looks and changes
    nothing; `sees_payloads`: what people wrote is shown."""

    name: str
    address: str = ""
    role: _Role = "operator"
    sees_payloads: bool = True
    session: str = ""
    csrf: str = ""

    @property
    def may_change(self) -> bool:
        return self.role == "operator"


class Access:
    """`tokens` are asked for anew each time; one that gives "" is not configured."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        operator: Callable[[], str],
        reader: Callable[[], str] = str,
        readers_see_payloads: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sessions = sessions
        self._tokens: dict[_Role, Callable[[], str]] = {"operator": operator, "reader": reader}
        self._readers_see_payloads = readers_see_payloads
        self._clock = clock
        self._guesses = Guesses(clock)

    @property
    def configured(self) -> bool:
        return any(self._tokens[role]() for role in ROLES)

    # -- who asks --------------------------------------------------------------------------------------------

    def admit(self, request: HTTPConnection) -> Operator:
        """Return who asks. Raises RequestRefused; OutboxUnavailable where a session cannot be looked up."""
        address = told_address(request)
        require_plain_host(request)
        header = request.headers.get("authorization", "")
        if header:
            scheme, _, given = header.partition(" ")
            role = self._check(request, "bearer", given.strip() if scheme.lower() == "bearer" else "")
            name = _NAME.sub("", request.headers.get("x-operator", "")).strip()[:60]
            return self._operator(role, f"api:{name}" if name else "api", address)
        session = request.cookies.get(COOKIE, "")
        held = self._session(session)
        if held is None:
            raise RequestRefused(
                401,
                "not_signed_in",
                "the operator token is wanted: Authorization: Bearer, or sign in at /console",
            )
        name = str(held.get("name") or "")
        who = f"console:{name}" if name else "console"
        return self._operator(held["role"], who, address, session)

    def require_change(self, operator: Operator) -> None:
        """Raise RequestRefused for a reader."""
        if not operator.may_change:
            raise RequestRefused(403, "readers_only_look", "the reader token looks and changes nothing")

    def require_own_page(self, request: HTTPConnection, operator: Operator, given_csrf: str) -> None:
        """Let a form of the console through. Raises RequestRefused where another page sent it."""
        require_same_origin(request)
        if not operator.session or not _same(given_csrf, operator.csrf):
            raise RequestRefused(403, "csrf", "this form is too old or not ours; load the page again")

    def _operator(self, role: _Role, who: str, address: str, session: str = "") -> Operator:
        return Operator(
            name=who if role == "operator" else f"{who} (reader)",
            address=address,
            role=role,
            sees_payloads=role == "operator" or self._readers_see_payloads,
            session=session,
            csrf=_mac(self._tokens[role](), "csrf", session) if session else "",
        )

    # -- sessions --------------------------------------------------------------------------------------------

    def sign_in(self, request: HTTPConnection, given: str, name: str) -> tuple[str, Operator]:
        """Return the new session's cookie value, and who has it. Raises RequestRefused: 401, or 429 after too many wrong ones."""
        return self._open(request, self._check(request, "sign-in", given), name)

    def exchange(self, request: HTTPConnection, code: str) -> tuple[str, Operator]:
        """Return a session for the one-time code of a sign-in link. Raises RequestRefused: it is good once, for a while."""
        network = network_of(request)
        self._guesses.require_patience("code", network, BEARER_TRIES)
        held = self._sessions.take_code(code) if code else None
        role = held.get("role") if held else None
        if role not in ROLES or not self._tokens[role]():
            self._guesses.failed("code", network, BEARER_TRIES)
            raise RequestRefused(
                401,
                "not_signed_in",
                "this sign-in link was used or is too old; `relay sign-in` makes another",
            )
        return self._open(request, role, str((held or {}).get("name") or ""))

    def end(self, operator: Operator) -> None:
        """Signs out: the cookie opens nothing any more, wherever it is."""
        self._sessions.end(operator.session)

    def _open(self, request: HTTPConnection, role: _Role, name: str) -> tuple[str, Operator]:
        session = f"s2.{secrets.token_urlsafe(24)}"
        clean = _NAME.sub("", name).strip()[:60]
        facts = {
            "role": role,
            "name": clean,
            "until": int(self._clock()) + SESSION_S,
            # Not the token: what only who has the token could have made.
            "opened_with": _mac(self._tokens[role](), "session", session),
        }
        self._sessions.store(session, facts, SESSION_S)
        who = f"console:{clean}" if clean else "console"
        return session, self._operator(role, who, told_address(request), session)

    def _session(self, session: str) -> dict[str, Any] | None:
        if not _SESSION.fullmatch(session):
            return None
        held = self._sessions.read(session)
        if held is None or held.get("role") not in ROLES or int(held.get("until") or 0) < self._clock():
            return None
        token = self._tokens[held["role"]]()
        if not token or not _same(str(held.get("opened_with")), _mac(token, "session", session)):
            return None
        return held

    # -- tokens ----------------------------------------------------------------------------------------------

    def _check(self, request: HTTPConnection, way: str, given: str) -> _Role:
        """Whose token it is. A strong one is never locked out, whoever guesses beside it; guesses are only slowed down."""
        network = network_of(request)
        limit = BEARER_TRIES if way == "bearer" else SIGN_IN_TRIES
        found: _Role | None = None
        for role in ROLES:
            token = self._tokens[role]()
            if token and _same(given, token) and found is None:
                found = role
        if found is None or not _strong(self._tokens[found]()):
            self._guesses.require_patience(way, network, limit)
        if found is None:
            self._guesses.failed(way, network, limit)
            raise RequestRefused(401, "not_signed_in", "that is no token of this relay")
        return found


def access_of(context: WebContext) -> Access:
    """Give the access that a process is set to."""
    settings = context.settings
    return Access(
        Sessions(context.outbox),
        operator=settings.operator_token,
        reader=settings.reader_token,
        readers_see_payloads=settings.reader_sees_payloads,
    )


@lru_cache(maxsize=8)
def _strong(token: str) -> bool:
    return not Strength().token(token)


def _same(given: str, wanted: str) -> bool:
    """Constant time whatever the lengths: hashes are compared."""
    return hmac.compare_digest(_digest(given), _digest(wanted))


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _mac(key: str, purpose: str, text: str) -> str:
    mac = blake2b(f"{purpose}\x1f{text}".encode("utf-8", "surrogatepass"), key=_digest(key), digest_size=24)
    return mac.hexdigest()
