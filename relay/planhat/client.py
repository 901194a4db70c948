"""Planhat over HTTP: the six conversation operations and the look-ups the relay needs. Synchronous, as RQ is.

Two ways to ask. `upsert_raw` answers with a value for everything that can happen (see `report.py`), because a batch
must be settled item by item. The others return the record or raise one of the PlanhatError family, as a person at a
shell or a look-up wants it. Either way a call is over at its deadline, and the token is asked for anew each time.

Source: Planhat, Conversation API; what else is assumed is named by the tests in tests/contract.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import orjson

from relay.errors import PlanhatForbidden, PlanhatGarbled, PlanhatUnavailable
from relay.planhat.address import path_of
from relay.planhat.failures import Refusal, read_success
from relay.planhat.http import CALL_TIMEOUT_S, CONNECT_TIMEOUT_S, PlanhatHttp
from relay.planhat.limits import CUSTOM_FIELDS_MAX, LIST_MAX
from relay.planhat.models import ActivityTag, Company, Conversation, CustomField, Enduser, User
from relay.planhat.report import Answer, Report, Unauthorized, Unavailable, is_page, read_report


@dataclass(frozen=True, slots=True)
class Probe:
    """How Planhat answers one cheap question. `date` is its own clock, as it wrote it; "" where it wrote none. `is_page`: the
    answer is for a browser, so that this is not the API."""

    status: int
    date: str
    is_page: bool = False


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
        self._http = PlanhatHttp(
            url,
            token,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            gzip_over_bytes=gzip_over_bytes,
            connections=connections,
        )
        self._now_s = now_s

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
        """Return `PUT /conversations` with a JSON array that is ready to send. Every outcome is a value."""
        try:
            reply = self._http.call("PUT", "/conversations", body=body, timeout_s=timeout_s)
        except PlanhatUnavailable as error:
            return Unavailable(None, str(error), error.retry_after_s)
        except PlanhatForbidden as error:
            return Unauthorized(str(error))
        return read_report(reply.status, reply.headers, reply.body, now_s=self._now_s())

    # ---- the six conversation operations

    def create(self, conversation: Mapping[str, Any], *, timeout_s: float | None = None) -> Conversation:
        """Make one (POST). Planhat makes a second record when the externalId exists already; `upsert` does not."""
        return cast(Conversation, self._record("POST", "/conversations", conversation, timeout_s=timeout_s))

    def update(self, key: str, changes: Mapping[str, Any], *, timeout_s: float | None = None) -> Conversation:
        """Change one (PUT); what is left out stays as it is. `key`: an `_id`, `extid-...` or `srcid-...`."""
        return cast(
            Conversation, self._record("PUT", path_of("conversations", key), changes, timeout_s=timeout_s)
        )

    def get(self, key: str, *, timeout_s: float | None = None) -> Conversation:
        """Read one (GET) by `_id`, `extid-...` or `srcid-...`. Raises PlanhatNotFound."""
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
        """Return one page of GET /conversations. Planhat's default is 30, its most 2,000; `sort="-date"` is descending."""
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
        """Return every conversation, page by page until a short one. A record that moved between pages is given once."""
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
        """Delete one (DELETE); returns what it was. The document names `_id` only; other keys are an assumption."""
        return cast(Conversation, self._record("DELETE", path_of("conversations", key), timeout_s=timeout_s))

    def upsert(self, conversations: Sequence[Mapping[str, Any]], *, timeout_s: float | None = None) -> Answer:
        """Upsert many (PUT), at most 5,000; see `upsert_raw`. Cutting into calls is the caller's."""
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
        """Return one page of GET /companies (default 100, most 5,000)."""
        query = _query(companyId=",".join(company_ids), limit=limit, offset=offset, sort=sort, select=select)
        return cast(list[Company], self._records("/companies", query, timeout_s=timeout_s))

    def company(self, key: str, *, timeout_s: float | None = None) -> Company:
        """Read one company (GET) by `_id`, `extid-...` or `srcid-...`. Raises PlanhatNotFound."""
        return cast(Company, self._record("GET", path_of("companies", key), timeout_s=timeout_s))

    def lean_companies(
        self,
        *,
        external_id: str | None = None,
        source_id: str | None = None,
        status: str | None = None,
        timeout_s: float | None = None,
    ) -> list[Company]:
        """Read /leancompanies (GET): `_id`, `name`, `externalId`, `sourceId` of the companies that match."""
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
        """Return one page of GET /endusers. One address may belong to several companies, and to two records in one."""
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
        """Return one page of GET /users, our own team. `email` is documented for 2017 only; check what comes back."""
        query = _query(email=email, limit=limit, offset=offset)
        return cast(list[User], self._records("/users", query, timeout_s=timeout_s))

    def probe(self, model: str, *, timeout_s: float | None = None) -> Probe:
        """Ask for one record of a model and look at nothing but the status. Raises PlanhatUnavailable without one."""
        reply = self._http.call("GET", f"/{model}", query={"limit": "1"}, timeout_s=timeout_s)
        page = is_page(reply.status, reply.headers, reply.body)
        return Probe(reply.status, reply.headers.get("date", ""), page)

    def custom_fields(self, *, timeout_s: float | None = None) -> list[CustomField]:
        """Return the definitions of every model's custom fields, as many as one page gives (2,000)."""
        query = _query(limit=CUSTOM_FIELDS_MAX)
        return cast(list[CustomField], self._records("/customfields", query, timeout_s=timeout_s))

    def activity_tags(self, *, timeout_s: float | None = None) -> list[ActivityTag]:
        """Return the tags that conversations may have, by id and name. No page of Planhat's names this list: a tenant may have none,
        which raises PlanhatNotFound or PlanhatRefused."""
        query = _query(limit=CUSTOM_FIELDS_MAX)
        return cast(list[ActivityTag], self._records("/activitytags", query, timeout_s=timeout_s))

    def upsert_enduser(self, enduser: Mapping[str, Any], *, timeout_s: float | None = None) -> str:
        """Makes an enduser, or changes the one of that email; its id, "" where the answer does not tell. Raises as others."""
        body = orjson.dumps([dict(enduser)])
        reply = self._http.call("PUT", "/endusers", body=body, timeout_s=timeout_s)
        parsed = read_success(reply, "PUT endusers", now_s=self._now_s())
        report = read_report(reply.status, reply.headers, orjson.dumps(parsed), now_s=self._now_s())
        if not isinstance(report, Report):
            raise PlanhatGarbled(
                f"Planhat answered {reply.status} to PUT endusers, but not with a bulk answer"
            )
        if report.errors:
            raise Refusal("Planhat refused an enduser", report.errors[0].message)
        keys = (*report.inserted, *report.updated_keys)
        ids = {*(key.planhat_id for key in keys), *report.modified, *report.upserted} - {None}
        return next((str(one) for one in ids), "") if len(ids) == 1 else ""

    def elsewhere(self, url: str) -> Planhat:
        """Return the same token at another address, for who looks for its region."""
        return Planhat(url, self._http.read_token(), timeout_s=10.0)

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
        reply = self._http.call(method, path, body=body, timeout_s=timeout_s)
        parsed = read_success(reply, f"{method} {path.split('/')[1]}", now_s=self._now_s())
        if not isinstance(parsed, dict):
            raise PlanhatGarbled(f"Planhat answered {reply.status} to {method}, but not with a record")
        return parsed

    def _records(
        self, path: str, query: Mapping[str, str], *, timeout_s: float | None = None
    ) -> list[dict[str, Any]]:
        reply = self._http.call("GET", path, query=query, timeout_s=timeout_s)
        parsed = read_success(reply, f"GET {path}", now_s=self._now_s())
        # Others have seen a 200 with something else than a list, and treat it as passing; so the caller may.
        if not isinstance(parsed, list) or not all(isinstance(item, dict) for item in parsed):
            raise PlanhatGarbled(
                f"Planhat answered {reply.status} to GET {path}, but not with a list of records"
            )
        return parsed


def _query(**parameters: str | int | Iterable[str] | None) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in parameters.items():
        if value is None:
            continue
        text = str(value) if isinstance(value, (str, int)) else ",".join(value)
        if text:
            query[name] = text
    return query
