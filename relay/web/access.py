"""Who may use the console and the API: the operator token as Bearer or by a session, or, without one configured,
whoever asks from this machine.

A session is a signed cookie (http-only, same-site strict) made from the token: a changed token ends every session.
What changes something wants, from a browser, a proof that our own page asked for it.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

COOKIE = "relay_session"
SESSION_S = 12 * 3600
#: Wrong tokens from one address in a minute before it must wait, at the sign-in page and as Bearer. By address only:
#: a limit for all together would let anybody lock the operators out.
SIGN_IN_TRIES = 5
BEARER_TRIES = 30
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host")
_NAME = re.compile(r"[^\w .@+-]")


class Refused(Exception):
    """`status` 401, 403 or 429; `code` and the message are for the answer."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts. `session` is the cookie's value, "" for a program; `csrf` what its forms must carry."""

    name: str
    session: str = ""
    csrf: str = ""


class Access:
    def __init__(self, token: Callable[[], str], *, clock: Callable[[], float] = time.time) -> None:
        self._token = token
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    # -- who asks --------------------------------------------------------------------------------------------

    def admit(self, request: HTTPConnection) -> Operator:
        """Who asks. Raises Refused."""
        token = self._token()
        if not token:
            require_local(request)
            session = request.cookies.get(COOKIE, "")
            if not re.fullmatch(r"local\.[A-Za-z0-9_-]{16,64}", session):
                session = ""
            return Operator("local", session, self._csrf(session) if session else "")
        header = request.headers.get("authorization", "")
        if header:
            scheme, _, given = header.partition(" ")
            self._require_patience(request, "bearer", BEARER_TRIES)
            if scheme.lower() == "bearer" and _same(given.strip(), token):
                name = _NAME.sub("", request.headers.get("x-operator", ""))[:60]
                return Operator(f"api:{name}" if name else "api")
            self._failed(request, "bearer")
            raise Refused(401, "not_signed_in", "the operator token is wrong")
        session = request.cookies.get(COOKIE, "")
        opened_by = self._read_session(session, token)
        if opened_by is None:
            raise Refused(
                401,
                "not_signed_in",
                "the operator token is wanted: Authorization: Bearer, or sign in at /console",
            )
        return Operator(f"console:{opened_by}" if opened_by else "console", session, self._csrf(session))

    def require_own_page(self, request: HTTPConnection, operator: Operator, given_csrf: str) -> None:
        """For a form of the console. Raises Refused where another page sent it."""
        require_same_origin(request)
        if not operator.session or not _same(given_csrf, operator.csrf):
            raise Refused(403, "csrf", "this form is too old or not ours; load the page again")

    # -- sessions --------------------------------------------------------------------------------------------

    def sign_in(self, request: HTTPConnection, given: str, name: str) -> str:
        """The session's cookie value. Raises Refused: 401, or 429 after too many tries."""
        token = self._token()
        if not token:
            raise Refused(
                403, "no_token", "no operator token is configured: the console answers on this machine only"
            )
        self._require_patience(request, "sign-in", SIGN_IN_TRIES)
        if not _same(given, token):
            self._failed(request, "sign-in")
            raise Refused(401, "not_signed_in", "that is not the operator token")
        clean = _NAME.sub("", name).strip()[:60]
        label = urlsafe_b64encode(clean.encode()).decode().rstrip("=")
        head = f"v1.{int(self._clock()) + SESSION_S}.{secrets.token_urlsafe(12)}.{label}"
        return f"{head}.{_mac(token, 'session', head)}"

    def new_local_session(self) -> str:
        """Without a token there is nothing to prove, but forms still must come from our own page."""
        return f"local.{secrets.token_urlsafe(24)}"

    def csrf_of(self, session: str) -> str:
        return self._csrf(session)

    @property
    def open_to_local(self) -> bool:
        return not self._token()

    def _read_session(self, session: str, token: str) -> str | None:
        """The name it was opened under, None where it is not ours or has ended."""
        head, _, mac = session.rpartition(".")
        parts = head.split(".")
        if len(parts) != 4 or parts[0] != "v1" or not _same(mac, _mac(token, "session", head)):
            return None
        if not parts[1].isdigit() or int(parts[1]) < self._clock():
            return None
        return urlsafe_b64decode(parts[3] + "=" * (-len(parts[3]) % 4)).decode("utf-8", "replace")

    def _csrf(self, session: str) -> str:
        return _mac(self._token() or "local", "csrf", session)

    # -- guessing --------------------------------------------------------------------------------------------

    def _require_patience(self, request: HTTPConnection, way: str, limit: int) -> None:
        tries = self._recent(f"{way} {_address(request)}")
        if len(tries) >= limit:
            wait_s = max(1, int(tries[-limit] + 60 - self._clock()) + 1)
            raise Refused(429, "too_many_tries", f"too many wrong tokens; wait {wait_s} s", wait_s)

    def _failed(self, request: HTTPConnection, way: str) -> None:
        key = f"{way} {_address(request)}"
        self._failures[key] = [*self._recent(key), self._clock()][-BEARER_TRIES:]
        self._failures.move_to_end(key)
        while len(self._failures) > 1000:
            self._failures.popitem(last=False)

    def _recent(self, key: str) -> list[float]:
        return [at for at in self._failures.get(key, []) if at > self._clock() - 60]


def require_local(request: HTTPConnection) -> None:
    """Without a token: only who connects from this machine, asks for it by a local name (else a rebound DNS name in a
    browser would do), and came through no proxy. Raises Refused."""
    sentence = (
        "no operator token is configured, so this answers on this machine only; set RELAY_OPERATOR_TOKEN"
    )
    address = _address(request)
    try:
        # A unix socket has no address: whoever may open it is on this machine.
        local = not address or ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        local = False
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if (
        not local
        or name.lower() not in _LOCAL_NAMES
        or any(header in request.headers for header in _FORWARDED)
    ):
        raise Refused(403, "local_only", sentence)


def require_same_origin(request: HTTPConnection) -> None:
    """What a browser says of where a request came from must be us. Programs say nothing, and pass. Raises Refused."""
    site = request.headers.get("sec-fetch-site", "")
    origin = request.headers.get("origin", "")
    foreign = site not in ("", "same-origin", "none")
    if origin and (
        origin == "null" or urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    ):
        foreign = True
    if foreign:
        raise Refused(403, "cross_site", "another site sent this")


def _address(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""


def _same(given: str, wanted: str) -> bool:
    """Constant time whatever the lengths: hashes are compared."""
    return hmac.compare_digest(_digest(given), _digest(wanted))


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _mac(key: str, purpose: str, text: str) -> str:
    mac = blake2b(f"{purpose}\x1f{text}".encode("utf-8", "surrogatepass"), key=_digest(key), digest_size=24)
    return mac.hexdigest()
