"""What is running: releases, processes, Redis, the config, and where it delivers to."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from relay.operations.context import tenant_of
from relay.operations.stats import read_stats
from relay.release import release
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame) -> list[Route]:
    context = frame.context

    def system(request: Request, operator: Operator, form: FormValues) -> View:
        settings, config = context.settings, context.config
        stats = read_stats(context.outbox, context.delivery, config=context.config)
        releases = sorted({process["release"] for process in stats["processes"] if process["alive"]})
        shown = {
            "own": release(),
            "releases": releases,
            "stats": stats,
            "config": config,
            "rules": len(context.rulebook.rules),
            "planhat": settings.planhat_url,
            "tenant": tenant_of(context),
            "encrypted": bool(settings.encryption_keys()),
            "apart": settings.operator_port,
        }
        return View("system.html", shown, here="/system")

    return [frame.get("/system", system)]
