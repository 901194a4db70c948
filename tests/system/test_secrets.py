"""Secrets change without a restart, and stand nowhere that they should not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relay.errors import SettingsInvalid
from relay.settings import Settings
from relay.web.app import WebSide
from tests.environ import WEAK
from tests.places import ROOT
from tests.web.test_hooks import CONFIG, Door, message, serve

pytestmark = pytest.mark.process


def test_a_mounted_secret_changes_while_the_relay_runs(redis_url: str, tmp_path: Path) -> None:
    secret = tmp_path / "slack-secret"
    secret.write_text("old-secret\n")
    (tmp_path / "relay.yaml").write_text(CONFIG.replace('["shh"]', f'["${{file:{secret}}}"]'))
    side = WebSide(
        Settings(config=str(tmp_path / "relay.yaml"), redis_url=redis_url, require_durable=False), WEAK
    )
    for url in serve(side):
        door = Door(url, side)
        assert door.slack(message(1), secret="old-secret").status_code == 202
        assert door.slack(message(2), secret="new-secret").status_code == 401
        replacement = tmp_path / "next"
        replacement.write_text("new-secret\n")
        replacement.replace(secret)
        assert door.slack(message(2), secret="new-secret").status_code == 202
        assert door.slack(message(3), secret="old-secret").status_code == 401


@pytest.mark.parametrize(
    "command", [["check", "relay.yaml"], ["check", "--json", "relay.yaml"], ["doctor"], ["stats"]]
)
def test_no_command_prints_a_secret(redis_url: str, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "relay.yaml").write_text(CONFIG.replace('"shh"', '"${SLACK}"'))
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "RELAY_REDIS_URL": redis_url,
        "RELAY_PLANHAT_URL": "http://127.0.0.1:9",
        "RELAY_PLANHAT_TOKEN": "token-canary",
        "RELAY_OPERATOR_TOKEN": "operator-canary",
        **WEAK,
        "SLACK": "slack-canary",
    }
    done = subprocess.run(
        [sys.executable, "-m", "relay.cli", *command],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_no_process_argument_holds_a_secret(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text(CONFIG.replace('"shh"', '"${SLACK}"'))
    environ = {
        **os.environ,
        "RELAY_REDIS_URL": redis_url,
        "RELAY_PLANHAT_TOKEN": "token-canary",
        "RELAY_CONFIG": str(tmp_path / "relay.yaml"),
        "RELAY_PORT": "0",
        "SLACK": "slack-canary",
    }
    for command in (["relay", "serve"], ["workers"]):
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environ,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 2
            while process.poll() is None and time.monotonic() < deadline:
                for entry in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        assert b"canary" not in entry.read_bytes()
                    except OSError:
                        continue
                time.sleep(0.2)
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        ("https://api.planhat.com", True),
        ("us3", True),
        ("http://127.0.0.1:8081", True),
        ("http://localhost:8081", True),
        ("http://[::1]:8081", True),
        ("http://127.9.9.9", True),
        ("http://api.planhat.com", False),
        ("HTTP://api.planhat.com", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://10.0.0.7:8081", False),
        ("http://0.0.0.0:8081", False),
    ],
)
def test_no_token_travels_in_clear(url: str, holds: bool) -> None:
    if holds:
        assert Settings.read({"RELAY_PLANHAT_URL": url}).planhat_url == url
    else:
        with pytest.raises(SettingsInvalid, match="in clear"):
            Settings.read({"RELAY_PLANHAT_URL": url})
        assert (
            Settings.read({"RELAY_PLANHAT_URL": url, "RELAY_PLANHAT_PLAIN_HTTP": "true"}).planhat_url == url
        )


def test_the_settings_do_not_show_their_tokens() -> None:
    settings = Settings.read({"RELAY_PLANHAT_TOKEN": "canary", "RELAY_OPERATOR_TOKEN": "canary", **WEAK})
    assert settings.planhat_token() == "canary"
    assert "canary" not in repr(settings) + json.dumps(str(settings))
