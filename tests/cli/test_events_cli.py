"""`relay events` as people use it: times by their own clock, names that are mistyped, narrow terminals, pipes that end early; and what
the commands for dead letters say where none fits."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import redis
from click import unstyle
from click.testing import CliRunner

from relay.cli import cli
from relay.cli.event_rows import event_line
from relay.cli.up import Installation
from relay.cli.up_folder import config_of, example
from relay.errors import NotFound, UserError
from relay.outbox.embedded import EmbeddedServer
from tests.operating import Shop
from tests.places import ROOT


@pytest.fixture
def shop(redis_client: redis.Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELAY_REDIS_URL", redis_url)
    monkeypatch.setenv("RELAY_CONFIG", str(tmp_path / "relay.yaml"))
    return Shop(redis_client, tmp_path)


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield ZoneInfo("Asia/Tokyo")
    os.environ.pop("TZ")
    time.tzset()


def test_a_time_without_a_zone_is_by_this_machines_clock(shop: Shop, in_tokyo: ZoneInfo) -> None:
    now_ms = shop.outbox.now_ms()
    shop.arrive("hello", now_ms=now_ms - 7_200_000)

    def clock(hours: float) -> str:
        return datetime.fromtimestamp(now_ms / 1000 - hours * 3600, in_tokyo).strftime("%Y-%m-%d %H:%M")

    assert CliRunner().invoke(cli, ["events", "--since", clock(3)]).exit_code == 0
    assert CliRunner().invoke(cli, ["events", "--since", clock(1)]).exit_code == 1
    assert CliRunner().invoke(cli, ["events", "--since", "3 hours ago", "--until", clock(1)]).exit_code == 0


def test_where_nothing_fits_it_says_why(shop: Shop) -> None:
    def told(*words: str) -> str:
        done = CliRunner().invoke(cli, ["events", *words])
        assert (done.exit_code, done.stdout) == (1, "")
        return done.stderr

    assert "none is kept" in told()
    shop.arrive("the invoice is wrong", now_ms=shop.outbox.now_ms())
    assert "no source is called 'slak'; did you mean 'slack'?" in told("--source", "slak")
    assert "did you mean 'slack-thread'?" in told("--rule", "slack-thred")
    assert "find whole words" in told("--text", "invoi")
    assert "the oldest that is kept came at 20" in told("--state", "dead")


def test_where_nothing_fits_in_any_of_several_lanes(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = '{url: "http://127.0.0.1:9", token: "not-a-real-%s", types: [Slack thread], companies: [{default: extid-a}]}'
    (tmp_path / "lanes.yaml").write_text(
        f"lanes:\n  emea: {lane % 'token'}\n  us: {lane % 'other'}\n"
        'sources: {slack: {adapter: slack, secrets: ["not-a-real-secret"], type: Slack thread}}\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("RELAY_CONFIG", str(tmp_path / "lanes.yaml"))
    monkeypatch.setenv("RELAY_ALLOW_WEAK_SECRETS", "true")
    done = CliRunner().invoke(cli, ["events"])
    assert (done.exit_code, done.stdout) == (1, ""), done.exception
    assert "none is kept" in done.stderr
    assert "did you mean 'slack'?" in CliRunner().invoke(cli, ["events", "--source", "slak"]).stderr


def test_a_line_fits_the_terminal_and_in_a_pipe_nothing_is_cut() -> None:
    row = {
        "id": "evt_0123456789abcdef01234567", "received_at": "2026-11-28T10:46:48.769Z", "source": "support-mail", "kind": "email.received",
        "state": "delivered", "sender": "anna.with.a.long.name@customer.example", "subject": "Export fails " * 12,
        "externalId": "support-mail-" + "x" * 60,
    }  # fmt: skip
    whole = event_line(row)
    for value in row.values():
        assert value.strip() in whole
    for width in (100, 140, 200, 260):
        line = event_line(row, width)
        assert line.endswith(row["id"])
        assert len(unstyle(line)) <= max(width, 134)
    assert row["externalId"] in event_line(row, 260)


@pytest.mark.process
def test_a_pipe_that_ends_early_is_no_failure(shop: Shop) -> None:
    for number in range(40):
        shop.arrive("hello " * 200, number=number, now_ms=shop.outbox.now_ms())
    command = f"{sys.executable} -m relay.cli events --json-lines --limit 40; echo $? >&2"
    first = subprocess.run(
        ["/bin/sh", "-c", f"({command}) | head -c 1"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert (first.stdout, first.stderr) == ("{", "0\n")


def test_dead_letters_of_no_such_cause_are_not_asked_about(shop: Shop) -> None:
    shop.arrive("hello")
    shop.bury("subject is too long")
    for verb in ("replay", "discard"):
        done = CliRunner().invoke(cli, ["dead", verb, "--cause", "subjct is to long"])
        assert isinstance(done.exception, NotFound)
        assert "the nearest:\n" in str(done.exception)
        assert CliRunner().invoke(cli, ["dead", verb, "--source", "nobody"]).exit_code == 1
    done = CliRunner().invoke(cli, ["dead", "replay", "--all", "--dry-run", "--limit", "0"])
    assert "and 1 more: --limit" in done.stdout


def test_events_that_are_named_are_replayed_without_a_question(shop: Shop) -> None:
    event_id = shop.arrive("hello", now_ms=shop.outbox.now_ms())
    shop.deliver(shop.outbox.now_ms())
    done = CliRunner().invoke(cli, ["replay", event_id])
    assert (done.exit_code, done.stderr) == (0, "")
    assert isinstance(CliRunner().invoke(cli, ["replay", "--since", "1h"]).exception, UserError)


def test_up_takes_the_config_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(config_of("")) == example()
    (tmp_path / "relay.yaml").write_text("sources: {}\n", encoding="utf-8")
    assert config_of("") == Path("relay.yaml")
    assert config_of("other.yaml") == Path("other.yaml")


def test_up_names_the_listener_that_the_console_has(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    for environ, port in (({}, 8080), ({"RELAY_OPERATOR_PORT": "8090"}, 8090)):
        up = Installation(tmp_path, tmp_path / "relay.yaml", server, "127.0.0.1", 8080, environ=environ)
        assert (up.url, up.operators_url) == ("http://127.0.0.1:8080", f"http://127.0.0.1:{port}")


#: Whoever runs the tests in the background has a shell that lets their processes ignore Ctrl-C; so does Python then.
_HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from relay.cli import main; main()"


@pytest.mark.process
@pytest.mark.parametrize("words", [["events", "--follow"], ["stats", "--watch"]], ids=lambda words: words[0])
def test_ctrl_c_ends_what_goes_on_for_ever_and_is_no_failure(shop: Shop, words: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HEARS_CTRL_C, *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as going:  # fmt: skip
        assert going.stdout is not None
        said = False
        for number in range(100):
            # A time of its own: the same message again would be no event to tell of.
            ts = f"1800000000.{number:06d}"
            shop.arrive("hello", ts=ts, number=number, now_ms=shop.outbox.now_ms())
            said = bool(select.select([going.stdout], [], [], 0.3)[0])
            if said:
                break
        assert said
        going.send_signal(signal.SIGINT)
        _, err = going.communicate(timeout=20)
        assert (going.returncode, err) == (0, "")
