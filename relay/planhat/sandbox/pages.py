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


class _Pages:
    """What each address of the page answers, over one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def index(self, request: Request) -> Response:
        return FileResponse(_FILES / "index.html", media_type="text/html", headers=_SAFE)

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return _json({"error": "no such file"}, 404)
        return FileResponse(_FILES / name, media_type=_STATIC[name], headers=_SAFE)

    async def conversations(self, request: Request) -> Response:
        query = request.query_params
        equal = {name: query[name] for name in ("externalId", "companyId", "type", "_id") if name in query}
        rows = arrived(
            self.sandbox.store,
            newest_first=query.get("newest") == "1",
            limit=_limit(request),
            editor=query.get("editor") == "1",
            **equal,
        )
        return _json(rows)

    async def editor(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                given = orjson.loads(await request.body())
            except orjson.JSONDecodeError:
                return _json({"error": "not JSON"}, 400)
            text = given.get("description") if isinstance(given, dict) else None
            if not isinstance(text, str):
                return _json({"error": "description: should be a string"}, 400)
            return _json(as_edited(text).as_json())
        record = self.sandbox.store.find(request.query_params.get("key", ""))
        if record is None:
            return _json({"error": "key: no such conversation"}, 404)
        return _json(as_edited(str(record.sent.get("description") or "")).as_json())

    async def custom_fields(self, request: Request) -> Response:
        return _json([row["name"] for row in self.sandbox.store.directory.fields_of("conversation")])

    async def calls(self, request: Request) -> Response:
        query = request.query_params
        try:
            since_s = float(query.get("since", "0"))
        except ValueError:
            return _json({"error": "since: should be Unix seconds"}, 400)
        operation = query.get("operation")
        rows = [
            call
            for call in self.sandbox.calls
            if call["at"] >= since_s and operation in (None, call["operation"])
        ]
        limit = _limit(request)
        return _json(rows if limit is None else rows[max(0, len(rows) - limit) :])

    async def stats(self, request: Request) -> Response:
        return _json(
            {
                "conversations": len(self.sandbox.store),
                "calls": self.sandbox.call_count,
                "most_parallel": self.sandbox.meter.most_under_way,
            }
        )

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.sandbox.faults.all.clear()
        elif request.method == "POST":
            try:
                given = orjson.loads(await request.body())
                fresh = [Fault.read(item) for item in (given if isinstance(given, list) else [given])]
            except orjson.JSONDecodeError:
                return _json({"error": "not JSON"}, 400)
            except FaultInvalid as error:
                return _json({"error": str(error)}, 400)
            self.sandbox.faults.all.extend(fresh)
        return _json({"faults": [fault.shown() for fault in self.sandbox.faults.all]})

    async def seed(self, request: Request) -> Response:
        try:
            given = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            return _json({"error": "not JSON"}, 400)
        try:
            self.sandbox.store.seed(read_seed(given))
        except SeedInvalid as error:
            return _json({"error": str(error)}, 400)
        return _json({"status": "seeded"})

    async def reset(self, request: Request) -> Response:
        self.sandbox.reset()
        return _json({"status": "reset"})


def create_pages(sandbox: Sandbox) -> Starlette:
    """Return the routes over one sandbox."""
    pages = _Pages(sandbox)
    return Starlette(
        routes=[
            Route("/", pages.index),
            Route("/static/{name}", pages.static),
            Route("/_sandbox/conversations", pages.conversations),
            Route("/_sandbox/editor", pages.editor, methods=["GET", "POST"]),
            Route("/_sandbox/customfields", pages.custom_fields),
            Route("/_sandbox/calls", pages.calls),
            Route("/_sandbox/stats", pages.stats),
            Route("/_sandbox/faults", pages.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_sandbox/seed", pages.seed, methods=["POST"]),
            Route("/_sandbox/reset", pages.reset, methods=["POST"]),
        ]
    )
