"""XML from outside as plain elements. A document type is refused before any entity could be declared, so nothing can be
expanded or fetched; depth, elements and their attributes are bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.parsers import expat

from relay.errors import PayloadInvalid

_MAX_DEPTH = 32
#: Salesforce's largest message has a hundred records.
_MAX_ELEMENTS = 20_000
#: A single field is looked for so far into the document, and among so many elements.
SCAN_BYTES = 64 * 1024
SCAN_ELEMENTS = 1000


class Element:
    """Local name, `xsi:type`, the text that is directly within, and what is nested."""

    __slots__ = ("children", "name", "parts", "type")

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.type = kind
        self.parts: list[str] = []
        self.children: list[Element] = []

    @property
    def text(self) -> str:
        return "".join(self.parts).strip()

    def leaf(self, name: str) -> str:
        """Return the text of the first child of that name, "" where there is none."""
        return next((child.text for child in self.children if child.name == name), "")

    def told(self) -> str:
        """Return all of it as one string: what a repetition repeats."""
        return "\x1f".join(self._told())

    def _told(self) -> Iterator[str]:
        yield from (self.name, self.type, self.text)
        for child in self.children:
            yield from child._told()


class _Found(Exception):
    """Stops the parser."""


def parse_xml(body: bytes) -> Element:
    """Return the outermost element. Raises PayloadInvalid for what is no XML, has a document type, or is larger than a message."""
    root = Element("", "")
    stack = [root]
    count = 0

    def start(name: str, attributes: list[str]) -> None:
        nonlocal count
        count += 1
        if count > _MAX_ELEMENTS:
            raise PayloadInvalid(f"XML of more than {_MAX_ELEMENTS} elements")
        element = Element(_local(name), _type_of(attributes))
        stack[-1].children.append(element)
        stack.append(element)
        if len(stack) > _MAX_DEPTH + 1:
            raise PayloadInvalid(f"XML nested deeper than {_MAX_DEPTH}")

    def end(_name: str) -> None:
        stack.pop()

    def characters(data: str) -> None:
        stack[-1].parts.append(data)

    _run(body, start, end, characters, final=True)
    return root.children[0]


def first_leaf(body: bytes, path: Sequence[str]) -> str:
    """Return the text of the first element at this path of local names, without reading on: "" where none stands near the
    document's beginning. Raises PayloadInvalid for what is no XML up to there."""
    open_names: list[str] = []
    parts: list[str] = []
    wanted = list(path)
    count = 0

    def start(name: str, _attributes: list[str]) -> None:
        nonlocal count
        count += 1
        if count > SCAN_ELEMENTS or len(open_names) > _MAX_DEPTH:
            raise _Found
        open_names.append(_local(name))

    def end(_name: str) -> None:
        if open_names == wanted:
            raise _Found
        open_names.pop()

    def characters(data: str) -> None:
        if open_names == wanted:
            parts.append(data)

    try:
        _run(body[:SCAN_BYTES], start, end, characters, final=False)
    except _Found:
        return "".join(parts).strip() if open_names == wanted else ""
    return ""


def _run(body: bytes, start: Any, end: Any, characters: Any, *, final: bool) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, final)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise PayloadInvalid("not XML") from error


def _refuse(*_: Any) -> None:
    raise PayloadInvalid("XML with a document type")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _type_of(attributes: list[str]) -> str:
    for n in range(0, len(attributes), 2):
        if _local(attributes[n]) == "type":
            return attributes[n + 1]
    return ""
