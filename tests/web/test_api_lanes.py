"""The API of several lanes, asked without naming one: letters are mended in the lane that has them, and nothing is half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from relay.door.house import furnish
from relay.outbox.outbox import Outbox
from relay.rules.file.load import load
from relay.settings import Settings
from relay.web.assembly import create_app
from tests.environ import WEAK
from tests.operating import CONFIG, LANES, SECRET, SUBJECT, Caller, Shop

TOKEN = "operators-only-" + "x" * 20
CAUSE = "the subject is too long"
#: lane -> whose events are its.
SOURCES = {"emea": "slack", "us": "second"}


@pytest.fixture
def shops(redis_client: redis.Redis, tmp_path: Path) -> dict[str, Shop]:
    """Lanes `emea` and `us`; each has two letters of a cause of its own, and one of a cause that both know."""
    found = {lane: Shop(redis_client, tmp_path, lane=lane) for lane in SOURCES}
    text = CONFIG.format(secret=SECRET, subject=SUBJECT)
    text = (
        text.replace("  second:\n    adapter: slack\n", "  second:\n    adapter: slack\n    lane: us\n")
        + LANES
    )
    (tmp_path / "relay.yaml").write_text(text, encoding="utf-8")
    house = furnish(*load(str(tmp_path / "relay.yaml"), WEAK))
    for number, (lane, shop) in enumerate(found.items()):
        shop.house = house
        now_ms = shop.outbox.now_ms()
        for n in range(3):
            ts = f"18000000{number}{n}.000100"
            shop.arrive("hello", source=SOURCES[lane], number=10 * number + n, ts=ts, now_ms=now_ms - 60_000)
            shop.bury(CAUSE if n == 2 else f"refused by {lane}", now_ms=now_ms - 50_000 + n)
    return found


@pytest.fixture
def api(shops: dict[str, Shop], redis_url: str) -> Caller:
    environ = {
        **WEAK,
        "RELAY_REDIS_URL": redis_url,
        "RELAY_OPERATOR_TOKEN": TOKEN,
        "RELAY_CONFIG": str(shops["us"].folder / "relay.yaml"),
    }
    headers = {"authorization": f"Bearer {TOKEN}"}
    return Caller(create_app(Settings.read(environ), dict(WEAK)), address="203.0.113.9", headers=headers)


def letters(shop: Shop, cause: str = "") -> list[str]:
    outbox: Outbox = shop.outbox
    return [head.dead_id for head in outbox.dead.scan() if cause in str(head.facts["cause"])]


def done(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


VERBS = (("replay", "replayed"), ("discard", "discarded"))


@pytest.mark.parametrize(("verb", "count"), VERBS)
@pytest.mark.parametrize("lane", ["emea", "us"])
def test_letters_that_are_named_are_found_in_their_lane(
    shops: dict[str, Shop], api: Caller, verb: str, count: str, lane: str
) -> None:
    named = letters(shops[lane])[:2]
    dry = done(api.post(f"/api/v1/dead/{verb}", json={"ids": named, "dry_run": True}))
    assert dry["count"] == 2
    told = done(api.post(f"/api/v1/dead/{verb}", json={"ids": named}))
    assert (told["count"], told[count], told["skipped"], list(told["lanes"])) == (2, 2, 0, [lane])
    assert {name: len(letters(shop)) for name, shop in shops.items()} == {"emea": 3, "us": 3} | {lane: 1}


@pytest.mark.parametrize(("verb", "count"), VERBS)
def test_letters_of_several_lanes_and_of_none(
    shops: dict[str, Shop], api: Caller, verb: str, count: str
) -> None:
    named = [letters(shops["us"])[0], "dead_of_nobody", letters(shops["emea"])[0]]
    told = done(api.post(f"/api/v1/dead/{verb}", json={"ids": named}))
    # As one lane answers: what is gone is skipped, and counted once.
    assert (told["count"], told[count], told["skipped"]) == (3, 2, 1)
    assert {name: len(letters(shop)) for name, shop in shops.items()} == {"emea": 2, "us": 2}
    assert api.post(f"/api/v1/dead/{verb}", json={"ids": ["dead_of_nobody"]}).status_code == 404


@pytest.mark.parametrize(("verb", "count"), VERBS)
@pytest.mark.parametrize("lane", ["emea", "us"])
def test_a_cause_that_one_lane_knows(
    shops: dict[str, Shop], api: Caller, verb: str, count: str, lane: str
) -> None:
    """Whichever lane is asked first: an answer that it was not found, and letters that are gone, are two truths."""
    told = done(api.post(f"/api/v1/dead/{verb}", json={"cause": f"refused by {lane}"}))
    assert (told["count"], told[count], list(told["lanes"])) == (2, 2, [lane])
    both = done(api.post(f"/api/v1/dead/{verb}", json={"cause": CAUSE}))
    assert (both["count"], list(both["lanes"])) == (2, ["emea", "us"])
    missed = api.post(f"/api/v1/dead/{verb}", json={"cause": "refused by nobody"})
    assert missed.status_code == 404


@pytest.mark.parametrize(("verb", "count"), VERBS)
@pytest.mark.parametrize(
    "body",
    [{}, {"ids": []}, {"ids": ["x", 1]}, {"ids": ["x"], "all": True}, {"cause": ""}, {"since": "soon"}],
)
def test_what_names_nothing_is_refused_before_anything_is_done(
    shops: dict[str, Shop], api: Caller, verb: str, count: str, body: dict[str, Any]
) -> None:
    assert api.post(f"/api/v1/dead/{verb}", json=body).status_code == 422
    assert {name: len(letters(shop)) for name, shop in shops.items()} == {"emea": 3, "us": 3}


def test_a_number_is_what_all_its_digits_say(api: Caller) -> None:
    for query in ("limit=501", "limit=0000000000501", "limit=000000001000000", "limit=" + "9" * 5000):
        assert api.get(f"/api/v1/events?{query}").status_code == 422, query
    assert api.get("/api/v1/events?limit=5").status_code == 200
