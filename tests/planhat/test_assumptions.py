"""The list of assumptions about Planhat is whole, and stands in the docs."""

from __future__ import annotations

import ast

import pytest

from tests.contract.assumptions import ASSUMPTIONS, BEGIN, END, PAGE, tables
from tests.places import ROOT


def asked() -> dict[str, str]:
    """Test -> docstring, of the whole contract suite."""
    found: dict[str, str] = {}
    for file in sorted((ROOT / "tests" / "contract").glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name.removeprefix("test_")] = ast.get_docstring(node) or ""
    return found


def test_every_assumption_that_is_asked_is_listed_and_the_other_way_round() -> None:
    names = [one.test for one in ASSUMPTIONS]
    assert len(names) == len(set(names))
    assert set(names) == set(asked())


def test_each_says_what_hangs_on_it() -> None:
    assert [name for name, words in asked().items() if not words] == []


def test_the_page_has_the_list() -> None:
    held = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip()
    assert held == tables(), "python -m tests.contract.assumptions writes it"


@pytest.mark.parametrize(
    "setting",
    [
        "planhat.descriptions",
        "planhat.thread_date",
        "planhat.resolve_people",
        "planhat.activity_tags",
        "planhat.undefined_fields",
        "people: {create",
    ],
)
def test_each_setting_that_goes_the_other_way_is_named_by_an_assumption(setting: str) -> None:
    assert any(setting in words for words in [*asked().values(), tables()])
