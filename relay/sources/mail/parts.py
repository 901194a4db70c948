"""Which parts of a mail are its text, its HTML and its attachments. Source: RFC 8621, section 4.1.4."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message
from typing import Any, TypeAlias

_MAX_PARTS = 1000
#: Deeper than any mail program nests them.
_MAX_DEPTH = 60
_SHOWN = ("text/plain", "text/html")
#: Alternatives for certain readers alone: neither read nor files.
_FOR_FEW = ("text/x-amp-html", "text/watch-html")
_MEDIA = ("image/", "audio/", "video/")

MailPart: TypeAlias = "Message[Any, Any]"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds no parts of its mail's; `kind` is its content type."""

    part: MailPart
    kind: str
    #: The whole `Content-Type`, so that it is not looked up for every parameter.
    type_line: str = ""

    @property
    def may_be_named(self) -> bool:
        return "name" in self.type_line.lower() or "content-disposition" in self.part

    def parameter(self, name: str) -> str:
        """Return a parameter of the content type; "" where there is none."""
        if name not in self.type_line.lower():
            return ""
        value = self.part.get_param(name, "")
        return value if isinstance(value, str) else value[2]

    @property
    def is_page(self) -> bool:
        return self.kind == "text/html"


@dataclass(slots=True)
class Structure:
    """`text` and `html` are what a reader of either sees, in order: both may hold parts of either type."""

    text: list[Leaf] = field(default_factory=list)
    html: list[Leaf] = field(default_factory=list)
    files: list[Leaf] = field(default_factory=list)
    seen: int = 0


def structure_of(message: MailPart) -> Structure:
    """Return the mail's parts by their use. Raises RecursionError for parts nested too deeply."""
    found = Structure()
    _sort([message], "mixed", False, found.text, found.html, found, 0)
    if not found.text and not found.html:
        _promote(found)
    return found


def _promote(found: Structure) -> None:
    """In a mail without a body, a text that is shown and stands where no body is due is it: a page behind its pictures (RFC 2387,
    `start`), a named text behind a file."""
    for place, leaf in enumerate(found.files):
        if leaf.kind in _SHOWN and leaf.part.get_content_disposition() != "attachment":
            found.text.append(leaf)
            found.html.append(leaf)
            del found.files[place]
            return


def _sort(
    parts: list[MailPart],
    around: str,
    in_alternative: bool,
    text: list[Leaf] | None,
    html: list[Leaf] | None,
    found: Structure,
    depth: int,
) -> None:
    if depth > _MAX_DEPTH:
        raise RecursionError
    texts_before, pages_before = len(text or ()), len(html or ())
    for place, part in enumerate(parts):
        found.seen += 1
        if found.seen > _MAX_PARTS:
            return
        type_line = str(part.get("content-type", ""))
        kind = type_line.partition(";")[0].strip().lower()
        if kind not in _SHOWN:
            kind = part.get_content_type()
        inner = children(part) if kind.startswith("multipart/") else []
        leaf = Leaf(part, kind, type_line)
        if inner:
            below = kind.partition("/")[2]
            _sort(inner, below, in_alternative or below == "alternative", text, html, found, depth + 1)
        elif around == "alternative" and kind in _FOR_FEW:
            continue
        elif not _is_inline(part, kind, place, around):
            found.files.append(leaf)
        elif around == "alternative":
            if kind == "text/html" and html is not None:
                html.append(leaf)
            elif kind != "text/html" and kind in _SHOWN and text is not None:
                text.append(leaf)
            else:
                found.files.append(leaf)
        else:
            if in_alternative and kind in _SHOWN:
                text, html = (text, None) if kind == "text/plain" else (None, html)
            if kind.startswith(_MEDIA):
                found.files.append(leaf)
                continue
            if text is not None:
                text.append(leaf)
            if html is not None:
                html.append(leaf)
    if around == "alternative" and text is not None and html is not None:
        if len(text) == texts_before and len(html) > pages_before:
            text.extend(html[pages_before:])
        elif len(html) == pages_before and len(text) > texts_before:
            html.extend(text[texts_before:])


def _is_inline(part: MailPart, kind: str, place: int, around: str) -> bool:
    if part.get_content_disposition() == "attachment":
        return False
    # A multipart without parts is a text that lost its boundary.
    if kind not in _SHOWN and not kind.startswith((*_MEDIA, "multipart/")):
        return False
    if place == 0:
        return True
    return around != "related" and (kind.startswith(_MEDIA) or not part.get_filename())


def children(part: MailPart) -> list[MailPart]:
    """Return the parts inside, those of a mail in the mail too."""
    payload: Any = part.get_payload() if part.is_multipart() else []
    return [child for child in payload if isinstance(child, Message)]
