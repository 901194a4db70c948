"""What a provider's API is asked for what its webhook left out: which path, and what the answer adds. Pure: no network in
it. A provider's own part stands beside the provider (`providers/<name>_lookup.py`), the HTTP in `workers/enrich`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from relay.nobody import is_nobody
from relay.sources.foreign_json import Walk
from relay.sources.read.either import looks_like_html
from relay.sources.read.markup import clean_html, html_of_text, text_of_html


@dataclass(frozen=True, slots=True)
class LookUp:
    """Says what one provider's API is asked. `api` is where its API lies; "" where each tenant has an address of its own, as `example` shows.

    `path(view, payload)` is what to ask there, "" where there is nothing to ask; with `question` its JSON is posted, else the
    path is got. `fill(view, answer)` adds to the view of an event what the answer has; what the view has already is never
    replaced. `hides(payload, answer)`: the answer is not for the customer, which the payload did not
    say. `busy(answer)` says of an answer with status 200 that the provider cannot answer now. `changes`: what is asked may be
    another with the next event (the newest message, a text that was edited), so an answer is for one event only. `scope` is what a token is asked for, where the provider gives tokens for a while (OAuth).

    `where(payload)` says where the API lies for this event ("" for nowhere), where neither `api` nor the config does.
    `sign(url, login, now_s)` makes the headers of a request that a key signs (`login` is id:secret). `read(content)` reads an
    answer of at most `max_bytes` that is no JSON. `once`: an answer is not remembered.
    """

    path: Callable[[Mapping[str, Any], Walk], str]
    fill: Callable[[dict[str, Any], Walk], None]
    api: str = ""
    example: str = ""
    question: Callable[[Mapping[str, Any], Walk], Mapping[str, Any]] | None = None
    busy: Callable[[Walk], bool] | None = None
    hides: Callable[[Walk, Walk], bool] | None = None
    changes: bool = False
    scope: str = ""
    where: Callable[[Walk], str] | None = None
    sign: Callable[[str, str, float], Mapping[str, str]] | None = None
    read: Callable[[bytes], Mapping[str, Any]] | None = None
    max_bytes: int = 2 * 1024 * 1024
    once: bool = False


def quoted(view: Mapping[str, Any], key: str) -> str:
    """Return the text under `key` as one segment of a URL, "" where there is none."""
    value = view.get(key)
    return quote(value, safe="") if isinstance(value, str) else ""


def has_text(view: Mapping[str, Any]) -> bool:
    """Say whether the event has a text already."""
    return bool(view.get("text") or view.get("html"))


def unknown_sender(view: Mapping[str, Any]) -> str:
    """Return the id, quoted for a URL, of a person whose address is missing; "" where there is nothing to ask."""
    sender = view["sender"]
    return "" if sender.get("email") or sender.get("bot") else quoted(sender, "id")


def put_text(view: dict[str, Any], text: str, html: str) -> None:
    """Set text and HTML, each made of the other where only one is given; not where the event has a text."""
    if has_text(view):
        return
    view["text"] = text or text_of_html(html)
    view["html"] = clean_html(html) if html else html_of_text(text)


def put_either(view: dict[str, Any], told: str) -> None:
    """Set text and HTML of what may be either."""
    put_text(view, *(("", told) if looks_like_html(told) else (told, "")))


def put_person(view: dict[str, Any], person_id: str, name: str, email: str) -> None:
    """Set what the sender lacks of id, name and address; an address without "@" is none."""
    sender = view["sender"]
    name = "" if is_nobody(name) else name
    for key, value in (("id", person_id), ("name", name), ("email", email if "@" in email else "")):
        sender[key] = sender.get(key) or value
