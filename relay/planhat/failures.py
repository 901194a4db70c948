"""What a person at a shell, or a look-up, is told of an answer that is no success: one of the PlanhatError family."""

from __future__ import annotations

from typing import Any

import orjson

from relay.errors import (
    PlanhatError,
    PlanhatForbidden,
    PlanhatGarbled,
    PlanhatNotFound,
    PlanhatRefused,
    PlanhatUnavailable,
    PlanhatWrongAddress,
)
from relay.planhat.http import HttpReply
from relay.planhat.report import (
    Forbidden,
    Garbled,
    NotTheApi,
    Rejected,
    Report,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    is_page,
    not_the_api,
    read_report,
)


class Refusal(PlanhatRefused):
    """`detail` is what Planhat says, cut. It may quote the conversation: for a person's eyes, never for a log."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail[:500]


def read_success(reply: HttpReply, operation: str, *, now_s: float) -> Any:
    """Return what a successful answer holds, as JSON. Raises the PlanhatError that it means otherwise."""
    if 200 <= reply.status < 300 and reply.status != 206:
        try:
            return orjson.loads(reply.body)
        except orjson.JSONDecodeError as error:
            if is_page(reply.status, reply.headers, reply.body):
                raise PlanhatWrongAddress(not_the_api(reply.status)) from error
            raise PlanhatGarbled(
                f"Planhat answered {reply.status} to {operation}, but not with JSON"
            ) from error
    raise _failure(reply, operation, now_s)


def _failure(reply: HttpReply, operation: str, now_s: float) -> PlanhatError:
    if reply.status == 404 and not is_page(reply.status, reply.headers, reply.body):
        return PlanhatNotFound(f"Planhat knows no such record ({operation})")
    match read_report(reply.status, reply.headers, reply.body, now_s=now_s):
        case Throttled(retry_after_s):
            return PlanhatUnavailable("Planhat answered 429: too many calls", retry_after_s)
        case Unavailable(_, reason, retry_after_s):
            return PlanhatUnavailable(reason, retry_after_s)
        case NotTheApi(_, reason):
            return PlanhatWrongAddress(reason)
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


def _refused(status: int, operation: str, kinds: str, message: str) -> Refusal:
    return Refusal(f"Planhat answered {status} to {operation} and refused it ({kinds})", message)
