"""What a part of the config file may be: each shape reads a value (complaining with its place) and gives its own
JSON Schema, so that the check and the schema cannot disagree."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from relay.rules.file.yaml_file import Absent, FileText, Path, YamlSource
from relay.secret import Secret, SecretCheck, SecretFile, anything, given, private_key, public_key
from relay.transit import outgoing_url_problem
from relay.units import DURATION, RATE, SIZE, parse_duration, parse_rate, parse_size

_WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}


def name_of(value: Any) -> str:
    """Return what kind of thing `value` is, in words; never the value itself."""
    return "nothing" if value is None else _WORDS.get(type(value), "a text")


def did_you_mean(word: str, known: Sequence[str], *, always: bool = True) -> str:
    """Return the end of a sentence: "; did you mean x?", else "; known: ...", else nothing."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if always and known and len(known) <= 40 else ""


class _Shape:
    """`read` gives the value as Python wants it, or None after a complaint."""

    description: str = ""

    def read(self, value: Any, path: Path, source: YamlSource) -> Any:
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        raise NotImplementedError

    def described(self) -> dict[str, Any]:
        schema = self.schema()
        return {"description": self.description, **schema} if self.description else schema


@dataclass(slots=True)
class Text(_Shape):
    description: str = ""
    choices: tuple[str, ...] = ()
    pattern: str = ""
    wanted: str = ""
    check: Callable[[str], str | None] | None = None

    def read(self, value: Any, path: Path, source: YamlSource) -> str | None:
        if isinstance(value, Absent):
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            source.add(
                path, f"should be {self.wanted or 'a text'}, not {name_of(value) if value != '' else 'empty'}"
            )
            return None
        if self.choices and value not in self.choices:
            source.add(path, f"{value!r} is not known{did_you_mean(value, self.choices)}")
            return None
        if self.pattern and not re.fullmatch(self.pattern, value):
            source.add(path, f"should be {self.wanted or self.pattern}, not {value!r}")
            return None
        if self.check is not None and (problem := self.check(value)):
            source.add(path, problem)
            return None
        return value

    def schema(self) -> dict[str, Any]:
        if self.choices:
            return {"enum": list(self.choices)}
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"} if self.pattern else {"type": "string"}


@dataclass(slots=True)
class SecretText(_Shape):
    """A text read at each use; the message never quotes it. `kind` names what it must hold against (`Strength`)."""

    description: str = ""
    wanted: str = "a secret"
    kind: Literal["word", "login", "given", "public_key", "private_key", "url", "anything"] = "word"

    def read(self, value: Any, path: Path, source: YamlSource) -> Callable[[], str] | None:
        if isinstance(value, Absent):
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            source.add(path, f"should be {self.wanted}, not {name_of(value)}")
            return None
        if not value.strip():
            source.add(path, f"should be {self.wanted}, not empty: an empty secret protects nothing")
            return None
        if path in source.blocks and not isinstance(value, FileText):
            value = value.rstrip("\n")
        checks: dict[str, SecretCheck] = {
            "word": source.strength.word,
            "login": source.strength.login,
            "given": given,
            "public_key": public_key,
            "private_key": private_key,
            "url": outgoing_url_problem,
            "anything": anything,
        }
        fixed = value
        reader = value.reader if isinstance(value, FileText) else lambda: fixed
        return _made(reader, checks[self.kind], path, source)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(slots=True)
class SecretFileName(_Shape):
    """The name of a file (relative to the config) whose text is read at each use, as a secret's is: what held stays in use
    where it is damaged later."""

    description: str = ""
    check: SecretCheck = anything

    def read(self, value: Any, path: Path, source: YamlSource) -> Callable[[], str] | None:
        if isinstance(value, Absent):
            return None
        if not isinstance(value, str) or not value.strip():
            source.add(path, f"should be a file's name, not {name_of(value)}")
            return None
        return _made(SecretFile(os.path.join(os.path.dirname(source.file), value)), self.check, path, source)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


def _made(read: Callable[[], str], check: SecretCheck, path: Path, source: YamlSource) -> Secret | None:
    """The secret at `path`, None after a complaint."""
    try:
        secret = Secret(source.where(path), read, check)
    except ValueError as error:
        source.add(path, str(error))
        return None
    source.secrets.append(secret)
    return secret


@dataclass(slots=True)
class Whole(_Shape):
    description: str = ""
    least: int = 0
    most: int = 2**53

    def read(self, value: Any, path: Path, source: YamlSource) -> int | None:
        if isinstance(value, Absent):
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            upper = f" to {self.most:,}" if self.most < 2**53 else " or more"
            source.add(path, f"should be a whole number, {self.least:,}{upper}")
            return None
        return value

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "integer", "minimum": self.least}
        if self.most < 2**53:
            schema["maximum"] = self.most
        return schema


@dataclass(slots=True)
class Flag(_Shape):
    description: str = ""

    def read(self, value: Any, path: Path, source: YamlSource) -> bool | None:
        if isinstance(value, Absent):
            return None
        if isinstance(value, str) and value in ("true", "false"):
            return value == "true"
        if not isinstance(value, bool):
            source.add(path, f"should be true or false, not {value!r}")
            return None
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(slots=True)
class Quantity(_Shape):
    """A duration, size or rate with its unit; `least` and `most` in seconds, bytes or a second."""

    kind: str
    description: str = ""
    least: float = 0
    most: float = float("inf")
    bounds: str = ""

    def read(self, value: Any, path: Path, source: YamlSource) -> float | int | None:
        if isinstance(value, Absent):
            return None
        parse = {"duration": parse_duration, "size": parse_size, "rate": parse_rate}[self.kind]
        if isinstance(value, int) and not isinstance(value, bool) and (self.kind == "size" or value == 0):
            value = str(value) if self.kind == "size" else "0s"
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            units = {
                "duration": f"a unit, such as {value}s or {value}m",
                "rate": f"a unit, such as {value}/s",
            }
            source.add(path, f"{value} needs {units.get(self.kind, 'a unit')}")
            return None
        try:
            if not isinstance(value, str):
                raise ValueError(f"should be a {self.kind}, not {name_of(value)}")
            amount = parse(value)
        except ValueError as error:
            given = f", not {value!r}" if isinstance(value, str) else ""
            source.add(path, f"{error}{given}")
            return None
        if not self.least <= amount <= self.most:
            source.add(path, f"{value} is out of bounds; should be {self.bounds}")
            return None
        return amount

    def schema(self) -> dict[str, Any]:
        pattern = {"duration": DURATION, "size": SIZE, "rate": RATE}[self.kind].pattern
        text = {"type": "string", "pattern": f"^(?:{pattern})$"}
        if self.kind == "size":
            return {"anyOf": [{"type": "integer", "minimum": 0}, text]}
        return text


@dataclass(slots=True)
class Many(_Shape):
    item: _Shape
    description: str = ""
    single: bool = False

    def read(self, value: Any, path: Path, source: YamlSource) -> tuple[Any, ...] | None:
        if isinstance(value, Absent):
            return None
        if not isinstance(value, list):
            mapping_fits = isinstance(self.item, TableShape) or not isinstance(value, dict)
            if self.single and value is not None and mapping_fits:
                one = self.item.read(value, path, source)
                return () if one is None else (one,)
            source.add(
                path,
                f"should be a list, not {name_of(value)}: write it in [ ], or each on a line with a dash",
            )
            return None
        read = [self.item.read(child, (*path, n), source) for n, child in enumerate(value)]
        return tuple(child for child in read if child is not None)

    def schema(self) -> dict[str, Any]:
        many = {"type": "array", "items": self.item.described()}
        return {"anyOf": [self.item.schema(), many]} if self.single else many


@dataclass(slots=True)
class Names(_Shape):
    """A mapping whose keys the user chooses."""

    item: _Shape
    description: str = ""
    key_pattern: str = ""
    key_wanted: str = ""

    def read(self, value: Any, path: Path, source: YamlSource) -> dict[str, Any] | None:
        if isinstance(value, Absent):
            return None
        if not isinstance(value, dict):
            source.add(path, f"should be a mapping, not {name_of(value)}")
            return None
        read: dict[str, Any] = {}
        for key, child in value.items():
            if self.key_pattern and not re.fullmatch(self.key_pattern, key):
                source.add((*path, key), f"the name {key!r} should be {self.key_wanted}")
                continue
            found = self.item.read(child, (*path, key), source)
            if found is not None:
                read[key] = found
        return read

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "object", "additionalProperties": self.item.described()}
        if self.key_pattern:
            schema["propertyNames"] = {"pattern": f"^(?:{self.key_pattern})$"}
        return schema


@dataclass(slots=True)
class TableShape(_Shape):
    """A mapping with known keys. `read` gives only the keys that were given and hold."""

    keys: Mapping[str, _Shape]
    description: str = ""
    required: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)

    def read(self, value: Any, path: Path, source: YamlSource) -> dict[str, Any] | None:
        if isinstance(value, Absent):
            return None
        if not isinstance(value, dict):
            source.add(
                path, f"should be a mapping with {', '.join(list(self.keys)[:6])}, not {name_of(value)}"
            )
            return None
        read: dict[str, Any] = {}
        for key, child in value.items():
            shape = self.keys.get(key)
            if shape is None:
                hint = self.hints.get(key)
                known = tuple(self.keys)
                source.add(
                    (*path, key), f"{key!r} is no key here{f'; {hint}' if hint else did_you_mean(key, known)}"
                )
                continue
            if child is None and not isinstance(shape, Anything):
                # `rules:` with nothing under it is what a file that is being written looks like.
                if key in self.required:
                    source.add((*path, key), "is empty")
                continue
            found = shape.read(child, (*path, key), source)
            if found is not None:
                read[key] = found
        for key in self.required:
            if key not in value:
                source.add(path, f"{key!r} is missing: {self.keys[key].description}")
        return read

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {key: shape.described() for key, shape in self.keys.items()},
            "additionalProperties": False,
        }
        if self.required:
            schema["required"] = list(self.required)
        return schema


@dataclass(slots=True)
class Anything(_Shape):
    """Left as it is: somebody else reads it. `given` is its schema."""

    description: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)

    def read(self, value: Any, path: Path, source: YamlSource) -> Any:
        return value

    def schema(self) -> dict[str, Any]:
        return dict(self.given)
