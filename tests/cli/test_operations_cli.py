"""`relay stats | trace | dead | replay | pause | resume` as a person and as a program use them: exit codes, JSON in the
API's shapes, questions before much is changed, sentences instead of tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from relay.cli import main
from tests.operating import BROKEN_SUBJECT, Shop
from tests.places import ROOT

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path)


@pytest.fixture
def run(
    shop: Shop,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """(exit code, stdout, stderr) of one command; nobody sits at a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELAY_REDIS_URL", redis_url)
    monkeypatch.setenv("RELAY_CONFIG", str(tmp_path / "relay.yaml"))

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["relay", *words])
        monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(stop.value.code or 0), out, err

    return call


def as_json(result: tuple[int, str, str]) -> Any:
    assert result[0] == 0, result
    return json.loads(result[1])


def test_stats_in_words_and_in_the_apis_shape(shop: Shop, run: Run) -> None:
    code, out, _ = run("stats")
    assert code == 0
    assert "no event has come in yet" in out
    shop.arrive("hello")
    code, out, _ = run("stats")
    assert "slack" in out
    assert "the books balance" in out
    stats = as_json(run("stats", "--json"))
    assert stats["sources"]["slack"]["accepted"] == 1
    assert stats["balanced"] is True
    assert stats["delivery"]["state"] == "open"


def test_trace_tells_the_story_by_any_id(shop: Shop, run: Run) -> None:
    event_id = shop.arrive("hello \x1b[31m\u202e")
    shop.deliver()
    code, out, _ = run("trace", event_id)
    assert code == 0
    assert "received" in out
    assert "delivered after 1.5 s" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    told = as_json(run("trace", "Ev0000000001", "--json"))
    assert told["events"][0]["id"] == event_id
    code, _, err = run("trace", "nobody")
    assert code == 1
    assert "nobody knows 'nobody'" in err


def test_dead_letters_from_the_shell(shop: Shop, run: Run) -> None:
    assert "no dead letters" in run("dead", "list")[1]
    shop.arrive("hello")
    [dead_id] = shop.bury("subject is too long")
    assert dead_id in run("dead", "list")[1]
    assert as_json(run("dead", "list", "--json"))["groups"][0]["count"] == 1
    code, out, _ = run("dead", "show", dead_id)
    assert code == 0
    assert "subject is too long" in out
    assert as_json(run("dead", "show", dead_id, "--json"))["event"]["text"] == "hello"

    edited = as_json(
        run("dead", "edit", dead_id, "--set", "subject=short", "--company", "extid-acme", "--json")
    )
    assert [entry["path"] for entry in edited["edits"]] == ["subject", "companyId"]
    assert edited["edits"][0]["by"].startswith("cli")
    assert "1 dead letter; of the first 1: 1 would be sent" in run("dead", "replay", dead_id, "--dry-run")[1]
    code, out, _ = run("dead", "replay", dead_id)
    assert code == 0
    assert "1 of 1 dead letter replayed (1 event)" in out
    assert shop.counts() == {"accepted": 1, "pending": 1}
    assert run("dead", "show", dead_id)[0] == 1
    assert run("dead", "replay", dead_id)[0] == 1


def test_what_changes_many_wants_yes_without_a_terminal(shop: Shop, run: Run) -> None:
    for number in range(3):
        shop.arrive(str(number), number=number, ts=f"180000000{number}.000100")
    shop.bury("no")
    for words in (("replay", "--all"), ("discard", "--source", "slack"), ("replay", "--cause", "no")):
        code, _, err = run("dead", *words)
        assert code == 2
        assert "--yes" in err
    assert shop.counts()["dead"] == 3
    assert "3 dead letters would be discarded" in run("dead", "discard", "--all", "--dry-run")[1]
    assert as_json(run("dead", "discard", "--all", "--yes", "--reason", "tests", "--json"))["discarded"] == 3
    assert shop.counts() == {"accepted": 3, "discarded": 3}


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_what_no_letter_fits_is_exit_code_1_and_asks_nothing(shop: Shop, run: Run, verb: str) -> None:
    code, _, err = run("dead", verb, "--cause", "c-ffff")
    assert code == 1
    assert "no dead letter has the cause 'c-ffff'" in err
    assert run("dead", verb, "--source", "nobody")[0] == 1
    assert run("dead", verb, "--all")[0] == 0


def test_a_letter_that_still_fails_is_exit_code_1(
    redis_client: redis.Redis, tmp_path: Path, shop: Shop, run: Run
) -> None:
    broken = Shop(redis_client, tmp_path, subject=BROKEN_SUBJECT)
    broken.arrive("hello")
    code, out, err = run("dead", "replay", "--all", "--yes")
    assert code == 1
    assert "1 still cannot be mapped" in out
    assert "slack-thread" in err
    assert broken.counts() == {"accepted": 1, "dead": 1}


def test_replay_of_stored_events_from_the_shell(shop: Shop, run: Run) -> None:
    shop.arrive("hello", now_ms=shop.outbox.now_ms() - 5000)
    shop.deliver(shop.outbox.now_ms())
    shop.change_rules("new: {{ event.text }}")
    code, out, _ = run("replay", "--since", "1h", "--dry-run")
    assert code == 0
    assert "1 event; 1 differs and would be sent" in out
    assert "hello -> new: hello" in out
    code, _, err = run("replay", "--since", "1h")
    assert code == 2
    assert "--yes" in err
    assert (
        as_json(run("replay", "--since", "1h", "--until", "now", "--source", "slack", "--yes", "--json"))[
            "changed"
        ]
        == 1
    )
    assert shop.counts() == {"accepted": 1, "pending": 1}


def test_a_replay_lists_everything_takes_ids_and_names_what_is_left(shop: Shop, run: Run) -> None:
    now_ms = shop.outbox.now_ms()
    ids = [
        shop.arrive(f"m{n}", number=n, ts=f"1800000000.{n:06d}", now_ms=now_ms - 5000 + n) for n in range(25)
    ]
    shop.deliver(now_ms)
    shop.change_rules("new: {{ event.text }}")
    file = shop.folder / "relay.yaml"
    file.write_text(file.read_text().replace('"slack-{{ event.thread }}"', '"chat-{{ event.thread }}"'))

    _, out, _ = run("replay", "--since", "1h", "--dry-run", "--limit", "3")
    assert out.count("evt_") == 3
    assert "and 22 more: --all, or --json-lines" in out
    assert "25 conversations in Planhat that no event makes any more" in out
    assert run("replay", "--since", "1h", "--dry-run", "--all")[1].count("evt_") == 25
    assert len(as_json(run("replay", "--since", "1h", "--dry-run", "--all", "--json"))["sample"]) == 25
    lines = [
        json.loads(line)
        for line in run("replay", "--since", "1h", "--dry-run", "--json-lines")[1].splitlines()
    ]
    assert [line["id"] for line in lines[:-1]] == ids
    assert (lines[-1]["summary"]["changed"], len(lines[-1]["summary"]["orphans"])) == (25, 25)

    code, _, err = run("replay", ids[0], "--source", "slack")
    assert (code, "no filter" in err) == (2, True)
    code, _, err = run("replay", ids[0], "evt_nobody")
    assert (code, "no such event is kept: evt_nobody" in err) == (1, True)
    code, out, _ = run("replay", ids[0], ids[3], "--archive-orphans", "--yes")
    assert code == 0
    assert out.count("(archived)") == 2
    assert shop.counts() == {"accepted": 25, "pending": 2, "delivered": 23}


def test_drops_from_the_shell(shop: Shop, run: Run) -> None:
    code, _, err = run("drop", "--source", "slcak", "--yes")
    assert (code, "did you mean 'slack'" in err) == (2, True), err
    code, _, err = run("drop", "--where", "event.sender.boot", "--yes")
    assert (code, "--where" in err, "'bot'" in err) == (2, True, True), err
    code, _, err = run("drop", "--source", "slack")
    assert (code, "--yes" in err) == (2, True)
    begun = as_json(run("drop", "--source", "slack", "--for", "10m", "--yes", "--json"))
    assert "0 events dropped" in run("drop", "--list")[1]
    assert as_json(run("drop", "--list", "--json"))["drops"][0]["id"] == begun["id"]
    (shop.folder / "relay.yaml").write_text("rules: [", encoding="utf-8")
    assert "ended" in run("drop", "--end", begun["id"])[1], "whatever the file says"
    assert "nothing is being dropped" in run("drop", "--list")[1]


def test_companies_that_are_missing_from_the_shell(shop: Shop, run: Run) -> None:
    assert "no letter waits" in run("companies", "missing")[1]
    shop.arrive("hello")
    shop.bury("no company found", stage="resolve", asked_for=[("email", "anna@customer.example")])
    told = run("companies", "missing")[1]
    assert "anna@customer.example" in told
    assert "1 event;" in told
    assert 'customer.example: "?"    # 1 letter waits' in run("companies", "missing", "--yaml")[1]
    assert as_json(run("companies", "missing", "--json"))["missing"][0]["count"] == 1


@pytest.mark.parametrize(
    "words",
    ["pause", "resume", "prune --dry-run", "replay --since 2h --dry-run", "backtest relay.yaml"],
)
def test_a_source_that_is_not_known_is_no_empty_answer(shop: Shop, run: Run, words: str) -> None:
    """Of a mistyped name "no conversation would be different" is true of nothing."""
    shop.arrive("hello", now_ms=shop.outbox.now_ms())
    code, out, err = run(*words.split(), "--source", "slak")
    assert (code, out) == (1, "")
    assert err == "no source 'slak': neither in the config nor in the books; did you mean 'slack'?\n"


def test_a_rule_that_is_not_known_is_no_empty_replay(shop: Shop, run: Run) -> None:
    shop.arrive("hello", now_ms=shop.outbox.now_ms())
    (rule, *_) = [one.name for one in shop.house.book.rules_for("slack")]
    code, out, err = run("replay", "--since", "1h", "--rule", f"{rule}s")
    assert (code, out) == (1, "")
    assert err.startswith(f"no rule '{rule}s': today's config has none of that name; did you mean '{rule}'?")
    assert run("replay", "--since", "1h", "--rule", rule, "--dry-run")[0] == 0


def test_a_backtest_of_no_event_compares_nothing(shop: Shop, run: Run) -> None:
    assert "nothing was compared" in run("backtest", "relay.yaml")[1]
    shop.arrive("hello", now_ms=shop.outbox.now_ms())
    assert "no conversation would be different" in run("backtest", "relay.yaml")[1]


def test_pause_and_resume_from_the_shell(shop: Shop, run: Run) -> None:
    assert as_json(run("pause", "--json"))["state"] == "paused"
    assert shop.delivery.read().state == "paused"
    assert "goes on" in run("resume")[1]
    assert shop.delivery.read().state == "open"
    assert "slack is held" in run("pause", "--source", "slack")[1]
    assert shop.delivery.paused_sources() == {"slack"}
    assert run("resume", "--source", "slack")[0] == 0
    code, _, err = run("pause", "--source", "nobody")
    assert code == 1
    assert "no source 'nobody'" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dead", "replay"], "say which"),
        (["dead", "replay", "dead_x", "--all"], "all"),
        (["dead", "edit", "dead_x"], "nothing to change"),
        (["dead", "edit", "dead_x", "--set", "novalue"], "PATH=VALUE"),
        (["dead", "list", "--since", "soon"], "is no time"),
        (["dead", "list", "--after", "x"], "cursor"),
        (["replay"], "--since"),
        (["replay", "--since", "1h", "--until", "2h"], "later"),
        (["replay", "--since", "soon"], "is no time"),
        (["stats", "--nonsense"], "--nonsense"),
    ],
)
def test_mistakes_are_sentences_and_exit_code_2(run: Run, words: list[str], says: str) -> None:
    code, out, err = run(*words)
    assert code == 2
    assert says in err
    assert out == ""


def test_without_redis_a_sentence_and_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_REDIS_URL", "unix:///nonexistent/redis.sock")
    for words in (["stats"], ["trace", "x"], ["dead", "list"], ["pause"]):
        code, _, err = run(*words)
        assert code == 1
        assert err.startswith("Redis")


@pytest.mark.parametrize(
    "words",
    [
        ["stats"],
        ["trace"],
        ["dead"],
        ["replay"],
        ["pause"],
        ["resume"],
        *[["dead", w] for w in ("list", "show", "edit", "replay", "discard")],
    ],
)
def test_help_reads_like_a_manual(run: Run, words: list[str]) -> None:
    code, out, _ = run(*words, "--help")
    assert code == 0
    assert "Example" in out
    assert "Usage: " in out


@pytest.mark.process
def test_a_pipe_that_closes_early_is_no_error(shop: Shop, redis_url: str, tmp_path: Path) -> None:
    shop.arrive("hello")
    done = subprocess.run(
        f"{sys.executable} -c 'from relay.cli import main; main()' stats --json | head -c 1",
        shell=True, check=False, capture_output=True, text=True, cwd=tmp_path, timeout=30,
        env={"RELAY_REDIS_URL": redis_url, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{", "")


def test_events_are_listed_found_and_none_is_exit_1(shop: Shop, run: Run) -> None:
    now_ms = shop.outbox.now_ms()
    event_id = shop.arrive("the invoice is wrong", now_ms=now_ms)
    code, out, _ = run("events")
    assert code == 0
    assert event_id in out
    code, out, _ = run("events", "--text", "invoice", "--since", "1h", "--json")
    told = json.loads(out)
    assert ([row["id"] for row in told["events"]], told["next"]) == ([event_id], None)
    code, out, _ = run("events", "--json-lines")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [event_id]
    assert run("events", "--text", "holiday")[0] == 1
    code, _, err = run("events", "--state", "deliverd")
    assert code == 2
    assert "did you mean 'delivered'" in err


def test_an_address_is_traced_to_what_came_from_it(shop: Shop, run: Run) -> None:
    shop.arrive("the invoice is wrong", now_ms=shop.outbox.now_ms())
    code, _, err = run("trace", "nobody@customer.example")
    assert code == 1
    assert "nobody@customer.example" in err
    assert run("trace", "evt_000000000000000000000000")[0] == 1
