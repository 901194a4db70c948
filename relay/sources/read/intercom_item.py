"""Who and what an Intercom conversation or ticket is about, in the shapes of API 1.x and 2.x.

Source: Intercom, "The conversation model", "The ticket model".
"""

from __future__ import annotations

import re

from relay.event import Person, Recipient
from relay.sources.foreign_json import Walk
from relay.sources.read.markup import text_of_html

_OPERATOR = re.compile(r"operator\+[^@]*@intercom\.(?:io|com)$", re.IGNORECASE)
_BY_AI = ("from_ai_agent", "is_ai_answer")


def owner_of(item: Walk) -> Walk:
    contacts = item.maybe("contacts").items("contacts")
    return contacts[0] if contacts else item.maybe("user")


def intercom_sender(part: Walk, item: Walk) -> Person:
    author = part.maybe("author")
    kind = author.maybe_text("type")
    person_id = author.maybe_ident("id")
    name, email = author.maybe_text("name"), author.maybe_text("email")
    # An author may be an id alone: who it is stands beside the parts.
    beside = (
        item.maybe("user"),
        item.maybe("source").maybe("author"),
        *item.maybe("contacts").items("contacts"),
    )
    for known in beside:
        if person_id and known.maybe_ident("id") == person_id:
            name, email = name or known.maybe_text("name"), email or known.maybe_text("email")
    # Intercom's own agent (Fin) may come as an administrator.
    bot = kind in ("bot", "operator") or bool(_OPERATOR.match(email))
    bot = bot or any(one.value.get(key) is True for one in (author, part) for key in _BY_AI)
    return Person(id=person_id, name=name, email=email, bot=bot)


def participants_of(item: Walk) -> tuple[Recipient, ...]:
    """Return the customers of the conversation. In 2.x a contact is often a bare id; who began it has the address."""
    author = item.maybe("source").maybe("author")
    people = [author] if author.maybe_text("type") in ("user", "lead", "contact") else []
    people += [item.maybe("user"), *item.maybe("contacts").items("contacts")]
    found: dict[str, Recipient] = {}
    for person in people:
        name, email = person.maybe_text("name"), person.maybe_text("email")
        if name or email:
            key = person.maybe_ident("id") or email
            found.setdefault(key, Recipient(name=name, email=email, role="participant"))
    return tuple(found.values())


def subject_of(item: Walk) -> str:
    ticket = item.maybe("ticket")
    title = (
        item.maybe("ticket_attributes").maybe_text("_default_title_")
        or ticket.maybe("ticket_attributes").maybe_text("_default_title_")
        or item.maybe_text("title")
        or ticket.maybe_text("title")
        or item.maybe("custom_attributes").maybe_text("_default_title_")
        or item.maybe("source").maybe_text("subject")
        or item.maybe("conversation_message").maybe_text("subject")
    )
    return text_of_html(title)


def intercom_status(item: Walk) -> str:
    state = item.value.get("ticket_state")
    if isinstance(state, dict):
        walk = Walk(state)
        return walk.maybe_text("internal_label") or walk.maybe_text("category")
    if isinstance(state, str):
        return state
    return item.maybe_text("state")


def assignee_of(item: Walk) -> str:
    assignee = item.maybe("assignee")
    return (
        assignee.maybe_text("email")
        or assignee.maybe_text("name")
        or item.maybe_ident("admin_assignee_id")
        or assignee.maybe_ident("id")
    )


def url_of(item: Walk, body: Walk) -> str:
    web = item.maybe("links").maybe_text("conversation_web")
    if web.startswith("https://"):
        return web
    app, item_id = body.maybe_text("app_id"), item.maybe_ident("id")
    if not (app.isalnum() and item_id.isalnum()) or item.maybe_text("type") != "conversation":
        return ""
    return f"https://app.intercom.com/a/apps/{app}/conversations/{item_id}"
