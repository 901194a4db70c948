"""Where keys are spelt: in `relay/outbox/keys.py` and, behind their prefix, in the scripts. Nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from relay.outbox import keys
from tests.places import ROOT

FOLDERS = ("relay", "workers", "bench")
#: The keys of the docstring's table, with what is filled in left out; and what each begins with.
ROWS = re.findall(
    r"(?m)^    (\S+) +(?:string|list|hash|set|zset) ", re.sub(r"<[\w ]+>", "<>", keys.__doc__ or "")
)
LISTED = {row.replace("<>", "") for row in ROWS}
BEGINNINGS = {row.partition("<>")[0] for row in ROWS}
CONSTANTS = {
    value
    for name, value in vars(keys).items()
    if name.isupper()
    and isinstance(value, str)
    and name not in ("BASE", "LANE", "LOGS", "MAIN", "RQ_TAG", "SEEN")
}
FAMILIES = {row.partition("<>")[0] for row in ROWS if "<>" in row}


_NAME = re.compile(r"[a-z]{3}")


def built() -> set[str]:
    """What each function of `keys` gives, filled with nothing."""
    found = set()
    for name, value in vars(keys).items():
        ours = callable(value) and getattr(value, "__module__", "") == keys.__name__
        if ours and name not in ("lane_prefix", "set_rq_prefix"):
            found.add(value(*[""] * value.__code__.co_argcount))
    return found


def test_the_table_lists_each_key_and_no_other() -> None:
    assert CONSTANTS | built() == LISTED


@pytest.mark.parametrize(
    "script", sorted((ROOT / "relay" / "outbox").glob("*.lua")), ids=lambda path: path.stem
)
def test_each_key_of_a_script_is_listed(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    spelt = set(re.findall(r"(?:\bP|KEYS\[1\]) \.\. '([^']*)'", text))
    assert spelt <= BEGINNINGS, spelt - BEGINNINGS
    # A key may not hide behind a name of its own.
    assert len(re.findall(r"\bP \.\.|KEYS\[1\] \.\.", text)) == len(
        re.findall(r"(?:\bP|KEYS\[1\]) \.\. (?:'[^']*'|ARGV\[(?:at \+ )?1\])", text)
    )


def spellings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts that make a key: what is put behind a prefix, what a small write names, what begins as a key does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _is_prefix(node.left):
            text = _beginning(node.right)
            if _NAME.match(text):
                yield node.lineno, text
        elif isinstance(node, ast.JoinedStr):
            values = node.values
            for before, after in pairwise(values):
                if isinstance(before, ast.FormattedValue) and _is_prefix(before.value):
                    text = _beginning(after)
                    if _NAME.match(text):
                        yield node.lineno, text
            begins = _beginning(node)
            if begins in FAMILIES or begins.startswith("relay:{"):
                yield node.lineno, begins
        elif isinstance(node, ast.Tuple) and len(node.elts) > 1:
            command, key = (_beginning(element) for element in node.elts[:2])
            if command.isupper() and command.isalpha() and (key in CONSTANTS or _family(key)):
                yield node.lineno, key
        elif _beginning(node).startswith("relay:{"):
            yield node.lineno, _beginning(node)  # type: ignore[attr-defined]


def _is_prefix(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("prefix", "_prefix")


def _beginning(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return _beginning(node.values[0]) if node.values else ""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _family(text: str) -> bool:
    return any(text.startswith(family) for family in FAMILIES)


def test_no_key_is_spelt_elsewhere() -> None:
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path != Path(keys.__file__):
                tree = ast.parse(path.read_text(encoding="utf-8"))
                found += [f"{path.relative_to(ROOT)}:{line}: {text!r}" for line, text in spellings(tree)]
    assert not found, "\n".join(found)


def test_a_spelt_key_would_be_found() -> None:
    wrong = (
        "outbox.prefix + 'due:' + name",
        "f'{self._prefix}ledger:{name}'",
        "run_commands(client, prefix, ('HSET', 'processes', who))",
        "client.get('relay:{main}:wake')",
        "client.get(f'event:{event_id}')",
    )
    for code in wrong:
        assert list(spellings(ast.parse(code))), code
    assert not list(spellings(ast.parse("outbox.prefix + keys.due(name)")))
