"""Every query of the Grafana dashboard, run on a real Prometheus that scrapes the running relay."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.cli.test_up import free_port, relay, running
from tests.laned import laned
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


@contextlib.contextmanager
def scraping(folder: Path, address: str) -> Iterator[int]:
    """A Prometheus that asks the relay at host:port; its own port."""
    binary = shutil.which("prometheus")
    if not binary:
        assert not os.environ.get("CI"), "CI installs prometheus"
        pytest.skip("no prometheus on the PATH")
    port = free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: relay\n"
        f"    static_configs: [{{targets: ['{address}'], labels: {{namespace: test}}}}]\n"
    )
    scraper = subprocess.Popen(
        [
            binary,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        scraper.terminate()
        scraper.wait(20)


def until_data(port: int, asked: list[str], happens: Callable[[], None], lane: str = ".*") -> None:
    """Until every query gives something, while things go on happening: rates need that."""
    deadline = time.monotonic() + 60
    while True:
        happens()
        empty = [expr for expr in asked if not answered(port, expr, lane)]
        empty = [expr for expr in empty if not any(name in expr for name in MAY_BE_EMPTY)]
        if not empty:
            return
        assert time.monotonic() < deadline, empty
        time.sleep(1)


def unknown_labels(asked: list[str], metrics: str) -> list[tuple[str, set[str]]]:
    """Of the queries and of the alerts' rules."""
    labels = labels_seen(metrics)
    alerts = yaml.safe_load((DASHBOARD.parent / "alerts.yaml").read_text())
    rules = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    return [(expr, wrong) for expr in (*asked, *rules) if (wrong := labels_unknown(expr, labels))]


def test_every_panel_has_data_once_something_happened(short_tmp: Path) -> None:
    asked = list(dict.fromkeys(queries(json.loads(DASHBOARD.read_text()))))
    assert len(asked) > 20
    with running(short_tmp) as (_, up), scraping(short_tmp, up["relay"].removeprefix("http://")) as port:

        def happens() -> None:
            assert relay(short_tmp, "send", "--source", "slack", "--count", "3").returncode == 0
            # What there is a metric of only while it lasts.
            assert relay(short_tmp, "pause", "--source", "helpdesk").returncode == 0
            httpx.post(f"{up['relay']}/hooks/slack", content=b"{}", trust_env=False)

        # `main` is what the variable offers here, where most series have no lane.
        until_data(port, asked, happens, lane="main")
        wrong = unknown_labels(asked, httpx.get(f"{up['relay']}/metrics", trust_env=False).text)
        # Most series have a lane only where the config has `lanes:`: held by the test of those.
        assert [(expr, labels) for expr, labels in wrong if labels != {"lane"}] == []


def test_with_lanes_each_panel_shows_the_one_that_is_chosen(short_tmp: Path) -> None:
    asked = list(dict.fromkeys(queries(json.loads(DASHBOARD.read_text()))))
    with laned(short_tmp, "emea", "us") as relay:
        relay.begin()
        numbers = count(1)

        def happens() -> None:
            number = next(numbers)
            for lane in ("emea", "us"):
                assert relay.send(f"hook-{lane}", number).status_code == 202
                relay.http.post(f"{relay.url}/hooks/hook-{lane}", content=b"{}")

        with scraping(short_tmp, relay.url.removeprefix("http://")) as port:
            until_data(port, asked, happens, lane="us")
            by_lane = [expr for expr in asked if "$lane" in expr]
            assert len(by_lane) > 15
            for expr in by_lane:
                for row in answer_of(port, expr, "us"):
                    assert row["metric"].get("lane") == "us", (expr, row)
            found = {row["metric"]["lane"] for row in answer_of(port, by_lane[0], ".*")}
            assert found == {"emea", "us"}
            # What Prometheus scales the workers by, of the chart's own template.
            waiting = answer_of(port, worker_query(), ".*")
            assert {row["metric"]["lane"] for row in waiting} == {"emea", "us"}, waiting
        assert unknown_labels(asked, relay.http.get(f"{relay.url}/metrics").text) == []


def worker_query() -> str:
    """`relay.waitingByLane` for the job of these tests."""
    text = (ROOT / "helm" / "templates" / "_lanes.tpl").read_text()
    body = text.partition('{{- define "relay.waitingByLane" -}}')[2].partition("{{- end -}}")[0]
    query = body.partition("\nsum by")[2].replace(" {{- $of -}} ", 'namespace="test",job="relay"').strip()
    assert "{{" not in query
    return f"sum by{query}"


def answered(port: int, expr: str, lane: str) -> bool:
    """Whether the query holds and gives something. A query that Prometheus cannot read fails the test."""
    try:
        return bool(answer_of(port, expr, lane))
    except httpx.TransportError:
        return False


def answer_of(port: int, expr: str, lane: str) -> list[dict[str, Any]]:
    """The rows that the query gives now; none while Prometheus is not ready."""
    expr = expr.replace("$__rate_interval", "1m").replace("$lane", lane)
    for name in ("namespace", "job", "source"):
        expr = expr.replace(f"${name}", ".*")
    answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": expr}, trust_env=False)
    assert answer.status_code in (200, 503), (expr, answer.text)
    rows: list[dict[str, Any]] = answer.json()["data"]["result"] if answer.status_code == 200 else []
    return rows
