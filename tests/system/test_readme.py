"""If README or docs/ say it, this reads them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from bench.chaos.states import States
from relay.bounds import Bounds
from relay.cli import COMMANDS
from relay.event import KINDS, Event
from relay.outbox.items import STATES
from relay.rules.language.filters import FILTERS, KEPT_FILTERS
from relay.settings import Settings
from relay.sources.read.pick import FIELD_KEYS
from relay.sources.registry import ADAPTERS
from tests.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.glob("docs/**/*.md")
}
PAGES |= {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
ALL = "\n".join(PAGES.values())


def part(name: str) -> str:
    found = re.search(rf"<!-- {name}: begin -->(.*?)<!-- {name}: end -->", ALL, re.S)
    assert found, name
    return found.group(1)


def test_every_source_has_its_row_and_every_row_its_source() -> None:
    named: list[str] = []
    for row in part("sources").strip().splitlines()[2:]:
        named += re.findall(r"`([a-z_]+)`", row.split("|")[1])
    assert sorted(named) == sorted(ADAPTERS)


def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    named = set(re.findall(r"`RELAY_([A-Z_]+)`", part("settings")))
    # Found out, not set; and a table of their own.
    assert named == {field.name.upper() for field in fields(Settings)} - {"PLANHAT_URL_GIVEN", "BOUNDS"}
    bounds = set(re.findall(r"`RELAY_([A-Z_]+)`", part("bounds")))
    assert bounds == {field.name.upper() for field in fields(Bounds)}


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


@pytest.mark.process
def test_the_table_of_config_keys_is_the_schemas() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "config_table.py", "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_key_of_an_event_and_every_filter_is_described() -> None:
    event = part("event")
    for key, value in Event("", "", "", "", "", 0, "").view().items():
        assert f"`{key}" in event, key
        for inner in value if isinstance(value, dict) else ():
            assert f"`{key}.{inner}`" in event or f"`.{inner}`" in event, f"{key}.{inner}"
    for kind in KINDS:
        assert f"`{kind}`" in event, kind
    described = part("filters")
    for name in FILTERS:
        assert re.search(rf"`{name}[`(]", described), name
    for name in [*KEPT_FILTERS, *FIELD_KEYS]:
        assert f"`{name}`" in PAGES["docs/config.md"], name


def test_each_statement_is_held_against_the_truth() -> None:
    table = part("statements")
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    for state in STATES:
        assert f"`{state}`" in table or state in ("pending", "filtered", "discarded"), state
    for row in rows:
        said, _, _, held = (cell.strip() for cell in row.strip("|").split("|"))
        files = re.findall(r"`(tests/[\w/]+\.py)`", held)
        assert files or "chaos" in held, said
        for file in files:
            assert (ROOT / file).is_file(), file
    named = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"chaos \((.+?)\)", table))))
    assert named <= {name for name in vars(States) if not name.startswith("_")}, named


def test_every_command_is_named() -> None:
    for command in COMMANDS:
        assert f"relay {command}" in ALL or f"`{command}`" in ALL, command


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.encode()) <= 12 * 1024


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_link_leads_somewhere(page: str) -> None:
    text = PAGES[page]
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        place = (ROOT / page).parent / name if name else ROOT / page
        assert place.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in _anchors(place.read_text(encoding="utf-8")), f"{page}: {target}"


def _anchors(text: str) -> set[str]:
    """The anchors that a reader's browser makes of headings."""
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("which", ["up", "test"])
def test_the_two_commands_stand_where_ci_reads_them(which: str) -> None:
    found = re.search(rf"<!-- command: {which} -->\n```sh\n(.+)\n```", README)
    assert found and found.group(1).startswith("python3 -m venv .venv && ")
    if which == "test":
        assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_changelog_has_the_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert version and f"## [{version.group(1)}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.process
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
