"""While the config file holds a mistake the relay goes on by the one before: whoever looks at what happened is shown it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from relay.cli import cli
from relay.errors import ConfigInvalid
from relay.operations.search.build import Indexer
from relay.operations.search.list_events import list_events, terms_of
from relay.outbox.index.store import EventIndex
from tests.operating import Shop

#: What stands in the file's place; None: there is no file.
BROKEN = {"a mistake": "sources: {slack: {}}\nrules: no list\n", "no YAML": "rules: [", "no file": None}


@pytest.fixture
def shop(redis_client: redis.Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(redis_client, tmp_path)
    shop.arrive("the invoice is wrong", now_ms=shop.outbox.now_ms())
    shop.bury("the subject is too long", now_ms=shop.outbox.now_ms() + 3000)
    for name, value in {
        "RELAY_REDIS_URL": redis_url,
        "RELAY_CONFIG": str(tmp_path / "relay.yaml"),
        "RELAY_ALLOW_WEAK_SECRETS": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return shop


def damage(shop: Shop, how: str) -> None:
    file, text = shop.folder / "relay.yaml", BROKEN[how]
    if text is None:
        file.unlink()
    else:
        file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize(
    ("words", "shows"),
    [
        ("events", "evt_"),
        ("events --source slack --state dead", "evt_"),
        ("events --kind message.created", "evt_"),
        ("events --text invoice", "evt_"),
        ("events --json", '"next": null'),
        ("trace {event}", "event evt_"),
        ("dead list", "1 dead letter"),
        ("dead list --cause long", "1 dead letter"),
        ("dead show {letter}", "the invoice is wrong"),
        ("dead show {letter} --json", '"event_unreadable"'),
        ("dead mute long", "muted"),
        ("dead discard {letter} --dry-run", "1 dead letter would be discarded"),
        ("companies missing", "no letter waits"),
        ("stats", "slack"),
        ("alerts", "no alert is on"),
        ("audit", "audit"),
        ("rejected", "nothing was refused"),
        ("drop --list", "nothing is being dropped"),
        ("prune --dry-run --source slack", "would be freed"),
        ("pause --source slack", "is held"),
    ],
)
def test_looking_needs_no_sound_file(shop: Shop, how: str, words: str, shows: str) -> None:
    [letter], now_ms = shop.outbox.dead.ids(), shop.outbox.now_ms()
    [event] = shop.outbox.events.ids(since_ms=now_ms - 600_000, until_ms=now_ms)
    damage(shop, how)
    done = CliRunner().invoke(cli, words.format(letter=letter, event=event).split())
    assert done.exit_code == 0, (done.output, done.exception)
    assert shows in done.stdout


@pytest.mark.parametrize(
    "words", ["dead replay {letter}", "replay --since 1h --yes", "dead replay --all --dry-run"]
)
def test_what_needs_the_rules_says_what_is_wrong_with_them(shop: Shop, words: str) -> None:
    [letter] = shop.outbox.dead.ids()
    damage(shop, "a mistake")
    done = CliRunner().invoke(cli, words.format(letter=letter).split())
    assert isinstance(done.exception, ConfigInvalid)
    assert shop.outbox.dead.ids() == [letter]


def test_what_cannot_be_read_whole_is_said_once_and_not_put_into_the_index(shop: Shop) -> None:
    context = shop.context
    Indexer(context, terms_of(context)).run(5)
    shop.arrive("second", number=2, ts="1800000001.000100", now_ms=shop.outbox.now_ms())
    tail = EventIndex(shop.outbox).state().tail
    damage(shop, "a mistake")
    done = CliRunner().invoke(cli, ["events", "--rule", "nobody"])
    assert done.exit_code == 1
    assert done.stderr.count("the config does not hold") == 1
    # What is in the index is found by every word, what came since by what stands beside it.
    assert "evt_" in CliRunner().invoke(cli, ["events", "--text", "invoice"]).stdout
    assert EventIndex(shop.outbox).state().tail == tail
    # The running relay, which has its config, takes it in.
    assert len(list_events(context, {"kind": "message.created"}, limit=5)["events"]) == 2
    assert EventIndex(shop.outbox).state().tail == tail + 1


def test_json_is_json_beside_what_is_said(shop: Shop) -> None:
    damage(shop, "a mistake")
    done = CliRunner().invoke(cli, ["alerts", "--json"])
    assert json.loads(done.stdout)["alerts"] == []
    assert "relay.yaml" in done.stderr
