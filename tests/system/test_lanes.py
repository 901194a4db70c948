"""Several Planhat tenants in one installation, with real processes: each event reaches its own, and what is wrong with one tenant is
wrong with no other."""

from __future__ import annotations

import json
import os
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.outbox.owner import Ownership
from relay.planhat.sandbox import Fault, Sandbox
from tests.laned import TYPE, Laned, laned, wait_until
from tests.outbox.test_outbox import entry

pytestmark = pytest.mark.process

RULES = f"""
rules:
  - name: for-us
    source: hook-emea
    when: "'for us' in event.text"
    lane: us
    conversation: {{type: {TYPE}, externalId: "moved-{{{{ event.thread }}}}", subject: "{{{{ event.text }}}}"}}
  - name: of-emea
    source: hook-emea
    conversation: {{type: {TYPE}, externalId: "emea-{{{{ event.thread }}}}", subject: "{{{{ event.text }}}}"}}
  - name: of-us
    source: hook-us
    conversation: {{type: {TYPE}, externalId: "us-{{{{ event.thread }}}}", subject: "{{{{ event.text }}}}"}}
"""


def standing(sandbox: Sandbox) -> set[str]:
    return {str(row["externalId"]) for row in sandbox.store.list_page({"limit": "1000"})}


@pytest.fixture
def two(short_tmp: Path) -> Iterator[Laned]:
    with laned(short_tmp, "emea", "us") as relay:
        relay.configure(rest=RULES)
        relay.begin()
        yield relay


def test_each_event_reaches_its_own_tenant(two: Laned) -> None:
    for number in range(1, 6):
        assert two.send("hook-emea", number).status_code == 202
        assert two.send("hook-us", number).status_code == 202
    assert two.send("hook-emea", 9, text="this is for us").status_code == 202
    assert two.send("hook-emea", 9, text="this is for us").json()["status"] == "duplicate"
    wait_until(lambda: two.books("us").get("delivered") == 6 and two.books("emea").get("delivered") == 5, 30)
    assert standing(two.sandboxes["emea"]) == {f"emea-t{number}" for number in range(1, 6)}
    assert standing(two.sandboxes["us"]) == {*(f"us-t{number}" for number in range(1, 6)), "moved-t9"}

    both = two.api("stats")
    assert both["sources"]["hook-emea"]["delivered"] == 6 and both["balanced"]
    assert both["lanes"]["us"]["sources"]["hook-emea"]["delivered"] == 1
    assert two.api("stats?lane=us")["sources"]["hook-emea"]["delivered"] == 1
    assert two.api("stats?lane=nobody") == 404
    newest = two.api("events?limit=3")
    assert newest["events"][0]["lane"] == "us"
    seen = [row["id"] for row in newest["events"]]
    while newest["next"]:
        newest = two.api(f"events?limit=3&after={newest['next']}")
        seen += [row["id"] for row in newest["events"]]
    assert len(seen) == len(set(seen)) == 11
    text = two.http.get(f"{two.url}/metrics").text
    assert 'relay_events_total{lane="us",source="hook-emea",state="delivered"} 1' in text
    assert 'relay_delivery_state{lane="emea",state="open"} 1' in text
    assert text.count("# TYPE relay_events_total counter") == 1

    page = two.page("/console")
    assert 'href="/console/lanes/emea"' in page and 'href="/console/lanes/us"' in page
    page = two.page("/console/lanes/us")
    assert (
        "Lane us" in page
        and 'href="/console/lanes/us/events"' in page
        and 'href="/console/events"' not in page
    )
    assert "/console/static/console.css" in page and 'action="/console/lanes/us/pause"' in page
    assert "moved-t9" in two.page("/console/lanes/us/events")
    assert "moved-t9" not in two.page("/console/lanes/emea/events")
    assert two.page("/console/dead") == two.page("/console/lanes/emea/dead"), "the first lane's"

    told = two.command("stats")
    assert told.returncode == 0 and "lane emea: open" in told.stdout and "lane us: open" in told.stdout
    traced = two.command("trace", "moved-t9")
    assert traced.returncode == 0 and "lane us" in traced.stdout
    assert two.command("trace", "moved-t9", "--lane", "emea").returncode == 1
    unknown = two.command("events", "--lane", "uss")
    assert unknown.returncode == 2 and "no lane is called 'uss'; did you mean 'us'?" in unknown.stderr
    vague = two.command("dead", "replay", "--all", "--yes")
    assert vague.returncode == 2 and "--lane (emea, us)" in vague.stderr


def test_what_names_no_lane_is_asked_of_all_or_of_the_installation(two: Laned) -> None:
    """Nothing that only looks, and is no lane's alone, wants one named."""
    assert two.http.post(f"{two.url}/hooks/hook-us", json={}).status_code == 401
    assert two.command("pause", "--lane", "us").returncode == 0
    for command, code, said in (
        (("doctor",), 1, "us: redis history"),
        (("stats",), 0, "lane us: paused"),
        (("events",), 1, ""),
        (("dead", "list"), 0, ""),
        (("companies", "missing"), 0, ""),
        (("audit",), 0, "pause"),
        (("rejected",), 0, "hook-us"),
        (("drop", "--list"), 0, ""),
        (("alerts",), 0, "nobody is told"),
    ):
        done = two.command(*command)
        assert done.returncode == code and said in done.stdout, (command, done.stdout, done.stderr)
        assert "name one" not in done.stderr and "Traceback" not in done.stderr


def test_a_lane_that_is_another_relay_s_is_told_and_holds_no_other(short_tmp: Path) -> None:
    with laned(short_tmp, "emea", "us") as relay:
        us = relay.outbox("us")
        Ownership(us, "https://api.elsewhere.example", lambda: "their token").look(claim=True)
        us.record([entry(1)])
        relay.begin()
        assert relay.send("hook-emea", 1).status_code == 202
        assert relay.send("hook-us", 1).status_code == 503
        wait_until(lambda: relay.books("emea") == {"accepted": 1, "delivered": 1}, 20)
        said = "the keys relay:{us}: in this Redis belong to the relay of https://api.elsewhere.example"
        ready = relay.http.get(f"{relay.url}/readyz").json()
        assert ready["ready"] and ready["lanes"]["emea"] == "" and said in ready["lanes"]["us"]
        wait_until(lambda: said in " ".join(relay.api("stats")["warnings"]), 10)
        checks = json.loads(relay.command("doctor", "--json").stdout)["checks"]
        assert [check["check"] for check in checks if said in check["found"]] == ["us: lane"]
        # Whoever it is who is refused, the way out is to be read there.
        assert "relay adopt" in relay.command("stats").stdout


def test_a_redis_that_hangs_makes_nobody_wait_for_each_lane(two: Laned) -> None:
    """Its lanes lie behind one connection: where one of them cannot be asked, the others cannot."""
    server = int(two.redis.info("server")["process_id"])
    headers = {"authorization": f"Bearer {two.environ['RELAY_OPERATOR_TOKEN']}"}
    os.kill(server, signal.SIGSTOP)
    try:
        for path in ("/readyz", "/metrics", "/api/v1/stats", "/api/v1/events", "/console/lanes"):
            began = time.monotonic()
            assert two.http.get(f"{two.url}{path}", headers=headers).status_code in (200, 503)
            assert time.monotonic() - began < 3.5, path
    finally:
        os.kill(server, signal.SIGCONT)


def test_a_lane_is_held_by_itself_and_its_dead_letters_are_its_own(two: Laned) -> None:
    assert two.command("pause", "--lane", "us").stdout.startswith("delivery of lane us is held")
    assert two.send("hook-emea", 1).status_code == two.send("hook-us", 1).status_code == 202
    wait_until(lambda: two.books("emea").get("delivered") == 1, 20)
    assert two.books("us") == {"accepted": 1, "pending": 1}
    assert two.api("stats")["delivery"]["lanes"] == {"emea": "open", "us": "paused"}
    two.sandboxes["us"].faults.all.append(
        Fault.read({"operation": "upsert", "refuse": "us-t1$", "message": "no such subject"})
    )
    assert two.api("resume?lane=us", "POST", json={})["state"] == "open"
    wait_until(lambda: two.books("us").get("dead") == 1, 20)

    found = json.loads(two.command("dead", "list", "--json").stdout)
    assert [item["lane"] for item in found["items"]] == ["us"] and found["groups"][0]["lanes"] == ["us"]
    [letter] = two.outbox("us").dead.ids()
    wait_until(lambda: two.redis.exists(f"rq:job:us-{letter}"), 10)
    assert two.command("dead", "list", "--lane", "emea").stdout.startswith("no dead letters")
    assert two.command("dead", "show", letter).returncode == 0, "the lane that has it is found"
    two.sandboxes["us"].faults.all.clear()
    assert two.command("dead", "replay", letter).returncode == 0
    wait_until(lambda: two.books("us").get("delivered") == 1, 20)
    wait_until(lambda: not two.redis.exists(f"rq:job:us-{letter}"), 10)
    assert two.api("audit")["lines"]


def took_s(relay: Laned, source: str, first: int, count: int) -> list[float]:
    """From the answer to the delivery, one event after the other."""
    lane = source.removeprefix("hook-")
    took = []
    for number in range(first, first + count):
        before = relay.sandboxes[lane].call_count
        began = time.monotonic()
        assert relay.send(source, number).status_code == 202
        wait_until(lambda seen=before: relay.sandboxes[lane].call_count > seen, 20)  # type: ignore[misc]
        took.append(time.monotonic() - began)
    return took


def test_a_slow_a_throttled_and_a_refused_lane_hold_no_other(short_tmp: Path) -> None:
    """One flush worker, four lanes. Alone, and while the three others have work that does not get through."""
    names = ("fine", "slow", "throttled", "refused")
    with laned(short_tmp, *names) as relay:
        relay.begin()
        took_s(relay, "hook-fine", 1, 3)
        alone = took_s(relay, "hook-fine", 10, 15)
        faults = {
            "slow": {"operation": "upsert", "latency_ms": 6000},
            "throttled": {"operation": "upsert", "status": 429, "retry_after": 1},
            "refused": {"operation": "*", "status": 401},
        }
        for name, fault in faults.items():
            relay.sandboxes[name].faults.all.append(Fault.read(fault))
            for number in range(30):
                assert relay.send(f"hook-{name}", number).status_code == 202
        wait_until(lambda: relay.sandboxes["slow"].call_count and relay.sandboxes["refused"].call_count, 20)
        beside = took_s(relay, "hook-fine", 100, 15)
        print("alone", statistics.median(alone), max(alone), "beside", statistics.median(beside), max(beside))
        assert statistics.median(beside) < 2.5 * statistics.median(alone) + 0.05
        assert max(beside) < 3, "nobody waited for the slow one's call"
        assert "delivered" not in relay.books("refused") and "delivered" not in relay.books("throttled")
        stats = relay.api("stats")
        assert stats["delivery"]["lanes"]["fine"] == "open"
        assert stats["delivery"]["lanes"]["refused"] == stats["delivery"]["state"] == "blocked"
        for sandbox in relay.sandboxes.values():
            sandbox.faults.all.clear()
        assert relay.command("resume").returncode == 0
        for name in names[1:]:
            wait_until(lambda lane=name: relay.books(lane).get("delivered") == 30, 30)  # type: ignore[misc]
