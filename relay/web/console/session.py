"""Signing in and out of the console."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.errors import OutboxUnavailable
from relay.web.access import COOKIE, SESSION_S
from relay.web.answers import BadRequest
from relay.web.console.frame import HOME, Frame, read_form
from relay.web.console.render import HEADERS, page
from relay.web.console.view import FormValues
from relay.web.peer import comes_over_tls, require_same_origin
from relay.web.refused import RequestRefused


def routes(frame: Frame) -> list[Route]:
    pages = _Session(frame)
    return [
        Route(f"{HOME}/sign-in", pages.sign_in, methods=["GET", "POST"]),
        Route(f"{HOME}/sign-out", pages.sign_out, methods=["POST"]),
    ]


class _Session:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._access = frame.access
        self._audit = frame.audit

    async def sign_in(self, request: Request) -> Response:
        code = request.query_params.get("code", "")
        if request.method == "HEAD" or (request.method == "GET" and not code):
            return self._page(200, "", request.query_params.get("next", ""))
        try:
            if code:
                opened = await run_in_threadpool(self._access.exchange, request, code)
                form: FormValues = request.query_params
            else:
                require_same_origin(request)
                form = await read_form(request)
                token, name = form.get("token", ""), form.get("name", "")
                opened = await run_in_threadpool(self._access.sign_in, request, token, name)
            session, operator = opened
            await run_in_threadpool(self._audit.said, operator, "sign in")
        except BadRequest as error:
            return self._page(error.status, str(error), "")
        except OutboxUnavailable as error:
            return self._frame.redis_away(None, error)
        except RequestRefused as refused:
            response = self._page(refused.status, refused.message, "")
            if refused.retry_after_s:
                response.headers["Retry-After"] = str(refused.retry_after_s)
            return response
        response = RedirectResponse(_safe_next(form.get("next", "")), 303, headers=HEADERS)
        _set_cookie(request, response, session)
        return response

    async def sign_out(self, request: Request) -> Response:
        try:
            operator = await run_in_threadpool(self._access.admit, request)
            form = await read_form(request)
            self._access.require_own_page(request, operator, form.get("csrf", ""))
            await run_in_threadpool(self._access.end, operator)
            await run_in_threadpool(self._audit.said, operator, "sign out")
        except (RequestRefused, BadRequest) as refused:
            return self._frame.error_page(None, refused.status, "Not allowed", str(refused))
        except OutboxUnavailable as error:
            return self._frame.redis_away(None, error)
        response = RedirectResponse(f"{HOME}/sign-in", 303, headers=HEADERS)
        response.delete_cookie(COOKIE, path="/")
        return response

    def _page(self, status: int, message: str, next_path: str) -> Response:
        context = {**self._frame.around(None), "message": message, "next": _safe_next(next_path)}
        return page("sign_in.html", context, status)


def _set_cookie(request: Request, response: Response, session: str) -> None:
    response.set_cookie(
        COOKIE,
        session,
        max_age=SESSION_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=comes_over_tls(request),
    )


def _safe_next(path: str) -> str:
    """A page of ours to go to after signing in; anything else is the overview."""
    if path == "/console" or (path.startswith("/console/") and not path.startswith("/console/sign-")):
        return path if "\\" not in path and "\n" not in path and len(path) < 2000 else "/console"
    return "/console"
