"""Whoever starts a command may have closed its standard streams, or sent them to a full disk: a sentence or silence, never a
traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.operating import Shop
from tests.places import ROOT

pytestmark = pytest.mark.process

#: Commands that print, ask, or read standard input, with their exit code where nobody reads and nothing is to be read.
_PRINTS = ("stats", "events", "dead list", "audit", "completion bash", "--help")
_ASKS = (
    "dead replay --all",
    "prune",
    "erase --email ann@example.com",
    "drop --source slack",
    "replay --since 1h",
    "init new.yaml",
)


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    shop = Shop(redis_client, tmp_path)
    shop.arrive("hello", now_ms=shop.outbox.now_ms())
    shop.bury("the subject is too long", now_ms=shop.outbox.now_ms() + 3000)
    return shop


def run(shop: Shop, redis_url: str, words: str, streams: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m relay.cli {words} {streams}"],
        cwd=shop.folder, capture_output=True, text=True, timeout=60, check=False,
        env={
            "RELAY_REDIS_URL": redis_url, "RELAY_CONFIG": str(shop.folder / "relay.yaml"), "RELAY_ALLOW_WEAK_SECRETS": "true",
            "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT),
        },
    )  # fmt: skip


@pytest.mark.parametrize("words", _PRINTS)
def test_a_full_disk_is_a_sentence(shop: Shop, redis_url: str, words: str) -> None:
    done = run(shop, redis_url, words, "</dev/null >/dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "standard output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        "trace BAD",
        "events --from BAD",
        "erase --email BAD@example.com --dry-run",
        "conversations get BAD",
        "conversations create --set type=note --set subject=BAD",
        "dead list --cause BAD",
        "pause --source BAD",
        "BAD",
    ],
)
def test_an_argument_of_bytes_that_are_no_text_is_refused(shop: Shop, redis_url: str, words: str) -> None:
    """Pasted out of an old mail, by a shell that speaks Latin-1."""
    done = run(shop, redis_url, words.replace("BAD", "\"$(printf 'm\\374ller')\""), "</dev/null")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"argument \d is not UTF-8: b'\S*m\\xfcller\S*'\n", done.stderr)


def test_a_file_may_be_called_by_bytes_that_are_no_text(shop: Shop, redis_url: str) -> None:
    shutil.copy(shop.folder / "relay.yaml", shop.folder / os.fsdecode(b"m\xfcller.yaml"))
    done = run(shop, redis_url, "check \"$(printf 'm\\374ller.yaml')\"", "</dev/null >/dev/null")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", _PRINTS)
def test_output_that_is_closed_is_nobody_reading(shop: Shop, redis_url: str, words: str) -> None:
    done = run(shop, redis_url, words, "</dev/null >&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", _ASKS)
def test_input_that_is_closed_is_no_terminal(shop: Shop, redis_url: str, words: str) -> None:
    closed, empty = (run(shop, redis_url, words, streams) for streams in ("<&-", "</dev/null"))
    assert closed.returncode == empty.returncode == 2
    assert closed.stderr == empty.stderr
    assert "--yes" in closed.stderr or "--from" in closed.stderr


@pytest.mark.parametrize("streams", ["<&-", "</dev/null"])
def test_a_letter_is_not_mended_with_nothing(shop: Shop, redis_url: str, streams: str) -> None:
    [letter] = shop.outbox.dead.ids()
    done = run(shop, redis_url, f"dead edit {letter} --raw -", streams)
    assert done.returncode == 2
    assert "standard input: is empty" in done.stderr
    assert b"edits" not in shop.outbox.dead.get_many([letter])[0].record


def test_no_stream_at_all(shop: Shop, redis_url: str) -> None:
    """A connection must not become the standard output."""
    assert run(shop, redis_url, "stats", "<&- >&- 2>&-").returncode == 0
    assert run(shop, redis_url, "dead replay --all", "<&- >&- 2>&-").returncode == 2
