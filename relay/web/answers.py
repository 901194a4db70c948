"""How the API answers: JSON, and one shape for everything that is refused."""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from relay.errors import (
    ConfigInvalid,
    MappingFailed,
    NotFound,
    OutboxUnavailable,
    RelayError,
    SourceError,
    TryLater,
    UserError,
)
from relay.operations.selection import InputInvalid
from relay.web.refused import RequestRefused

_MAX_BODY_BYTES = 2 * 1024 * 1024
#: Answers hold payloads: nobody keeps a copy, and no browser takes them for anything but data.
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class BadRequest(Exception):
    """400 or 413: the request cannot even be read."""

    def __init__(self, message: str, status: int = 400, code: str = "bad_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, headers=_HEADERS, media_type="application/json")


def refusal(
    status: int, code: str, message: str, path: str = "", headers: dict[str, str] | None = None
) -> Response:
    body = orjson.dumps({"error": {"code": code, "message": message, "path": path}})
    return Response(body, status, headers={**_HEADERS, **(headers or {})}, media_type="application/json")


def refusal_of(error: Exception) -> Response:
    """Return the answer to an error of ours; what is not ours is raised on."""
    if isinstance(error, RequestRefused):
        headers = {"WWW-Authenticate": 'Bearer realm="relay"'} if error.status == 401 else {}
        if error.retry_after_s:
            headers["Retry-After"] = str(error.retry_after_s)
        return refusal(error.status, error.code, error.message, headers=headers)
    if isinstance(error, BadRequest):
        return refusal(error.status, error.code, str(error))
    if isinstance(error, InputInvalid):
        return refusal(422, "invalid", error.message, error.path)
    if isinstance(error, NotFound):
        return refusal(404, "not_found", str(error))
    if isinstance(error, OutboxUnavailable):
        wait = str(max(1, round(error.retry_after_s)))
        return refusal(503, "unavailable", str(error), headers={"Retry-After": wait})
    if isinstance(error, TryLater):
        return refusal(503, "try_later", str(error))
    if isinstance(error, MappingFailed):
        return refusal(422, "unmappable", error.cause)
    if isinstance(error, (ConfigInvalid, UserError, SourceError)):
        return refusal(422, "invalid", str(error))
    if isinstance(error, RelayError):
        return refusal(422, "refused", str(error))
    raise error


#: What a request may leave out; one that knows no other key needs no body.
OPTIONAL_KEYS: Final = frozenset({"source"})


async def read_object(request: Request, known: frozenset[str]) -> dict[str, Any]:
    """Return the body as a JSON object with known keys only: a misspelt filter must not widen what is done. No body is {}
    where no key has to be given: `curl -X POST .../pause` says it all. Raises BadRequest, InputInvalid."""
    body = await read_request_body(request)
    if not body and request.method == "DELETE":
        # Many clients send none with it: what it is about stands in the query then.
        return {name: value for name, value in request.query_params.items() if name in known}
    if not body and known <= OPTIONAL_KEYS:
        return {}
    try:
        value = orjson.loads(body)
    except ValueError:
        raise BadRequest("the body is no JSON", code="bad_json") from None
    if not isinstance(value, dict):
        raise InputInvalid("wanted a JSON object")
    for key in value:
        if key not in known:
            raise InputInvalid(f"unknown key; known are {', '.join(sorted(known))}", key[:80])
    return value


async def read_request_body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > _MAX_BODY_BYTES:
            raise BadRequest(f"larger than {_MAX_BODY_BYTES} bytes", 413, "too_large")
        parts.append(part)
    return b"".join(parts)
