"""A YAML file as plain values, each with its line; `${NAME}`s filled in.

YAML 1.2's plain words: only `true` and `false` are booleans (`no` is a country), dates stay texts. Keys given twice,
and anchors that blow up, are mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import yaml

from relay.errors import Mistake
from relay.secret import Secret, SecretFile, SecretUnreadable, Strength

Path = tuple[str | int, ...]
MAX_VALUES = 200_000
MAX_FILE_BYTES = 8_000_000

#: Until it is decided whether a missing variable is a mistake.
_MISSING = "missing"

_VARIABLE = re.compile(
    r"\$\$\{|\$\{file:(?P<file>[^}]+)\}|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
    r"|\$\{(?!\{)(?P<odd>[^}]*)\}"
)


class FileText(str):
    """A text that came from `${file:...}`; `reader` gives today's, and raises SecretUnreadable."""

    reader: Callable[[], str]


class Absent(str):
    """Stands for a text whose variable is missing: already reported, so nobody complains of it again."""


class _Loader(yaml.SafeLoader):
    """Safe, and with its own table of plain words."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])


@dataclass(slots=True)
class YamlSource:
    """A file being read. `lines` and `blocks` are by path; a block is a text whose content starts a line later."""

    file: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    blocks: set[Path] = field(default_factory=set)
    mistakes: list[Mistake] = field(default_factory=list)
    #: Paths whose variable or file is missing, and whether something stands in for it.
    unset: dict[Path, bool] = field(default_factory=dict)
    #: How strong secrets must be, and those that were read.
    strength: Strength = field(default_factory=Strength)
    secrets: list[Secret] = field(default_factory=list)
    #: `http://` to another machine is let through: RELAY_PLANHAT_PLAIN_HTTP.
    plain_http: bool = False
    #: What the environment says of Planhat: its address, and whether it gives a token.
    planhat_url: str = ""
    has_token: bool = True

    def at(self, path: Path) -> Any:
        """Return what stands at `path`, None where nothing does."""
        value = self.value
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def line(self, path: Path) -> int | None:
        """Return the line of `path`, or of what is nearest above it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def where(self, path: Path) -> str:
        """Return `path` in words: "rule 'slack-thread', conversation.type"."""
        if path and path[0] == "rules" and len(path) > 1 and isinstance(path[1], int):
            name = ""
            rules = self.value.get("rules") if isinstance(self.value, dict) else None
            if isinstance(rules, list) and path[1] < len(rules) and isinstance(rules[path[1]], dict):
                name = rules[path[1]].get("name")
            rule = f"rule {name!r}" if isinstance(name, str) and name else f"rule {path[1] + 1}"
            return f"{rule}, {dotted(path[2:])}" if len(path) > 2 else rule
        return dotted(path)

    def add(self, path: Path, message: str, *, severity: str = "error", offset: int | None = None) -> None:
        """Add a mistake, once. `offset`: how many lines within the text at `path` the mistake is."""
        line = self.line(path)
        if line is not None and offset is not None:
            line += offset + (path in self.blocks)
        mistake = Mistake(message, self.file, line, self.where(path), severity)
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)


def dotted(path: Path) -> str:
    """Return ("rules", 0, "when") as "rules[0].when"."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def read_yaml(text: str, file: str) -> YamlSource:
    """Return `text` as values with lines. What is wrong with the YAML itself stands in `mistakes`."""
    source = YamlSource(file)
    if len(text) > MAX_FILE_BYTES:
        source.mistakes.append(Mistake(f"larger than {MAX_FILE_BYTES:,} bytes", file))
        return source
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        if "\\t" in str(problem):
            problem = "a tab where YAML wants spaces"
        line = mark.line + 1 if mark is not None else None
        source.mistakes.append(Mistake(f"not YAML: {problem}", file, line))
        return source
    except (RecursionError, ValueError):
        source.mistakes.append(Mistake("not YAML: nested too deep or not text", file))
        return source
    if node is None:
        return source
    builder = _Builder(source)
    try:
        source.value = builder.build(node, ())
        for path, message in builder.complaints:  # now that rules can be called by their names
            source.add(path, message)
    except _TooMuch:
        source.mistakes.append(Mistake(f"more than {MAX_VALUES:,} values, or an alias inside itself", file))
        source.value = None
    return source


class _TooMuch(Exception):
    pass


class _Builder:
    def __init__(self, source: YamlSource) -> None:
        self.source = source
        self.loader = _Loader("")
        self.values = 0
        self.complaints: list[tuple[Path, str]] = []

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.values += 1
        if self.values > MAX_VALUES or len(path) > 60:
            raise _TooMuch
        self.source.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, n)) for n, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
            self.source.blocks.add(path)
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self.complaints.append((path, f"the tag {node.tag} is not known here; leave it out"))
            return None
        return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any] | Absent:
        built: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, child in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                parts = child.value if isinstance(child, yaml.SequenceNode) else [child]
                for part in parts:
                    found = self.build(part, path)
                    if isinstance(found, dict):
                        merged = {**found, **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.complaints.append(
                    (path, 'a key should be a plain word; a template needs quotes: "{{ ... }}"')
                )
                return Absent("")
            key = str(key_node.value)
            at = (*path, key)
            if key in built:
                first = self.source.lines.get(at)
                line = key_node.start_mark.line + 1
                self.source.lines[at] = line
                where = f"on line {first}" if first != line else "before it"
                self.complaints.append((at, f"{key!r} is given twice (first {where}); keep one of them"))
                continue
            self.source.lines[at] = key_node.start_mark.line + 1
            if isinstance(child, yaml.ScalarNode) and child.style not in ("|", ">"):
                self.source.lines[at] = child.start_mark.line + 1
            built[key] = self.build(child, at)
        return {**merged, **built}


def fill_in(source: YamlSource, environ: Mapping[str, str], *, secrets: bool = True) -> None:
    """Replaces `${NAME}`, `${NAME:-default}` and `${file:/path}` in every text of `source`; `$${` is a plain `${`.
    White space around a variable's value is left out and warned of. A missing variable, or an unreadable file, is a
    mistake that names it, unless `secrets` is false. Where a secret is missing a made-up one stands in for it (`unset`), so that
    the rest of the file can be looked at in the same run."""
    source.value = _fill(source.value, (), source, environ)
    if not secrets:
        source.mistakes = [one for one in source.mistakes if one.severity != _MISSING]
    else:
        source.mistakes = [
            replace(one, severity="error") if one.severity == _MISSING else one for one in source.mistakes
        ]


def _stand_in(path: Path) -> str:
    """Something of a secret's shape, never used; "" where no made-up value would do (a key, an address)."""
    names = {step for step in path if isinstance(step, str)}
    made = blake2b(dotted(path).encode(), digest_size=16).hexdigest()
    if "basic_auth" in names:
        return f"relay:{made}"
    return made if names & {"secrets", "bearer", "values", "token"} else ""


def _fill(value: Any, path: Path, source: YamlSource, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(child, (*path, key), source, environ) for key, child in value.items()}
    if isinstance(value, list):
        return [_fill(child, (*path, n), source, environ) for n, child in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    pieces: list[str | SecretFile] = []
    missing = False
    end = 0
    for found in _VARIABLE.finditer(value):
        pieces.append(value[end : found.start()])
        end = found.end()
        if found[0] == "$${":
            piece: str | SecretFile | None = "${"
        elif found["file"] is not None:
            piece = _file(found["file"].strip(), path, source)
        elif found["name"] is not None:
            piece = _variable(found["name"], found["default"], path, source, environ)
        else:
            source.add(path, "${...} takes NAME, NAME:-default or file:/path; write $${ for a plain ${")
            return Absent("")
        missing = missing or piece is None
        pieces.append(piece or "")
    pieces.append(value[end:])
    if missing:
        stand_in = _stand_in(path)
        source.unset[path] = bool(stand_in)
        return stand_in or Absent("")
    if not any(isinstance(piece, SecretFile) for piece in pieces):
        return "".join(str(piece) for piece in pieces)

    def read() -> str:
        return "".join(piece() if isinstance(piece, SecretFile) else piece for piece in pieces)

    text = FileText(read())
    text.reader = read
    return text


def _file(name: str, path: Path, source: YamlSource) -> SecretFile | None:
    """What `${file:...}` stands for, read anew at each use; None, and said so, where it cannot be read now."""
    secret = SecretFile(name)
    try:
        secret()
    except SecretUnreadable as error:
        source.add(path, str(error), severity=_MISSING)
        return None
    return secret


def _variable(
    name: str, default: str | None, path: Path, source: YamlSource, environ: Mapping[str, str]
) -> str | None:
    """What `${NAME}` stands for, without white space at its ends; None, and said so, where nothing is set."""
    given = environ.get(name, "")
    held = given.strip()
    if not held and default is None:
        source.add(
            path,
            f"the environment variable {name} is {'empty' if given else 'not set'}; "
            f"set it, or give a default as ${{{name}:-...}}",
            severity=_MISSING,
        )
        return None
    if held != given:
        # A Secret that was made of a file keeps the file's last newline, and every signature would be wrong.
        source.add(
            path,
            f"the environment variable {name} begins or ends with white space, which was left out; write it without",
            severity="warning",
        )
    return held or default or ""
