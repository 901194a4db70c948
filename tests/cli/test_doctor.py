"""`relay doctor`: each failure has its line and what to do about it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from relay.operations.drops import begin_drop
from relay.outbox.delivery import Delivery
from relay.outbox.epoch import Epoch
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import create_sandbox
from relay.planhat.sandbox.server import running
from tests.environ import WEAK
from tests.places import ROOT
from tests.web.test_hooks import CONFIG

pytestmark = pytest.mark.process


def doctor(folder: Path, **settings: str) -> tuple[int, dict[str, dict[str, object]]]:
    (folder / "relay.yaml").write_text(CONFIG)
    environ = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        **WEAK,
        **{f"RELAY_{key}": value for key, value in settings.items()},
    }
    done = subprocess.run(
        [sys.executable, "-m", "relay.cli", "doctor", "--json"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, {check["check"]: check for check in json.loads(done.stdout)["checks"]}


def test_what_is_well_and_what_is_missing_is_said_line_by_line(redis_url: str, tmp_path: Path) -> None:
    with running(create_sandbox(token="right")) as url:
        code, checks = doctor(tmp_path, REDIS_URL=redis_url, PLANHAT_URL=url, PLANHAT_TOKEN="right")
    assert checks["config"]["ok"] and checks["redis"]["ok"] and checks["redis durability"]["ok"]
    assert not checks["worker"]["ok"] and "relay work" in str(checks["worker"]["do"])
    assert code == 1


def test_that_redis_was_set_back_is_told(redis_url: str, outbox: Outbox, tmp_path: Path) -> None:
    """Otherwise all is well with it: what is gone is not to be seen there."""
    assert doctor(tmp_path, REDIS_URL=redis_url)[1]["redis history"]["ok"]
    epoch = Epoch(outbox)
    epoch.look()
    outbox.redis.flushall()
    epoch.look()
    check = doctor(tmp_path, REDIS_URL=redis_url)[1]["redis history"]
    assert not check["ok"] and "may be gone" in str(check["found"]) and check["do"]


def test_a_wrong_token_and_an_evicting_redis_are_named(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with running(create_sandbox(token="right")) as url:
            code, checks = doctor(tmp_path, REDIS_URL=redis_url, PLANHAT_URL=url, PLANHAT_TOKEN="wrong")
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    assert code == 1
    assert not checks["planhat token"]["ok"] and "region" in str(checks["planhat token"]["do"])
    assert "noeviction" in str(checks["redis durability"]["do"])


def test_what_is_held_or_dropped_and_a_web_side_that_is_away_fail(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    Delivery(redis_client).pause("slack", by="cli:ann")
    begin_drop(Outbox(redis_client), {"slack"}, source="slack", where="", lasts="1h", by="cli:bo")
    code, checks = doctor(tmp_path, REDIS_URL=redis_url, PORT="9")
    assert code == 1
    for name, told in (
        ("held", "by cli:ann"),
        ("drops", "by cli:bo"),
        ("relay", ":9/readyz"),
        ("web", "no web side"),
    ):
        assert not checks[name]["ok"], name
        assert told in str(checks[name]["found"])
    assert checks["dead letters"]["ok"]


def test_no_redis_at_all_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    code, checks = doctor(tmp_path, REDIS_URL=f"unix://{tmp_path}/none.sock")
    assert code == 1
    assert not checks["redis"]["ok"]
    assert not checks["planhat token"]["ok"]
