"""Commands on a config with several lanes: what is the installation's wants no lane named, and what looks at one looks at that one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from relay.cli import COMPLETE_VARIABLE, cli
from relay.cli.context import asked_lanes, open_context
from relay.cli.place import Place
from relay.config import Config, LaneConfig, PlanhatConfig
from relay.outbox.audit import AuditLine, write_audit
from relay.settings import Settings
from relay.web.assembly import create_app
from tests.environ import WEAK
from tests.operating import SUBJECT, Caller, Shop


@pytest.fixture
def shop(redis_client: redis.Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Lane `us`, where three events came in; nothing in `emea`."""
    shop = Shop(redis_client, tmp_path, lane="us")
    for number in range(3):
        shop.arrive("hello", number=number, ts=f"180000000{number}.000100", now_ms=shop.outbox.now_ms())
    for name, value in {
        "RELAY_REDIS_URL": redis_url,
        "RELAY_CONFIG": str(tmp_path / "relay.yaml"),
        "RELAY_ALLOW_WEAK_SECRETS": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return shop


def run(*words: str) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, (words, done.output)
    return done.stdout


def test_what_is_the_installations_wants_no_lane(shop: Shop) -> None:
    write_audit(shop.outbox, AuditLine("cli:ann", "pause", "here", {"lane": "us"}))
    assert "cli:ann" in run("audit")
    assert "nothing was refused" in run("rejected")
    assert "no alert is on" in run("alerts")
    assert "nothing is being dropped" in run("drop", "--list")


def test_all_lanes_have_one_config_and_one_connection(shop: Shop, tmp_path: Path) -> None:
    """Who reads the file for each of 200 lanes waits for minutes."""
    lanes = open_context(Place()).each_lane()
    assert [lane.lane for lane in lanes] == ["emea", "us"]
    asked = asked_lanes(lanes)
    assert asked[0].outbox.redis is asked[1].outbox.redis and lanes[0].rulebook is lanes[1].rulebook
    assert [one.config.planhat for one in asked] == [lane.config.planhat for lane in lanes]
    assert json.loads(run("stats", "--json"))["lanes"]["us"]["pending_items"] == 3
    (tmp_path / "relay.yaml").write_text("lanes: {emea: {}, us: {}}\nrules: no list\n")
    assert [one.config for one in asked_lanes(open_context(Place()).each_lane())] == [None, None]


def test_a_backtest_is_over_the_events_of_its_lane(shop: Shop, tmp_path: Path) -> None:
    new = tmp_path / "new.yaml"
    new.write_text((tmp_path / "relay.yaml").read_text().replace(SUBJECT, "Re: {{ event.text }}"))
    told = {lane: json.loads(run("backtest", str(new), "--lane", lane, "--json")) for lane in ("us", "emea")}
    assert told["us"]["conversations"] == {"same": 0, "new": 0, "changed": 3, "dropped": 0}
    assert told["emea"]["events"] == 0
    vague = CliRunner().invoke(cli, ["backtest", str(new)])
    assert vague.exit_code != 0 and "--lane (emea, us)" in str(vague.exception)


def test_where_each_lane_delivers_is_said_at_the_start() -> None:
    from relay.cli.up import Installation

    made = Installation.__new__(Installation)
    made.planhat = made.sandbox = "http://127.0.0.1:1"
    assert made._planhats(Config()) == ["http://127.0.0.1:1"]
    lanes = {
        "emea": LaneConfig("emea", PlanhatConfig()),
        "us": LaneConfig("us", PlanhatConfig(), url="https://api-us4.planhat.com"),
    }
    assert made._planhats(Config(lanes=lanes)) == [
        "emea: http://127.0.0.1:1",
        "us: https://api-us4.planhat.com (its own url, not the sandbox)",
    ]


def test_json_of_several_lanes_is_one_answer_in_the_apis_shape(
    shop: Shop, redis_client: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    """Without `--lane` as without `?lane=`, whatever is looked at; with it, as with it."""
    now_ms = shop.outbox.now_ms()
    [event, *_] = list(shop.outbox.events.ids(since_ms=now_ms - 600_000, until_ms=now_ms))
    [letter, *_] = shop.bury("the subject is too long", now_ms=shop.outbox.now_ms() + 3000)
    other = Shop(redis_client, tmp_path, lane="emea")
    other.arrive("hello", number=0, ts="1800000000.000100", now_ms=other.outbox.now_ms())
    Shop(redis_client, tmp_path, lane="us")
    token = "operators-only-" + "x" * 20
    environ = {**WEAK, "RELAY_REDIS_URL": redis_url, "RELAY_OPERATOR_TOKEN": token}
    environ["RELAY_CONFIG"] = str(tmp_path / "relay.yaml")
    headers = {"authorization": f"Bearer {token}"}
    api = Caller(create_app(Settings.read(environ), dict(WEAK)), address="203.0.113.9", headers=headers)
    for words, path in (
        (["events"], "events"),
        (["dead", "list", "--limit", "50"], "dead"),
        (["dead", "show", letter], f"dead/{letter}"),
        (["trace", event], f"trace/{event}"),
        (["trace", "slack-C024BE91L-1800000001.000100"], "trace/slack-C024BE91L-1800000001.000100"),
        (["companies", "missing"], "companies/missing"),
    ):
        for lane in ("", "us"):
            told = json.loads(run(*words, "--json", *(("--lane", lane) if lane else ())))
            assert told == api.get(f"/api/v1/{path}{f'?lane={lane}' if lane else ''}").json(), (words, lane)


def test_what_several_lanes_know_is_told_of_the_first_and_the_others_are_named(
    shop: Shop, redis_client: redis.Redis, tmp_path: Path
) -> None:
    other = Shop(redis_client, tmp_path, lane="emea")
    other.arrive("hello", ts="1800000000.000100", now_ms=other.outbox.now_ms())
    Shop(redis_client, tmp_path, lane="us")
    done = CliRunner().invoke(cli, ["trace", "slack-C024BE91L-1800000000.000100", "--json"])
    assert json.loads(done.stdout)["lane"] == "emea"
    assert "--lane us" in done.stderr
    [letter, *_] = shop.bury("the subject is too long", now_ms=shop.outbox.now_ms() + 3000)
    told = run("dead", "list")
    assert "        lane us\n" in told
    assert f"  us          {letter}  " in told


def test_the_shell_completes_what_is_in_any_lane(shop: Shop, tmp_path: Path) -> None:
    [letter, *_] = shop.bury("the subject is too long", now_ms=shop.outbox.now_ms() + 3000)

    def completed(line: str) -> str:
        words = line.split(" ")
        environ = {COMPLETE_VARIABLE: "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return (
            CliRunner(env=environ).invoke(cli, [], prog_name="relay", complete_var=COMPLETE_VARIABLE).output
        )

    assert letter in completed("relay dead show dead_")
    assert "c-" in completed("relay dead list --cause ")
    assert "c-" in completed("relay dead mute --lane us ")
    assert "c-" not in completed("relay dead mute --lane emea ")
    assert "emea" in completed("relay stats --lane ") and "us" in completed("relay stats --lane ")
    assert "slack" in completed("relay events --source ")
    # A file with a mistake in it still says which lanes there are.
    (tmp_path / "relay.yaml").write_text("lanes: {emea: {}, us: {}}\nrules: no list\n")
    assert "us" in completed("relay stats --lane ")
    assert letter in completed("relay dead show dead_")
