"""Asking a provider's API for what its webhook leaves out: the text of a HubSpot message, a sender's address.

Optional (`enrich: {token: ...}` of a source), by the workers only, never at the door; without it the event is
relayed with what it has. Each source asks with its own token, or one that it is given for a while (`token_url`), within
`timeout`, and remembers the answers. Which path is asked, and what the answer adds, stands beside the provider:
`relay/sources/providers/<name>_lookup.py`.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import orjson

from relay.errors import TryLater
from relay.planhat.transport import Deadline, DeadlinePassed, DeadlineTransport, proxy_for
from relay.sources.foreign_json import Walk
from relay.sources.registry import LOOKUPS, look_up_of
from relay.transit import travels_in_clear
from relay.units import parse_duration
from workers.enrich.lent_token import LentToken

#: Answers of one process; a person's address seldom changes.
_REMEMBERED = 10_000
_NOT_FOUND_S = 300.0
_ABSENT = (404, 410)

_KEYS = ("token", "login", "token_url", "scope", "url", "timeout", "cache")


@dataclass(frozen=True, slots=True)
class Question:
    """What a provider is asked: the JSON `body` is posted, without one the URL is got. `event` is set where the answer is
    for that event only."""

    url: str
    body: bytes = b""
    event: str = ""


#: Asks for a JSON object: {} for what is not there. Raises TryLater where nobody can say now.
_Fetch = Callable[[Question], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class EnrichOptions:
    """A source's `enrich:`. `url` is the API's address where it is the tenant's own (Zendesk), or in tests. With
    `token_url`, `login` is the app's id and secret (OAuth client credentials)."""

    adapter: str
    token: Callable[[], str] = str
    login: Callable[[], str] = str
    url: str = ""
    timeout_s: float = 5.0
    remember_s: float = 3600.0
    token_url: str = ""
    scope: str = ""


def read_enrich(adapter: str, raw: Mapping[str, Any]) -> EnrichOptions | None:
    """Return the options of a source, None where it has none. Raises ValueError with a sentence."""
    if not raw:
        return None
    unknown = sorted(set(raw) - set(_KEYS))
    if unknown:
        raise ValueError(f"enrich: unknown key {unknown[0]!r}; known: {', '.join(_KEYS)}")
    look_up = look_up_of(adapter)
    if look_up is None:
        raise ValueError(f"enrich: nothing to look up for {adapter}; only for {', '.join(sorted(LOOKUPS))}")
    token, login = _credential(raw.get("token")), _credential(raw.get("login"))
    url, token_url = str(raw.get("url") or ""), str(raw.get("token_url") or "")
    if not (token() or login()):
        raise ValueError("enrich: needs token, the provider's API token")
    if look_up.sign is not None and ":" not in login():
        raise ValueError(f"enrich: {adapter} needs login, an access key as id:secret")
    if not (look_up.api or look_up.where or url):
        raise ValueError(f"enrich: {adapter} needs url, as in {look_up.example}")
    if token_url and ":" not in login():
        raise ValueError("enrich: token_url needs login, the app's id and secret as id:secret")
    for key, place in (("url", url), ("token_url", token_url)):
        if place and (urlsplit(place).scheme not in ("http", "https") or travels_in_clear(place)):
            raise ValueError(f"enrich: {key} must begin with https://, since a credential travels with it")
    return EnrichOptions(
        adapter=adapter,
        token=token,
        login=login,
        url=url.rstrip("/"),
        timeout_s=parse_duration(str(raw.get("timeout", "5s"))),
        remember_s=parse_duration(str(raw.get("cache", "1h"))),
        token_url=token_url,
        scope=str(raw.get("scope") or look_up.scope),
    )


def _credential(given: Any) -> Callable[[], str]:
    """The config gives a callable, which reads today's value; a text is one that does not change."""
    if callable(given):
        return given  # type: ignore[no-any-return]
    text = str(given or "")
    return lambda: text


def enrich(
    view: Mapping[str, Any],
    options: EnrichOptions,
    fetch: _Fetch,
    *,
    payload: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the event's view with what was looked up; the given one stays as it is, and what it has is never replaced.

    Pure but for `fetch`. Raises TryLater where the provider cannot answer now.
    """
    found = {**view, "sender": dict(view.get("sender") or {})}
    look_up = look_up_of(options.adapter)
    if look_up is None or view.get("kind") == "message.deleted":
        return found
    walk = Walk(dict(payload or {}))
    path = look_up.path(found, walk)
    place = options.url or look_up.api or (look_up.where(walk) if look_up.where else "")
    if path and place:
        body = b"" if look_up.question is None else orjson.dumps(look_up.question(found, walk))
        event = str(view.get("id") or "") if look_up.changes else ""
        answer = Walk(dict(fetch(Question(place + path, body, event))))
        if look_up.hides is None or not look_up.hides(walk, answer):
            look_up.fill(found, answer)
    return found


class Lookups:
    """Fetches with one source's token; keeps answers for `remember_s`, and what is not there for a shorter while."""

    def __init__(self, options: EnrichOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._deadline = Deadline()
        proxy = proxy_for(options.url or "https://api.example.com")
        # A redirect could carry the token elsewhere.
        self._client = httpx.Client(
            transport=DeadlineTransport(self._deadline, proxy=proxy),
            timeout=options.timeout_s,
            follow_redirects=False,
        )
        self._token = LentToken(options.token_url, options.login, options.scope, self._post, clock=clock)
        look_up = look_up_of(options.adapter)
        self._look_up = look_up
        self._known: OrderedDict[Question, tuple[float, Mapping[str, Any]]] = OrderedDict()
        self._lock = Lock()
        self._not_before = 0.0

    def fetch(self, question: Question) -> Mapping[str, Any]:
        """Fetch the answer to a question; see `_Fetch`. After a 429 nothing is asked until the provider's time is over."""
        now_s = self._clock()
        with self._lock:
            known = self._known.get(question)
            if known is not None and now_s < known[0]:
                self._known.move_to_end(question)
                return known[1]
            wait_s = self._not_before - now_s
        if wait_s > 0:
            raise TryLater("the provider's API asks for a pause", wait_s)
        value = self._ask(question)
        lasts_s = self._options.remember_s if value else _NOT_FOUND_S
        if self._look_up is not None and self._look_up.once:
            return value
        with self._lock:
            self._known[question] = (now_s + lasts_s, value)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return value

    def close(self) -> None:
        self._client.close()

    def _ask(self, question: Question) -> Mapping[str, Any]:
        look_up = self._look_up
        headers = {
            **self._headers(question.url),
            "accept": "*/*" if look_up and look_up.read else "application/json",
        }
        if question.body:
            headers["content-type"] = "application/json"
        status, content = self._call("POST" if question.body else "GET", question.url, headers, question.body)
        if status == httpx.codes.UNAUTHORIZED:
            self._token.forget()
        self._check(status)
        if look_up is not None and look_up.read is not None:
            return look_up.read(content) if content else {}
        value = _object(content)
        if look_up is not None and look_up.busy is not None and look_up.busy(Walk(dict(value))):
            raise TryLater("the provider's API asks for a pause", 30.0)
        return value

    def _post(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """A form's answer, for the token. Raises TryLater."""
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        status, content = self._call("POST", url, headers, urlencode(form).encode())
        if status != httpx.codes.OK:
            raise TryLater(f"the provider gives no token: it answered {status}", 60.0)
        return _object(content)

    def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and content; no content for what is not there. Raises TryLater: after a 429 for its time."""
        self._deadline.start(self._options.timeout_s)
        try:
            with self._client.stream(method, url, headers=dict(headers), content=body or None) as answer:
                self._check_pause(answer)
                return answer.status_code, b"" if answer.status_code in _ABSENT else self._content(answer)
        except (httpx.HTTPError, httpx.InvalidURL, DeadlinePassed) as error:
            raise TryLater(f"the provider's API did not answer ({type(error).__name__})", 30.0) from error
        finally:
            self._deadline.stop()

    def _check_pause(self, answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            wait_s = _retry_after_s(answer.headers.get("retry-after", ""))
            with self._lock:
                self._not_before = self._clock() + wait_s
            raise TryLater("the provider's API answered 429", wait_s)

    @staticmethod
    def _check(status: int) -> None:
        if status != httpx.codes.OK and status not in _ABSENT:
            # 401 and 403 as well: the token may be mended while the event waits.
            raise TryLater(f"the provider's API answered {status}", 60.0)

    def _content(self, answer: httpx.Response) -> bytes:
        """The body, or nothing where it is larger than any message."""
        most = self._look_up.max_bytes if self._look_up else 0
        pieces, size = [], 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > most:
                return b""
            pieces.append(piece)
        return b"".join(pieces)

    def _headers(self, url: str) -> Mapping[str, str]:
        if self._look_up is not None and self._look_up.sign is not None:
            return self._look_up.sign(url, self._options.login(), time.time())
        if self._options.token_url:
            return {"authorization": f"Bearer {self._token.get()}"}
        login = self._options.login()
        if login:
            return {"authorization": "Basic " + b64encode(login.encode()).decode()}
        return {"authorization": f"Bearer {self._options.token()}"}


def _object(content: bytes) -> Mapping[str, Any]:
    """JSON's object, or an empty one."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _retry_after_s(given: str) -> float:
    return float(min(int(given), 3600)) if given.isascii() and given.isdigit() and len(given) < 9 else 30.0
