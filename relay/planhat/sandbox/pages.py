"""The sandbox's own routes: what has arrived, the calls, faults, seeds, reset; and the page that shows it.

GET    /                         the page
GET    /_sandbox/conversations   a list of whole conversations in the order of arrival; externalId=, companyId=,
                                 type=, limit=, newest=1 (changed last first), editor=1 (with what Planhat's editor
                                 would keep of each description). `_sandbox` tells of each: writes, changed_ms,
                                 sent_type, invisible (custom fields that are not defined), editor
GET    /_sandbox/editor          what the editor would keep of one conversation, key=extid-...; POST
                                 {"description": "..."} to ask of any text. Answers html, tree, notes, words_lost,
                                 faithful
GET    /_sandbox/customfields    the names of the custom fields that conversations have
GET    /_sandbox/calls           a list of calls: at, operation, items, bytes, status, ms; operation=, since= (Unix
                                 seconds)
GET    /_sandbox/stats           counts: conversations, calls, most_parallel
GET    /_sandbox/faults          the faults that are set; POST one or a list to add; DELETE to clear
POST   /_sandbox/seed            {"types", "companies", "people", "endusers", "users", "custom_fields",
                                 "activity_tags"}: add to the tenant
POST   /_sandbox/reset           as new
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from relay.planhat.sandbox.editor import as_edited
from relay.planhat.sandbox.faults import Fault, FaultInvalid
from relay.planhat.sandbox.inspection import arrived
from relay.planhat.sandbox.seed import SeedInvalid, read_seed

if TYPE_CHECKING:
    from relay.planhat.sandbox.app import Sandbox

_FILES: Final = Path(__file__).parent / "static"
_STATIC: Final = {"sandbox.js": "text/javascript", "sandbox.css": "text/css"}
_SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, headers=_SAFE, media_type="application/json")


def _limit(request: Request) -> int | None:
    text = request.query_params.get("limit", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def create_pages(sandbox: Sandbox) -> Starlette:
    """The routes over one sandbox."""

    async def index(request: Request) -> Response:
        return FileResponse(_FILES / "index.html", media_type="text/html", headers=_SAFE)

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return _json({"error": "no such file"}, 404)
        return FileResponse(_FILES / name, media_type=_STATIC[name], headers=_SAFE)

    async def conversations(request: Request) -> Response:
        query = request.query_params
        equal = {name: query[name] for name in ("externalId", "companyId", "type", "_id") if name in query}
        rows = arrived(
            sandbox.store,
            newest_first=query.get("newest") == "1",
            limit=_limit(request),
            editor=query.get("editor") == "1",
            **equal,
        )
        return _json(rows)

    async def editor(request: Request) -> Response:
        if request.method == "POST":
            try:
                given = orjson.loads(await request.body())
            except orjson.JSONDecodeError:
                return _json({"error": "not JSON"}, 400)
            text = given.get("description") if isinstance(given, dict) else None
            if not isinstance(text, str):
                return _json({"error": "description: should be a string"}, 400)
            return _json(as_edited(text).as_json())
        record = sandbox.store.find(request.query_params.get("key", ""))
        if record is None:
            return _json({"error": "key: no such conversation"}, 404)
        return _json(as_edited(str(record.sent.get("description") or "")).as_json())

    async def custom_fields(request: Request) -> Response:
        return _json([row["name"] for row in sandbox.store.directory.fields_of("conversation")])

    async def calls(request: Request) -> Response:
        query = request.query_params
        try:
            since_s = float(query.get("since", "0"))
        except ValueError:
            return _json({"error": "since: should be Unix seconds"}, 400)
        operation = query.get("operation")
        rows = [
            call for call in sandbox.calls if call["at"] >= since_s and operation in (None, call["operation"])
        ]
        limit = _limit(request)
        return _json(rows if limit is None else rows[max(0, len(rows) - limit) :])

    async def stats(request: Request) -> Response:
        return _json(
            {
                "conversations": len(sandbox.store),
                "calls": sandbox.call_count,
                "most_parallel": sandbox.meter.most_under_way,
            }
        )

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            sandbox.faults.all.clear()
        elif request.method == "POST":
            try:
                given = orjson.loads(await request.body())
                fresh = [Fault.read(item) for item in (given if isinstance(given, list) else [given])]
            except orjson.JSONDecodeError:
                return _json({"error": "not JSON"}, 400)
            except FaultInvalid as error:
                return _json({"error": str(error)}, 400)
            sandbox.faults.all.extend(fresh)
        return _json({"faults": [fault.shown() for fault in sandbox.faults.all]})

    async def seed(request: Request) -> Response:
        try:
            given = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            return _json({"error": "not JSON"}, 400)
        try:
            sandbox.store.seed(read_seed(given))
        except SeedInvalid as error:
            return _json({"error": str(error)}, 400)
        return _json({"status": "seeded"})

    async def reset(request: Request) -> Response:
        sandbox.reset()
        return _json({"status": "reset"})

    return Starlette(
        routes=[
            Route("/", index),
            Route("/static/{name}", static),
            Route("/_sandbox/conversations", conversations),
            Route("/_sandbox/editor", editor, methods=["GET", "POST"]),
            Route("/_sandbox/customfields", custom_fields),
            Route("/_sandbox/calls", calls),
            Route("/_sandbox/stats", stats),
            Route("/_sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
            Route("/_sandbox/seed", seed, methods=["POST"]),
            Route("/_sandbox/reset", reset, methods=["POST"]),
        ]
    )
