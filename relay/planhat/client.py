"""Planhat over HTTP: the six conversation operations and the look-ups the relay needs. Synchronous, as RQ is.

Two ways to ask. `upsert_raw` answers with a value for everything that can happen (see `report.py`), because a batch
must be settled item by item. The others return the record or raise one of the PlanhatError family, as a person at a
shell or a look-up wants it. Either way a call is over at its deadline, and the token is asked for anew each time.

Source: Planhat, Conversation API; what else is assumed is named by the tests in tests/contract.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, cast

import httpx
import orjson

from relay.errors import (
    PlanhatError,
    PlanhatForbidden,
    PlanhatGarbled,
    PlanhatNotFound,
    PlanhatRefused,
    PlanhatUnavailable,
)
from relay.planhat.address import base_url, path_of
from relay.planhat.limits import LIST_MAX
from relay.planhat.models import Company, Conversation, Enduser, User
from relay.planhat.report import (
    Answer,
    Forbidden,
    Garbled,
    Rejected,
    Report,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    read_report,
)
from relay.planhat.transport import Deadline, DeadlinePassed, DeadlineTransport, proxy_for

CONNECT_TIMEOUT_S: Final = 5.0
CALL_TIMEOUT_S: Final = 60.0
MAX_ANSWER_BYTES: Final = 128 * 1024 * 1024
_TOKEN: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)


class Refusal(PlanhatRefused):
    """`detail` is what Planhat says, cut. It may quote the conversation: for a person's eyes, never for a log."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail[:500]


@dataclass(frozen=True, slots=True)
class Probe:
    """How Planhat answers one cheap question. `date` is its own clock, as it wrote it; "" where it wrote none."""

    status: int
    date: str


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Planhat:
    """One tenant. Usable by several threads; `close()` it, or use it in a `with`.

    `token` is a string or asked for at each call. `timeout_s` bounds one whole call, connecting and reading
    included. `gzip_over_bytes`: compress request bodies beyond this size (None: never; nothing says that Planhat
    takes them).
    """

    def __init__(
        self,
        url: str = "https://api.planhat.com",
        token: str | Callable[[], str] = "",
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        gzip_over_bytes: int | None = None,
        connections: int = 4,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._url = base_url(url)
        self._token = token
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._gzip_over_bytes = gzip_over_bytes
        self._now_s = now_s
        self._deadline = Deadline()
        self._http = httpx.Client(
            transport=DeadlineTransport(self._deadline, proxy=proxy_for(self._url), connections=connections),
            headers={"Accept": "application/json", "User-Agent": "planhat-relay"},
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # ---- the bulk upsert, which never raises

    def upsert_raw(self, body: bytes, *, timeout_s: float | None = None) -> Answer:
        """`PUT /conversations` with a JSON array that is ready to send. Every outcome is a value."""
        try:
            reply = self._call("PUT", "/conversations", body=body, timeout_s=timeout_s)
        except PlanhatUnavailable as error:
            return Unavailable(None, str(error), error.retry_after_s)
        except PlanhatForbidden as error:
            return Unauthorized(str(error))
        return read_report(reply.status, reply.headers, reply.body, now_s=self._now_s())

    # ---- the six conversation operations

    def create(self, conversation: Mapping[str, Any], *, timeout_s: float | None = None) -> Conversation:
        """POST. Planhat makes a second record when the externalId exists already; `upsert` does not."""
        return cast(Conversation, self._record("POST", "/conversations", conversation, timeout_s=timeout_s))

    def update(self, key: str, changes: Mapping[str, Any], *, timeout_s: float | None = None) -> Conversation:
        """PUT one; what is left out stays as it is. `key`: an `_id`, `extid-...` or `srcid-...`."""
        return cast(
            Conversation, self._record("PUT", path_of("conversations", key), changes, timeout_s=timeout_s)
        )

    def get(self, key: str, *, timeout_s: float | None = None) -> Conversation:
        """GET one by `_id`, `extid-...` or `srcid-...`. Raises PlanhatNotFound."""
        return cast(Conversation, self._record("GET", path_of("conversations", key), timeout_s=timeout_s))

    def list_page(
        self,
        *,
        company_ids: Sequence[str] = (),
        limit: int | None = None,
        offset: int | None = None,
        sort: str | None = None,
        select: Iterable[str] = (),
        timeout_s: float | None = None,
    ) -> list[Conversation]:
        """One page of GET /conversations. Planhat's default is 30, its most 2,000; `sort="-date"` is descending."""
        query = _query(companyId=",".join(company_ids), limit=limit, offset=offset, sort=sort, select=select)
        return cast(list[Conversation], self._records("/conversations", query, timeout_s=timeout_s))

    def list_all(
        self,
        *,
        company_ids: Sequence[str] = (),
        sort: str | None = None,
        select: Iterable[str] = (),
        page_items: int = LIST_MAX,
    ) -> Iterator[Conversation]:
        """Every conversation, page by page until a short one. A record that moved between pages is given once."""
        columns = tuple(select)
        if columns and "_id" not in columns:
            columns = ("_id", *columns)
        seen: set[str] = set()
        for page in self._pages(
            lambda offset: self.list_page(
                company_ids=company_ids, limit=page_items, offset=offset, sort=sort, select=columns
            ),
            page_items,
        ):
            for conversation in page:
                key = conversation.get("_id", "")
                if not key or key not in seen:
                    seen.add(key)
                    yield conversation

    def delete(self, key: str, *, timeout_s: float | None = None) -> Conversation:
        """DELETE one; returns what it was. The document names `_id` only; other keys are an assumption."""
        return cast(Conversation, self._record("DELETE", path_of("conversations", key), timeout_s=timeout_s))

    def upsert(self, conversations: Sequence[Mapping[str, Any]], *, timeout_s: float | None = None) -> Answer:
        """PUT many, at most 5,000; see `upsert_raw`. Cutting into calls is the caller's."""
        return self.upsert_raw(orjson.dumps(conversations), timeout_s=timeout_s)

    # ---- look-ups. Unknown filters are ignored by Planhat: whoever filters, checks what comes back.

    def companies(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        select: Iterable[str] = (),
        company_ids: Sequence[str] = (),
        sort: str | None = None,
        timeout_s: float | None = None,
    ) -> list[Company]:
        """One page of GET /companies (default 100, most 5,000)."""
        query = _query(companyId=",".join(company_ids), limit=limit, offset=offset, sort=sort, select=select)
        return cast(list[Company], self._records("/companies", query, timeout_s=timeout_s))

    def company(self, key: str, *, timeout_s: float | None = None) -> Company:
        """GET one company by `_id`, `extid-...` or `srcid-...`. Raises PlanhatNotFound."""
        return cast(Company, self._record("GET", path_of("companies", key), timeout_s=timeout_s))

    def lean_companies(
        self,
        *,
        external_id: str | None = None,
        source_id: str | None = None,
        status: str | None = None,
        timeout_s: float | None = None,
    ) -> list[Company]:
        """GET /leancompanies: `_id`, `name`, `externalId`, `sourceId` of the companies that match."""
        query = _query(externalId=external_id, sourceId=source_id, status=status)
        return cast(list[Company], self._records("/leancompanies", query, timeout_s=timeout_s))

    def endusers(
        self,
        *,
        email: str | None = None,
        company_id: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        select: Iterable[str] = (),
        timeout_s: float | None = None,
    ) -> list[Enduser]:
        """One page of GET /endusers. One address may belong to several companies, and to two records in one."""
        query = _query(email=email, companyId=company_id, limit=limit, offset=offset, select=select)
        return cast(list[Enduser], self._records("/endusers", query, timeout_s=timeout_s))

    def users(
        self,
        *,
        email: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        timeout_s: float | None = None,
    ) -> list[User]:
        """One page of GET /users, our own team. `email` is documented for 2017 only; check what comes back."""
        query = _query(email=email, limit=limit, offset=offset)
        return cast(list[User], self._records("/users", query, timeout_s=timeout_s))

    def probe(self, model: str, *, timeout_s: float | None = None) -> Probe:
        """Ask for one record of a model and look at nothing but the status. Raises PlanhatUnavailable without one."""
        reply = self._call("GET", f"/{model}", query={"limit": "1"}, timeout_s=timeout_s)
        return Probe(reply.status, reply.headers.get("date", ""))

    # ---- one call

    def _pages(
        self, fetch: Callable[[int], list[Conversation]], page_items: int
    ) -> Iterator[list[Conversation]]:
        offset = 0
        while True:
            page = fetch(offset)
            yield page
            if len(page) < page_items:
                return
            offset += len(page)

    def _record(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        body = None if content is None else orjson.dumps(dict(content))
        reply = self._call(method, path, body=body, timeout_s=timeout_s)
        parsed = self._success(reply, f"{method} {path.split('/')[1]}")
        if not isinstance(parsed, dict):
            raise PlanhatGarbled(f"Planhat answered {reply.status} to {method}, but not with a record")
        return parsed

    def _records(
        self, path: str, query: Mapping[str, str], *, timeout_s: float | None = None
    ) -> list[dict[str, Any]]:
        reply = self._call("GET", path, query=query, timeout_s=timeout_s)
        parsed = self._success(reply, f"GET {path}")
        # Others have seen a 200 with something else than a list, and treat it as passing; so the caller may.
        if not isinstance(parsed, list) or not all(isinstance(item, dict) for item in parsed):
            raise PlanhatGarbled(
                f"Planhat answered {reply.status} to GET {path}, but not with a list of records"
            )
        return parsed

    def _success(self, reply: _Reply, operation: str) -> Any:
        if 200 <= reply.status < 300 and reply.status != 206:
            try:
                return orjson.loads(reply.body)
            except orjson.JSONDecodeError as error:
                raise PlanhatGarbled(
                    f"Planhat answered {reply.status} to {operation}, but not with JSON"
                ) from error
        raise self._failure(reply, operation)

    def _failure(self, reply: _Reply, operation: str) -> PlanhatError:
        if reply.status == 404:
            return PlanhatNotFound(f"Planhat knows no such record ({operation})")
        match read_report(reply.status, reply.headers, reply.body, now_s=self._now_s()):
            case Throttled(retry_after_s):
                return PlanhatUnavailable("Planhat answered 429: too many calls", retry_after_s)
            case Unavailable(_, reason, retry_after_s):
                return PlanhatUnavailable(reason, retry_after_s)
            case Unauthorized(reason):
                return PlanhatForbidden(reason)
            case Forbidden():
                return PlanhatForbidden(f"Planhat answered 403: the token may not {operation}")
            case Report(errors=errors) as report:
                if report.wholly_forbidden:
                    return PlanhatForbidden(f"Planhat answered 403: the token may not {operation}")
                kinds = ", ".join(sorted({error.kind for error in errors})) or "no reason"
                return _refused(reply.status, operation, kinds, errors[0].message if errors else "")
            case Rejected(status, message):
                return _refused(status, operation, "the whole request", message)
            case TooLarge():
                return Refusal(f"Planhat answered 413 to {operation}: the request is too large")
            case Garbled(status, reason):
                return PlanhatGarbled(f"Planhat answered {status} to {operation}: {reason}")

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> _Reply:
        """Raises PlanhatUnavailable when there is no answer, PlanhatForbidden when there is no token to ask with."""
        whole_s = self._timeout_s if timeout_s is None else timeout_s
        headers = {"Authorization": f"Bearer {self._read_token()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            if self._gzip_over_bytes is not None and len(body) > self._gzip_over_bytes:
                body = gzip.compress(body, compresslevel=3, mtime=0)
                headers["Content-Encoding"] = "gzip"
        request = self._http.build_request(
            method,
            f"{self._url}{path}",
            params=query or None,
            content=body,
            headers=headers,
            timeout=httpx.Timeout(whole_s, connect=min(self._connect_timeout_s, whole_s)),
        )
        self._deadline.start(whole_s)
        try:
            response = self._http.send(request, stream=True)
            try:
                content = _read_body(response)
            finally:
                response.close()
                # The stream points back at the response: that ring would keep 4 MB of sent body until the collector runs.
                response.stream = httpx.ByteStream(b"")
        except (DeadlinePassed, httpx.TimeoutException) as error:
            raise PlanhatUnavailable(_slow(error, whole_s, self._connect_timeout_s)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PlanhatUnavailable(f"Planhat cannot be reached: {_short(error)}") from error
        finally:
            self._deadline.stop()
        return _Reply(response.status_code, response.headers, content)

    def _read_token(self) -> str:
        token = (self._token if isinstance(self._token, str) else self._token()).strip()
        if not token:
            raise PlanhatForbidden("no Planhat token: set RELAY_PLANHAT_TOKEN or RELAY_PLANHAT_TOKEN_FILE")
        if not _TOKEN.fullmatch(token):
            raise PlanhatForbidden("the Planhat token holds a blank or a character outside of ASCII")
        return token


def _query(**parameters: str | int | Iterable[str] | None) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in parameters.items():
        if value is None:
            continue
        text = str(value) if isinstance(value, (str, int)) else ",".join(value)
        if text:
            query[name] = text
    return query


def _refused(status: int, operation: str, kinds: str, message: str) -> Refusal:
    return Refusal(f"Planhat answered {status} to {operation} and refused it ({kinds})", message)


def _read_body(response: httpx.Response) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise PlanhatUnavailable(f"Planhat's answer is larger than {MAX_ANSWER_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _slow(error: Exception, whole_s: float, connect_s: float) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"Planhat cannot be reached: no connection within {min(connect_s, whole_s):g} s"
    return f"Planhat gave no whole answer within {whole_s:g} s"


def _short(error: Exception) -> str:
    """The kind of failure and the system's word for it; httpx's messages hold no data of ours."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
