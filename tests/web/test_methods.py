"""What a path takes is told by its 405, for every page and every operation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from starlette.routing import Route

from relay.settings import Settings
from relay.web.assembly import create_app
from tests.environ import WEAK
from tests.operating import CONFIG, SECRET, SUBJECT

TOKEN = "operators-only-" + "x" * 20


def test_a_405_names_every_method_of_the_path(redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "relay.yaml"
    file.write_text(CONFIG.format(secret=SECRET, subject=SUBJECT), encoding="utf-8")
    app = create_app(
        Settings.read(
            {**WEAK, "RELAY_REDIS_URL": redis_url, "RELAY_OPERATOR_TOKEN": TOKEN, "RELAY_CONFIG": str(file)}
        ),
        dict(WEAK),
    )
    taken: dict[str, set[str]] = {}
    for route in app.routes:
        if isinstance(route, Route) and route.methods:
            taken.setdefault(route.path, set()).update(route.methods)
    assert any(len(methods - {"HEAD"}) > 1 for methods in taken.values())

    async def ask() -> None:
        transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 40000))
        async with (
            app.state.side.lifespan(app),
            httpx.AsyncClient(transport=transport, base_url="http://relay.example.com") as client,
        ):
            for path, methods in taken.items():
                answer = await client.request("PUT", path.replace("{", "").replace("}", ""))
                assert answer.status_code == 405, path
                named = answer.headers["allow"].split(", ")
                assert methods <= set(named), path
                assert len(named) == len(set(named)), "each once"
                assert answer.json()["error"]["code"] == "method"

    asyncio.run(ask())
