"""A browser at an address without a page is shown one all the same, with the way back; a program is told in JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from relay.settings import Settings
from relay.web.assembly import create_app
from tests.environ import WEAK
from tests.operating import Caller, Shop

TOKEN = "operators-only-" + "x" * 20
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(("lane", "base"), [("main", "/console"), ("us", "/console/lanes/us")])
def test_an_address_without_a_page(
    redis_client: redis.Redis, redis_url: str, tmp_path: Path, lane: str, base: str
) -> None:
    shop = Shop(redis_client, tmp_path, token=TOKEN, lane=lane)
    environ = {
        **WEAK,
        "RELAY_REDIS_URL": redis_url,
        "RELAY_OPERATOR_TOKEN": TOKEN,
        "RELAY_CONFIG": str(shop.folder / "relay.yaml"),
    }
    caller = Caller(create_app(Settings.read(environ), dict(WEAK)), address="203.0.113.9")
    for path, status in ((f"{base}/nope", 404), (f"{base}/dead/x/y/z", 404), (f"{base}/pause", 405)):
        stranger = caller.get(path, headers=HTML)
        assert stranger.status_code == status
        assert stranger.headers["content-type"].startswith("text/html")
        assert f'href="{base}"' in stranger.text and "Sign out" not in stranger.text
        program = caller.get(path)
        assert (program.status_code, program.headers["content-type"]) == (status, "application/json")
    assert caller.post("/console/sign-in", data={"token": TOKEN, "name": "Ann"}).status_code == 303
    page = caller.get(f"{base}/nope", headers=HTML)
    assert page.status_code == 404
    # Signed in, every page is a click away.
    assert f'href="{base}/events"' in page.text and "Sign out" in page.text
    assert caller.get(f"{base}/pause", headers=HTML).headers["allow"] == "POST"


def test_a_lane_that_is_not_there(redis_client: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path, token=TOKEN, lane="us")
    environ = {
        **WEAK,
        "RELAY_REDIS_URL": redis_url,
        "RELAY_OPERATOR_TOKEN": TOKEN,
        "RELAY_CONFIG": str(shop.folder / "relay.yaml"),
    }
    caller = Caller(create_app(Settings.read(environ), dict(WEAK)), address="203.0.113.9")
    page = caller.get("/console/lanes/nobody/dead", headers=HTML)
    assert page.status_code == 404 and 'href="/console"' in page.text
