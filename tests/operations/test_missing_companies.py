"""What no company was found for, and that the YAML told answers it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from hypothesis import given
from hypothesis import strategies as st

from relay.operations.companies import _Missing, companies_yaml, missing_companies
from relay.rules.file.load import examine_config
from relay.web.payloads import hide_payload, shows_payload
from tests.environ import WEAK
from tests.operating import NOON, Shop


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path)


def wait_for(shop: Shop, number: int, *asked: tuple[str, str], source: str = "slack") -> None:
    ts = f"1800000{number:03}.000100"
    shop.arrive("hello", number=number, ts=ts, source=source, now_ms=NOON + number)
    shop.bury("no company found", now_ms=NOON + 2000 + number, stage="resolve", asked_for=asked)


def test_addresses_channels_and_keys_are_counted_and_answered(shop: Shop, tmp_path: Path) -> None:
    wait_for(shop, 1, ("email", "anna@customer.example"))
    wait_for(shop, 2, ("email", "Anna@Customer.example"), ("slack_channel", "C1"))
    wait_for(shop, 3, ("email", "bo@customer.example"), ("domain", "customer.example"), source="second")
    wait_for(shop, 4, ("email", "cy@gmail.com"))
    shop.arrive("other", number=9, ts="1800000900.000100")
    shop.bury("subject is too long")

    found = missing_companies(shop.outbox)
    rows = {row["asked_for"]: row for row in found["missing"]}
    assert {asked: row["count"] for asked, row in rows.items()} == {
        "anna@customer.example": 2,
        "C1": 1,
        "bo@customer.example": 1,
        "customer.example": 1,
        "cy@gmail.com": 1,
    }
    anna = rows["anna@customer.example"]
    assert anna["first_seen"] < anna["last_seen"]
    assert shop.outbox.dead.get(anna["sample"])
    assert "{email: {" in rows["cy@gmail.com"]["yaml"], "everybody has an address there"
    assert anna["yaml"] == '- table: {domain: {customer.example: "?"}}'
    assert {row["asked_for"] for row in missing_companies(shop.outbox, source="second")["missing"]} == {
        "bo@customer.example",
        "customer.example",
    }
    assert missing_companies(shop.outbox, limit=1)["more"] == 4

    # Pasted into the config it is refused as it stands, and holds once each has its id.
    tables = yaml.safe_load(f"companies:\n{found['yaml']}")["companies"]
    assert Counter({key: len(names) for step in tables for key, names in step["table"].items()}) == {
        "domain": 1, "email": 1, "slack_channel": 1,
    }  # fmt: skip
    assert "# 3 letters wait" in found["yaml"], "each once, however it asked"
    config = (tmp_path / "relay.yaml").read_text(encoding="utf-8")
    for value, holds in (('"?"', False), ("extid-acme", True)):
        answered = found["yaml"].replace('"?"', value)
        (tmp_path / "answered.yaml").write_text(
            config.replace("companies:\n", f"companies:\n{answered}"), encoding="utf-8"
        )
        assert examine_config(str(tmp_path / "answered.yaml"), WEAK).holds is holds


def test_readers_see_how_many_and_not_whose(shop: Shop) -> None:
    wait_for(shop, 1, ("email", "anna@customer.example"))
    found = missing_companies(shop.outbox)
    assert shows_payload(found)
    hidden: Any = hide_payload(found)
    assert "anna" not in str(hidden)
    assert "customer.example" not in str(hidden)
    assert hidden["missing"][0]["count"] == 1


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=20))
def test_whatever_was_asked_is_yaml_that_says_it(pairs: list[tuple[str, str]]) -> None:
    printable = [(key, value) for key, value in pairs if key.isprintable() and value.isprintable()]
    # A letter each: one letter that asks by two names for a value needs one answer.
    text = companies_yaml(_Missing(key, value, 1, f"dead_{n}") for n, (key, value) in enumerate(printable))
    told = yaml.safe_load(f"companies:\n{text}")["companies"] if printable else []
    read = {(key, name) for step in told for key, names in step["table"].items() for name in names}
    assert {pair for pair in printable if pair[0] != "email"} <= read
