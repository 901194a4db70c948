"""Lanes that the config no longer names: what waits there is told of by whoever looks, with what to do, and nothing of it is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relay.operations.left_lanes import left_lanes
from relay.outbox.known_lanes import known_lanes
from relay.planhat.sandbox import Fault
from tests.laned import TYPE, Laned, laned, wait_until

pytestmark = pytest.mark.process


def told(relay: Laned) -> str:
    """What `relay check` warns of, which ends well."""
    done = relay.command("check")
    assert done.returncode == 0, done.stderr
    return done.stderr


def doctor(relay: Laned) -> dict[str, object]:
    done = relay.command("doctor", "--json")
    assert done.stdout, done.stderr
    checks = json.loads(done.stdout)["checks"]
    [one] = [check for check in checks if check["check"] == "lanes"]
    return dict(one)


def test_what_waits_in_main_is_told_when_the_file_gets_lanes(short_tmp: Path) -> None:
    with laned(short_tmp, "main", "us") as relay:
        file = short_tmp / "relay.yaml"
        with_lanes = file.read_text()
        alone = with_lanes.partition("lanes:")[0] + (
            f"sources: {{hook-main: {{adapter: generic, bearer: [token], type: {TYPE}}}}}\n"
            "companies: [{default: extid-acme}]\n"
        )
        file.write_text(alone.replace("planhat: {", f"planhat: {{types: [{TYPE}], "))
        relay.begin()
        assert relay.api("pause", "POST", json={})["state"] == "paused"
        for number in range(3):
            assert relay.send("hook-main", number).status_code == 202
        # Before it is rolled out: the new file is checked against what runs.
        file.write_text(with_lanes.replace("  main: {", "  emea: {").replace("lane: main", "lane: emea"))
        said = told(relay)
        assert "warning: " in said and "the config has no lane main, and 3 conversations wait there" in said
        assert "call the tenant that was there before the lanes `main`" in said
        found = doctor(relay)
        assert not found["ok"] and "3 conversations wait" in str(found["found"]), found
        wait_until(lambda: any("no lane main" in text for text in relay.api("stats")["warnings"]), 20)
        assert sum("no lane main" in text for text in relay.api("stats")["warnings"]) == 1, (
            "once, not of each lane"
        )
        assert "The config has no lane main, and 3 conversations wait there" in relay.page("/console")
        # What it says helps.
        file.write_text(with_lanes)
        wait_until(lambda: "main" in relay.api("stats")["lanes"], 20)
        assert relay.api("resume?lane=main", "POST", json={})["state"] == "open"
        wait_until(lambda: relay.books("main").get("delivered") == 3, 30)
        assert "no lane" not in told(relay)


def test_a_lane_that_was_taken_out_is_named_while_it_holds_letters(short_tmp: Path) -> None:
    with laned(short_tmp, "emea", "us") as relay:
        relay.begin()
        relay.sandboxes["us"].faults.all.append(
            Fault.read({"operation": "upsert", "refuse": ".", "message": "no"})
        )
        assert relay.send("hook-us", 1).status_code == 202
        wait_until(lambda: relay.books("us").get("dead") == 1, 30)
        file = short_tmp / "relay.yaml"
        both = file.read_text()
        file.write_text("".join(line for line in both.splitlines(True) if "us: {" not in line))
        wait_until(lambda: known_lanes(relay.outbox("main")) == {"main", "emea", "us"}, 20)
        said = told(relay)
        assert "no lane us, and 1 dead letter lies there" in said
        assert "`relay dead list --lane us` shows its letters" in said
        assert "refused" in relay.command("dead", "list", "--lane", "us").stdout
        assert relay.command("dead", "discard", "--all", "--yes", "--lane", "us").returncode == 0
        assert left_lanes(relay.outbox("main"), ("emea",)) == []
