"""Payloads whose keys an administrator chose: Zendesk triggers, Freshdesk automations.

Keys are compared without case, blanks, dashes and underscores: "Ticket ID", "ticket_id" and "ticketID" are one; so are
`ticket.comment.body` and `comment_body`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from relay.errors import PayloadInvalid
from relay.event import Attachment
from relay.sources.base import Inbound
from relay.sources.read.attached import files_in
from relay.sources.read.bare_object import BareObject
from relay.sources.read.either import read_either
from relay.sources.read.lenient import parse_lenient
from relay.sources.read.markup import clean_html, text_of_html
from relay.sources.read.moment import moment_us
from relay.sources.read.multipart import form_pairs
from relay.sources.read.xml import Element, parse_xml

_BETWEEN = re.compile(r"[\s_\-.]+")
_SEPARATOR = re.compile(r"[,;\s]+")
#: Why JSON that an administrator wrote may be none.
UNESCAPED = "the template's placeholders are not escaped"
_CHOOSE_JSON = "choose JSON in the webhook's settings"
#: No provider's form has more fields.
_MAX_FIELDS = 1000
_MAX_LEVELS = 4
#: Names of boxes that say nothing of what is in them.
_BOXES = frozenset({"ticket", "data", "payload", "event", "detail", "freshdeskwebhook", "webhook", "object"})

#: Of these none is a field's name.
_HTML_TAGS = frozenset(
    {
        *("a", "b", "blockquote", "br", "code", "div", "em", "font", "h1", "h2", "h3", "hr", "i", "img"),
        *("li", "ol", "p", "pre", "span", "strong", "table", "u", "ul"),
    }
)

_OF = r"(?:tickets?|latest|last|newest|current|new|the)*"
_THING = r"(?P<kind>comments?|replies|reply|notes?|messages?|answer|response)"
_SAID = re.compile(
    rf"{_OF}(?P<who>public|private|internal|customer|agent|requester|enduser)?{_THING}"
    r"(?P<form>html|formatted|rich|htmlbody|bodyhtml|richbody|bodyrich|bodyformatted|htmltext|texthtml"
    r"|plain|text|body|value|content|plainbody|bodyplain|plaintext|textplain|bodytext|textbody)?"
)
_HTML = frozenset(
    {"html", "formatted", "rich", "htmlbody", "bodyhtml", "richbody", "bodyrich", "bodyformatted"}
    | {"htmltext", "texthtml"}
)
#: Without a name of its own, what is left that a text is called by.
_BARE_TEXT = ("body", "bodytext", "text", "plainbody", "plaintext", "content", "value")
_BARE_HTML = ("bodyhtml", "htmlbody", "html", "richbody")
_DESCRIPTION = re.compile(rf"{_OF}(?:ticket)?description(?P<form>html|text|formatted|plain)?")
#: A flag of the same name, or a placeholder that found nothing.
_NO_TEXT = frozenset({"", "true", "false", "yes", "no", "0", "1", "null", "none", "nil"})
_HIDDEN_FROM_CUSTOMERS = frozenset({"private", "internal"})


@dataclass(frozen=True, slots=True)
class Comment:
    """What a template says was written. `named_public`: its key says so (`latest_public_comment`); `any_latest`: it
    is the latest comment of either kind (`latest_comment`)."""

    text: str = ""
    html: str = ""
    named_public: bool = False
    any_latest: bool = False

    def __bool__(self) -> bool:
        return bool(self.text or self.html)


class Fields:
    """The payload's values by plain name; those of objects inside also with the object's name before them."""

    __slots__ = ("_places", "values")

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = {}
        self._places: list[dict[str, Any]] = []
        for names, value in sorted(_leaves(payload, (), self._places), key=lambda leaf: len(leaf[0])):
            self.values.setdefault("".join(names), value)
            kept = [name for name in names[:-1] if name not in _BOXES]
            self.values.setdefault("".join((*kept, names[-1])), value)

    def text(self, *names: str) -> str:
        """Return the first that is not empty of these, as text; "" where there is none."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip()
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
        return ""

    def comment(self, *, private: bool = False) -> Comment:
        """Return what was written last: under a name that says so, else under that of any text. `private` gives what only
        agents may read, where it stands apart (`latest_private_comment`)."""
        texts: dict[bool, list[tuple[int, str, str]]] = {True: [], False: []}
        for name, value in self.values.items():
            found = _SAID.fullmatch(name)
            if found is None or not isinstance(value, str) or value.strip().lower() in _NO_TEXT:
                continue
            if (found["who"] in _HIDDEN_FROM_CUSTOMERS) != private:
                continue
            is_html = found["form"] in _HTML
            # A plural holds the whole history: only where there is nothing else.
            rank = (found["kind"] in ("comments", "notes", "messages", "replies")) * 10
            rank += 0 if found["who"] == "public" else 1
            texts[is_html].append((rank, name, value.strip()))
        plain_of, html_of = (min(texts[which], default=(0, "", "")) for which in (False, True))
        if not (plain_of[2] or html_of[2]) and not private:
            plain_of = (0, "", self.text(*_BARE_TEXT))
            html_of = (0, "", self.text(*_BARE_HTML))
        return _comment(plain_of[1], plain_of[2], html_of[1], html_of[2])

    def description(self) -> Comment:
        """Return what the ticket was opened with."""
        texts = {True: "", False: ""}
        for name, value in self.values.items():
            found = _DESCRIPTION.fullmatch(name)
            if found is not None and isinstance(value, str) and value.strip():
                is_html = found["form"] in _HTML
                texts[is_html] = texts[is_html] or value.strip()
        return _comment("", texts[False], "", texts[True])

    def files(self) -> tuple[Attachment, ...]:
        return files_in(self._places)

    def moment_us(self, *names: str) -> int | None:
        for name in names:
            if (found := moment_us(self.values.get(name))) is not None:
                return found
        return None

    def words(self, *names: str) -> tuple[str, ...]:
        """Return a list of strings, or one string of words."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, str) and value.strip():
                return tuple(word for word in _SEPARATOR.split(value.strip()) if word)
            if isinstance(value, list):
                return tuple(word for word in value if isinstance(word, str))
        return ()


def read_templated(inbound: Inbound) -> dict[str, Any]:
    """Return the body as a JSON object (mended where a placeholder broke it in one way only), a form or XML. Raises
    PayloadInvalid with a sentence for the administrator."""
    content_type = inbound.headers.get("content-type", "").lower()
    if content_type.startswith("application/x-www-form-urlencoded"):
        pairs = form_pairs(inbound.body, _MAX_FIELDS)
        return dict(reversed(pairs))
    if inbound.body.lstrip(b"\xef\xbb\xbf\t\n\r ")[:1] == b"<":
        return _of_xml(inbound.body)
    try:
        value = parse_lenient(inbound.body)
    except PayloadInvalid as error:
        raise PayloadInvalid(f"{error.message} ({UNESCAPED})") from error
    if not isinstance(value, dict):
        raise PayloadInvalid(f"wanted a JSON object ({UNESCAPED})")
    return value


def _of_xml(body: bytes) -> dict[str, Any]:
    """The fields of an XML document; its root is a box, whatever it is called. Raises PayloadInvalid."""
    try:
        root = parse_xml(body.lstrip(b"\xef\xbb\xbf\t\n\r "))
    except PayloadInvalid as error:
        raise PayloadInvalid(f"{error.message} ({UNESCAPED}: {_CHOOSE_JSON})") from error
    fields = _value_of(root)
    if not isinstance(fields, dict):
        raise PayloadInvalid(f"wanted XML with an element for each field: {_CHOOSE_JSON}")
    return {root.name: fields} if _bare(root.name) in _BOXES else fields


def _value_of(element: Element) -> Any:
    """An element's text, or its children by name: those of one name are a list. Raises PayloadInvalid for a text that has
    tags of HTML in it: where it ends, and what is a field, is a guess then."""
    if not element.children:
        return element.text
    if element.text or any(child.name.lower() in _HTML_TAGS for child in element.children):
        raise PayloadInvalid(f"tags of HTML in a field ({UNESCAPED}: {_CHOOSE_JSON})")
    fields: dict[str, Any] = {}
    for child in element.children:
        value = _value_of(child)
        if child.name not in fields:
            fields[child.name] = value
        elif isinstance(fields[child.name], list):
            fields[child.name].append(value)
        else:
            fields[child.name] = [fields[child.name], value]
    return fields


def _bare(name: str) -> str:
    return _BETWEEN.sub("", name).lower()


def _leaves(
    value: Mapping[str, Any], above: tuple[str, ...], places: list[dict[str, Any]]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no object, under the names that lead to it."""
    places.append(BareObject(value))
    for key, inner in value.items():
        name = _bare(key)
        if isinstance(inner, dict):
            if len(above) < _MAX_LEVELS:
                yield from _leaves(inner, (*above, name), places)
        else:
            yield (*above, name), inner


def _comment(text_name: str, text: str, html_name: str, html: str) -> Comment:
    names = [name for name in (text_name, html_name) if name]
    said = (text_of_html(html), clean_html(html)) if html else read_either(text)
    return Comment(
        text=said[0],
        html=said[1],
        named_public=bool(names) and all("public" in name for name in names),
        any_latest=any("latest" in name and "public" not in name for name in names),
    )
