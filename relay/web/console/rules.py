"""Today's rules, and a payload tried against them."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.routing import Route

from relay.errors import RelayError
from relay.operations.explain import explain_request
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame) -> list[Route]:
    pages = _Rules(frame)
    return [frame.get("/rules", pages.rules, own=True), frame.post("/rules", pages.rules, own=True)]


class _Rules:
    def __init__(self, frame: Frame) -> None:
        self._context = frame.context

    def rules(self, request: Request, operator: Operator, form: FormValues) -> View:
        house = self._context.current()
        asked = {"source": form.get("source", ""), "payload": form.get("payload", "")}
        told, message = None, ""
        source = house.sources.get(asked["source"])
        if form.get("sample") and source is not None:
            sample = source.adapter.sample(serial=1, now_s=time.time())
            asked["payload"] = sample.body.decode("utf-8", "replace")
        if asked["payload"] and form:
            try:
                body = asked["payload"].replace("\r\n", "\n").encode("utf-8", "surrogatepass")
                told = explain_request(self._context, asked["source"], body)
            except RelayError as error:
                message = str(error)
        by_source = {
            name: [
                {
                    "name": rule.name,
                    "default": rule.is_default,
                    "line": rule.line,
                    "when": rule.when.text if rule.when else "",
                    "action": rule.action,
                    "external_id": rule.external_id.text if rule.external_id else "",
                    "fields": [part.name for part in rule.fields],
                }
                for rule in house.book.rules_for(name)
            ]
            for name in house.sources
        }
        context = {
            "version": house.config.version,
            "sources": list(house.sources),
            "asked": asked,
            "told": told,
            "message": message,
            "by_source": by_source,
        }
        return View("rules.html", context, here="/rules", status=422 if message else 200)
