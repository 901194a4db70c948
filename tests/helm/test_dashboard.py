"""Every query of the Grafana dashboard, run on a real Prometheus that scrapes the running relay."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.cli.test_up import free_port, relay, running
from tests.places import ROOT

pytestmark = pytest.mark.process

DASHBOARD = ROOT / "helm" / "files" / "dashboard.json"
#: True only where the relay has such a thing: a memory limit on Redis, dead letters, something held or dropped, a known end.
MAY_BE_EMPTY = (
    *("relay_redis_memory_max_bytes", "relay_dead_letters", "relay_paused_timestamp_seconds"),
    *("relay_drop_ends_timestamp_seconds", "relay_token_expiry_timestamp_seconds"),
)


def queries(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "expr" in value:
            yield value["expr"]
        for inner in value.values():
            yield from queries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from queries(inner)


def labels_seen(metrics: str) -> dict[str, set[str]]:
    """metric -> the names of its labels."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(relay_\w+)(?:\{(.*)\})? ", metrics, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def labels_unknown(expr: str, seen: dict[str, set[str]]) -> set[str]:
    """What an expression groups or chooses by and none of its metrics has. One whose metric is not there yet says nothing."""
    metrics = set(re.findall(r"\brelay_\w+", expr))
    if not metrics <= set(seen):
        return set()
    grouped = re.findall(r"\b(?:by|on|without|ignoring|group_left|group_right) *\(([^)]*)\)", expr)
    chosen = re.findall(r'[{,] *(\w+) *(?:=~|!~|!=|=) *"', expr)
    used = {name.strip() for part in grouped for name in part.split(",") if name.strip()} | set(chosen)
    return used - {"namespace", "job", "pod"} - set[str]().union(*(seen[name] for name in metrics))


def test_every_panel_has_data_once_something_happened(short_tmp: Path) -> None:
    binary = shutil.which("prometheus")
    if not binary:
        assert not os.environ.get("CI"), "CI installs prometheus"
        pytest.skip("no prometheus on the PATH")
    with running(short_tmp) as (_, up):
        port = free_port()
        (short_tmp / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            "  - job_name: relay\n"
            f"    static_configs: [{{targets: ['{up['relay'].removeprefix('http://')}'], labels: {{namespace: test}}}}]\n"
        )
        scraper = subprocess.Popen(
            [
                binary,
                f"--config.file={short_tmp}/prometheus.yml",
                f"--storage.tsdb.path={short_tmp}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            asked = list(dict.fromkeys(queries(json.loads(DASHBOARD.read_text()))))
            assert len(asked) > 20
            empty: list[str] = []
            deadline = time.monotonic() + 60
            while True:
                # Rates need something that goes on happening.
                assert relay(short_tmp, "send", "--source", "slack", "--count", "3").returncode == 0
                # What there is a metric of only while it lasts.
                assert relay(short_tmp, "pause", "--source", "helpdesk").returncode == 0
                httpx.post(f"{up['relay']}/hooks/slack", content=b"{}", trust_env=False)
                empty = [expr for expr in asked if not answered(port, expr)]
                empty = [expr for expr in empty if not any(name in expr for name in MAY_BE_EMPTY)]
                if not empty or time.monotonic() > deadline:
                    break
                time.sleep(1)
            assert empty == []
            labels = labels_seen(httpx.get(f"{up['relay']}/metrics", trust_env=False).text)
            alerts = yaml.safe_load((DASHBOARD.parent / "alerts.yaml").read_text())
            rules = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
            assert [(expr, wrong) for expr in (*asked, *rules) if (wrong := labels_unknown(expr, labels))] == []
        finally:
            scraper.terminate()
            scraper.wait(20)


def answered(port: int, expr: str) -> bool:
    """Whether the query holds and gives something. A query that Prometheus cannot read fails the test."""
    expr = expr.replace("$__rate_interval", "1m")
    for name in ("namespace", "job", "source"):
        expr = expr.replace(f"${name}", ".*")
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": expr}, trust_env=False)
    except httpx.TransportError:
        return False
    assert answer.status_code in (200, 503), (expr, answer.text)
    return answer.status_code == 200 and bool(answer.json()["data"]["result"])
