"""What console and API do with each request that was let in: the audit's line before an act, payloads hidden from readers, and a
line for whoever else looks at one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from starlette.requests import HTTPConnection

from relay.errors import OutboxUnavailable, RelayError
from relay.outbox.audit import AuditLine, note_outcome, write_audit
from relay.outbox.outbox import Outbox
from relay.web.access import Operator
from relay.web.payloads import hide_payload, shows_payload

_T = TypeVar("_T")
#: What of a request stands in a line. Values that somebody wrote into an edit do not: their paths do.
_NAMED = (
    "ids",
    "cause",
    "source",
    "since",
    "until",
    "all",
    "rule",
    "reason",
    "company",
    "companyId",
    "path",
    "id",
)
_NAMED_ONLY = ("payload", "fields")


class Audit:
    """Writes lines for one outbox. `base`: where the pages lie that are looked at; `lane`: whose they are, "" where there is one.
    Every method may raise OutboxUnavailable."""

    def __init__(self, outbox: Outbox, *, base: str, lane: str = "") -> None:
        self._outbox = outbox
        self._base = base
        self._lane = lane

    def acting(self, operator: Operator, act: str, of: Mapping[str, Any], work: Callable[[], _T]) -> _T:
        """Return `work`'s value, with a line before it. What `work` refuses is said in the line."""
        line = AuditLine(operator.name, act, operator.address, of)
        place = write_audit(self._outbox, line)
        try:
            return work()
        except OutboxUnavailable:
            # Whether it was done is not known; the line stands.
            raise
        except RelayError as error:
            note_outcome(self._outbox, place, line, type(error).__name__)
            raise

    def said(self, operator: Operator, act: str, of: Mapping[str, Any] | None = None) -> None:
        write_audit(self._outbox, AuditLine(operator.name, act, operator.address, of or {}))

    def shown(self, request: HTTPConnection, operator: Operator, found: Any) -> Any:
        """Return `found` as this operator may see it; a line where it shows what people wrote."""
        if not shows_payload(found):
            return found
        if not operator.sees_payloads:
            return hide_payload(found)
        page = request.url.path.removeprefix(self._base)
        query = {
            name: request.query_params[name]
            for name in ("id", "source", "lane")
            if name in request.query_params
        }
        lane = {"lane": self._lane} if self._lane else {}
        self.said(operator, "look", {"page": page, **query, **lane})
        return found


def named_in(request: HTTPConnection, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a line tells of a request: which letters, source or time it concerned."""
    told = {name: body[name] for name in _NAMED if body.get(name)}
    told |= {name: sorted(body[name]) for name in _NAMED_ONLY if isinstance(body.get(name), Mapping)}
    if body.get("raw"):
        told["raw"] = True
    if lane := request.query_params.get("lane") or body.get("lane"):
        told["lane"] = lane
    return {**request.path_params, **told}
