"""The reply fixtures of other projects, read from checkouts of them: what their own tests expect of a text.

The checkouts lie in one folder, each under its repository's name. Nothing of them is part of this project.
"""

from __future__ import annotations

import ast
import email
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ORIGINALS = (
    "Original Message",
    "Reply Message",
    "Ursprüngliche Nachricht",
    "Antwort Nachricht",
    "Oprindelig meddelelse",
)
_FIRST_OF_CRISP = re.compile(
    r'test\.equal\((COMMON_FIRST_FRAGMENT|"(?:[^"\\]|\\.)*"), (?:fragments\[0\]|email\.getVisible|text|reply\.fragments\[0\])'
)
_COFFEE = re.compile(
    r'(?P<name>\w+)\s*=\s*"""(?P<text>.*?)"""|extractFromPlain\((?P<given>\w+)\)\)\.to\.equal\('
    r"(?:(?P<by>\w+)|'(?P<quoted>(?:[^'\\]|\\.)*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\")\)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Case:
    suite: str
    text: str
    visible: str
    html: str = ""


def peers_cases(folder: Path) -> list[Case]:
    """Every text of the suites in `folder`, once for each expectation; a checkout that is missing adds none."""
    found: list[Case] = []
    for suite, read in _SUITES.items():
        root = folder / suite
        if root.is_dir():
            found.extend(Case(suite, text, visible) for text, visible in read(root))
    return found


def given_cases(folder: Path) -> dict[str, list[Case]]:
    """The sets `language`, `wrapped`, `html` and `whole` of a folder of JSON files."""
    return {
        file.stem: [
            Case(file.stem, row["text"], row["visible"], row.get("html", ""))
            for row in json.loads(file.read_text(encoding="utf-8"))
        ]
        for file in sorted(folder.glob("*.json"))
    }


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _email_reply_trimmer(root: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((root / "test/emails").glob("*.txt")):
        yield _read(file), _read(root / "test/trimmed" / file.name)


def _unquotemail(root: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((root / "tests/samples").rglob("*.txt")):
        expected = root / "tests/expecteds" / file.name
        if expected.exists():
            yield _read(file), _read(expected)


def _talon(root: Path) -> Iterator[tuple[str, str]]:
    """`eq_(wanted, quotations.extract_from_plain(text))`, where both are literals or names of literals."""
    tree = ast.parse(_read(root / "tests/text_quotations_test.py"))
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            yield from _comparisons(function)
    for words in _ORIGINALS:
        yield f"Test reply\n\n-----{words}-----\n\nTest", "Test reply"
    for file in sorted((root / "tests/fixtures/standard_replies").glob("*.eml")):
        message = email.message_from_bytes(file.read_bytes())
        plain = next(part for part in message.walk() if part.get_content_type() == "text/plain")
        content = plain.get_payload(decode=True)
        wanted = file.with_name(f"{file.stem}_reply_text")
        if isinstance(content, bytes):
            yield content.decode(), _read(wanted) if wanted.exists() else "Hello"


def _comparisons(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    names: dict[str, ast.expr] = {}

    def text_of(node: ast.expr) -> str | None:
        node = names.get(node.id, node) if isinstance(node, ast.Name) else node
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

    def argument_of(node: ast.expr) -> str | None:
        node = names.get(node.id, node) if isinstance(node, ast.Name) else node
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "extract_from_plain":
            return text_of(node.args[0])
        return None

    for statement in function.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            names[statement.targets[0].id] = statement.value
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "eq_":
            first, second = call.args[:2]
            for wanted, given in (
                (text_of(first), argument_of(second)),
                (text_of(second), argument_of(first)),
            ):
                if wanted is not None and given is not None:
                    yield given, wanted


def _planer(root: Path) -> Iterator[tuple[str, str]]:
    texts: dict[str, str] = {}
    for found in _COFFEE.finditer(_read(root / "test/planerText.test.coffee")):
        if found["name"]:
            texts[found["name"]] = _without_indent(found["text"])
            continue
        wanted = texts.get(found["by"]) if found["by"] else found["quoted"] or found["double"]
        if found["given"] in texts and wanted is not None:
            yield texts[found["given"]], wanted.replace("\\n", "\n")


def _without_indent(text: str) -> str:
    first, *others = text.split("\n")
    indent = min((len(line) - len(line.lstrip()) for line in others if line.strip()), default=0)
    return "\n".join([first, *(line[indent:] for line in others)])


def _quotequail(root: Path) -> Iterator[tuple[str, str]]:
    tree = ast.parse(_read(root / "tests/test_quote.py"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    decorator = function.decorator_list[0]
    assert isinstance(decorator, ast.Call)
    for text, _, parts in ast.literal_eval(decorator.args[1]):
        yield text, "\n".join(part for shown, part in parts if shown)


def _crisp(root: Path) -> Iterator[tuple[str, str]]:
    source = _read(root / "test/test.js")
    common = source.partition("COMMON_FIRST_FRAGMENT = '")[2].partition("';")[0].replace("\\n\\\n", "\n")
    for function in source.split("export function ")[1:]:
        name = re.search(r'get_email\("(\w+)"\)', function)
        if name is None:
            continue
        text = _read(root / "test/fixtures" / f"{name[1]}.txt")
        wanted = _FIRST_OF_CRISP.search(function)
        if wanted:
            yield text, common if wanted[1].startswith("COMMON") else ast.literal_eval(wanted[1])
        elif "test.equal(1, fragments.length" in function:
            yield text, text


_SUITES: dict[str, Callable[[Path], Iterator[tuple[str, str]]]] = {
    "email_reply_trimmer": _email_reply_trimmer,
    "unquotemail": _unquotemail,
    "talon": _talon,
    "planer": _planer,
    "quotequail": _quotequail,
    "email-reply-parser": _crisp,
}
