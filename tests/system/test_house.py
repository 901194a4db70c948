"""The house: one name, one meaning. A public name of a module stands in no other module."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.places import ROOT

#: The sandbox is a program of its own. Keys are always named with their module; filters have the names that templates use.
APART = ("relay/planhat/sandbox/", "relay/outbox/keys.py", "relay/rules/language/filters.py")
#: What starts a program, what a module of commands or of pages offers, and the words of a form's place: called so everywhere.
SAME_MEANING = {"main", "COMMANDS", "routes"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for root in ("relay", "workers"):
        for path in sorted((ROOT / root).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(APART):
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def public_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        names: list[str] = []
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            # A command has the name that is typed.
            names = [] if any(_is_command(one) for one in node.decorator_list) else [node.name]
        elif isinstance(node, ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        yield from (name for name in names if not name.startswith("_"))


def _is_command(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr in ("command", "group")


def test_no_public_name_has_two_meanings() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module, tree in modules():
        for name in public_names(tree):
            places[name].append(module)
    twice = {name: found for name, found in places.items() if len(found) > 1 and name not in SAME_MEANING}
    assert not twice, "\n".join(f"{name}: {', '.join(found)}" for name, found in sorted(twice.items()))


def test_a_command_and_a_private_name_do_not_count() -> None:
    tree = ast.parse("@click.command()\ndef replay(): ...\n_PART = 1\nPART: int = 2\nclass Row: ...\n")
    assert list(public_names(tree)) == ["PART", "Row"]
    assert Path(ROOT / "relay").is_dir()


def test_keep_hold_and_settle_mean_one_thing_each() -> None:
    """`keep` is how long things are kept (the config's word), `hold` that delivery as a whole waits, `settle` that Redis is told
    what became of what was claimed."""
    rooms = {
        "keep": {"relay/config.py"},
        "hold": {"relay/outbox/delivery.py", "workers/pace/pace.py", "workers/flush/job.py"},
        "settle": {"relay/outbox/lane.py", "workers/flush/verdicts.py"},
    }
    wrong = []
    for module, tree in modules():
        if not module.startswith(
            ("relay/outbox", "relay/planhat", "relay/operations", "relay/door", "workers")
        ):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                word = node.name.strip("_")
                if word in rooms and module not in rooms[word]:
                    wrong.append(f"{module}:{node.lineno}: {node.name}")
    assert not wrong, "\n".join(wrong)


#: Words that name a thing, or ask for one, where a docstring is to say what a function does.
NO_VERBS = """
the a an what whether how why who whose which where when those these this every each all one none nothing everything
it its in for as from to with by of after until there two raises
"""


def test_a_public_functions_docstring_begins_with_a_verb() -> None:
    told = [
        f"{module}:{node.lineno} {node.name}: {text.splitlines()[0]}"
        for module, tree in modules()
        for node in _public_functions(tree)
        if (text := ast.get_docstring(node)) and text.split()[0].strip(",.:;").lower() in NO_VERBS.split()
    ]
    assert not told, "\n".join(told)


def _public_functions(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public_functions(node)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("_"):
            continue
        # A property is read as a noun.
        if not any("property" in ast.unparse(one) for one in node.decorator_list):
            yield node
