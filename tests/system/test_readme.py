"""If the README says it, this reads the README."""

from __future__ import annotations

import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from relay.cli import COMMANDS
from relay.settings import Settings
from relay.sources.registry import ADAPTERS
from tests.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def part(name: str) -> str:
    found = re.search(rf"<!-- {name}: begin -->(.*?)<!-- {name}: end -->", README, re.S)
    assert found, name
    return found.group(1)


def test_every_source_has_its_row_and_every_row_its_source() -> None:
    named: list[str] = []
    for row in part("sources").strip().splitlines()[2:]:
        named += re.findall(r"`([a-z_]+)`", row.split("|")[1])
    assert sorted(named) == sorted(ADAPTERS)


def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    named = set(re.findall(r"`RELAY_([A-Z_]+)`", part("settings")))
    assert named == {field.name.upper() for field in fields(Settings)}


def test_every_metric_of_the_table_is_in_the_code_and_the_other_way_round() -> None:
    named = set(re.findall(r"`(relay_[a-z_]+)`", part("metrics")))
    code = ""
    for folder in ("relay", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            code += path.read_text(encoding="utf-8")
    for metric in named:
        assert metric in code or metric.removesuffix("_total") in code, metric
    exported = set(re.findall(r"# TYPE (relay_[a-z_]+)", code))
    exported |= set(re.findall(r'(?:add|observe)\(\s*"(relay_[a-z_]+)"', code))
    assert exported <= named, exported - named


def test_every_command_is_named() -> None:
    for command in COMMANDS:
        assert f"relay {command}" in README or f"`{command}`" in README or f" / `{command}`" in README, (
            command
        )


@pytest.mark.parametrize("which", ["up", "test"])
def test_the_two_commands_stand_where_ci_reads_them(which: str) -> None:
    found = re.search(rf"<!-- command: {which} -->\n```sh\n(.+)\n```", README)
    assert found and found.group(1).startswith("python3 -m venv .venv && ")
    if which == "test":
        assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_changelog_has_the_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert version and f"## [{version.group(1)}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_nothing_names_a_registry_or_a_machine() -> None:
    """Locks are by hash; where packages come from is each machine's own business."""
    # In pieces, so that this file does not name them either.
    names = "|".join(
        "".join(pieces) for pieces in (("py", "pi"), ("python", "hosted"), ("npm", "js"), ("deb", "ian"))
    )
    hosts = re.compile(rf"({names})\.(org|com)|/[w]ork/|find-{'links'}")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not hosts.search(text), name
