"""A stranger's payload is shown in a terminal: no character of it may steer one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from relay.cli import cli
from tests.operating import house_of, slack_message

#: Escape, a C1 control sequence, a bell, what turns the direction of writing, a line separator.
STEERING = "\x1b[2J\x9b31m\x07\u202e\u2028"


@pytest.mark.parametrize("field", ["text", "user", "channel", "client_msg_id", "subtype"])
def test_explain_shows_a_payload_and_obeys_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    house_of(tmp_path)
    monkeypatch.setenv("RELAY_ALLOW_WEAK_SECRETS", "true")
    payload = json.loads(
        slack_message("hello", ts="1800000000.000100", thread="", number=1, channel="C024BE91L")
    )
    payload["event"][field] = f"before{STEERING}after"
    (tmp_path / "message.json").write_text(json.dumps(payload), encoding="utf-8")
    words = [
        "explain",
        "--source",
        "slack",
        str(tmp_path / "message.json"),
        "--config",
        str(tmp_path / "relay.yaml"),
    ]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code in (0, 1), done.exception
    assert done.stdout
    assert all(char.isprintable() or char == "\n" for char in done.stdout)
