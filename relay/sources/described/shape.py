"""How a table describes a sender: its proof, its answers, and where in its JSON an event holds what.

Places are dotted paths ("data.comment.body"); of several, apart by blanks, the first that leads to something counts. "a+b"
gives both, apart by a blank; "a~tail" the last part of an address. Text with places in braces ("deal-{data.deal_id}") is
filled in, and is nothing where one of them is; " | " stands between such and others. Conditions are "path=value|value"; of several one must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from relay.sources.base import Answers
from relay.sources.proof.choose import ProofPreset
from relay.sources.read import pick

#: Read before anything else of an event: its value says which.
Kinds = Mapping[str, str]
#: How people's words are written: "either" tells HTML from text by its looks.
Format = Literal["either", "markdown", "text"]


@dataclass(frozen=True, slots=True)
class Who:
    """Where a person stands. `bot` are conditions."""

    id: str = ""
    name: str = ""
    email: str = ""
    bot: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of event. `type` leads to the words that name it, which are joined by a dot ("Comment.create").

    `kinds` gives each word its event kind ("*": any other); one that stands not there is skipped as "type". "private KIND"
    is skipped unless it is kept, "- REASON" always. `identity` names what a retry repeats: its values together are the delivery's key.
    `text` is a place, or lines of (label, place). These are conditions: `when`, under which the shape counts at all; `edited`,
    `removed` and `solved`, under which the event is that whatever the word says; `private`, under which it is not for the
    customer. `thin`: the words are to be looked up. `overlooked` is what an event without words is remarked as where its
    payload holds some all the same.
    """

    kinds: Kinds
    thread: str
    type: tuple[str, ...] = ()
    when: str = ""
    message: str = ""
    identity: str = ""
    time: str = ""
    subject: str = ""
    text: str | tuple[tuple[str, str], ...] = ""
    format: Format = "either"
    sender: Who = Who()
    customer: Who = Who()
    channel_id: str = ""
    channel_name: str = ""
    ticket_id: str = ""
    status: str = ""
    priority: str = ""
    assignee: str = ""
    url: str = ""
    files: str = ""
    tags: str = ""
    label: str = ""
    private: str = ""
    edited: str = ""
    removed: str = ""
    solved: str = ""
    thin: bool = False
    overlooked: str = ""


@dataclass(frozen=True, slots=True)
class Preset:
    """A sender. Of `shapes` the first counts whose `kinds` know the event. `items` leads to a list of events; "." where
    the body itself may be one. `sample` are the messages of a thread, oldest first, with "{thread}", "{message}", "{iso}" and
    "{ms}" in the places of what differs. `answers_get`: a GET that only asks whether anybody is there."""

    proof: ProofPreset
    shapes: tuple[Shape, ...]
    sample: tuple[Any, ...]
    items: str = ""
    answers: Answers = field(default_factory=lambda: Answers(accepted=200))
    answers_get: bool = False
    sample_headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    #: Events that are no message are kept as they are, if an administrator's template wrote them.
    templated: bool = False
    #: Conditions of events that are known and of no use, where no type tells them.
    noise: str = ""


def value_at(payload: Any, path: str) -> Any:
    """Return what stands at one path; None where nothing does."""
    if path == ".":
        return payload
    path, _, tail = path.partition("~")
    found = pick.follow(payload, path)
    if tail and isinstance(found, str):
        return unquote(found.rstrip("/").rpartition("/")[2], errors="replace")
    return found


def text_at(payload: Any, places: str) -> str:
    """Return the first text or number at these places, as text; "" where there is none."""
    if "{" in places:
        return next(filter(None, (_filled_in(payload, one) for one in places.split(" | "))), "")
    for path in places.split():
        if found := " ".join(filter(None, (_text(value_at(payload, part)) for part in path.split("+")))):
            return found
    return ""


def _filled_in(payload: Any, template: str) -> str:
    if "{" not in template:
        return text_at(payload, template)
    before, *parts = template.split("{")
    for part in parts:
        places, _, after = part.partition("}")
        found = text_at(payload, places)
        if not found:
            return ""
        before += found + after
    return before


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e15 else ""
    return pick.ident(value)


def first_at(payload: Any, places: str) -> Any:
    """Return the first value at these places that is something."""
    return next((found for path in places.split() if (found := value_at(payload, path))), None)


def holds(payload: Any, conditions: str) -> bool:
    """Tell whether one of the conditions holds; without any, none does. A path alone asks for anything but nothing, no and 0;
    with "?" behind it, that it is there at all."""
    for condition in conditions.split():
        path, equals, wanted = condition.partition("=")
        if path.endswith("?"):
            outer, _, last = path[:-1].rpartition(".")
            place = value_at(payload, outer) if outer else payload
            if isinstance(place, Mapping) and last in place:
                return True
            continue
        found = value_at(payload, path)
        if not equals:
            if found:
                return True
            continue
        word = str(found).lower() if isinstance(found, bool) else pick.ident(found)
        if word in wanted.split("|"):
            return True
    return False
