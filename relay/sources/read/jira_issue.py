"""What a Jira issue or comment says, in the shapes of API 2 (wiki markup) and API 3 (documents).

Source: Atlassian, "Webhooks" (Jira Cloud), "Issues", "Issue comments".
"""

from __future__ import annotations

import re
from typing import Any

from relay.event import Attachment, Person
from relay.sources.foreign_json import Walk
from relay.sources.read.adf import read_adf
from relay.sources.read.wiki import read_wiki

_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s.]{2,63}")


def jira_person(user: Walk) -> Person:
    """Return a user of Jira, or a customer of Service Management."""
    name, email = user.maybe_text("displayName"), user.maybe_text("emailAddress")
    if not email and _ADDRESS.fullmatch(name):
        # A customer of Service Management who has no name yet.
        email = name
    return Person(
        id=user.maybe_text("accountId") or user.maybe_text("key") or user.maybe_text("name"),
        name=name,
        email=email,
        bot=user.maybe_text("accountType") == "app",
    )


def was_touched(body: Walk, field: str) -> bool:
    """Tell whether this change was one of the field."""
    return any(one.maybe_text("field") == field for one in body.maybe("changelog").items("items"))


def made_of(body: Walk, field: str) -> set[str]:
    """Return what this change made of a field, under each of its entries in the changelog; nothing that was taken away."""
    return {
        new
        for change in body.maybe("changelog").items("items")
        if change.maybe_text("field") == field and (new := change.maybe_text("toString"))
    }


def was_done(body: Walk, fields: Walk) -> bool:
    """Tell whether this very change moved the issue into a status of the category `done`."""
    moved = any(
        change.maybe_text("field") in ("status", "resolution") and change.maybe_text("toString")
        for change in body.maybe("changelog").items("items")
    )
    status = fields.maybe("status")
    done = status.maybe("statusCategory").maybe_text("key") == "done" or bool(
        fields.maybe("resolution").value
    )
    return moved and done


def url_of_issue(issue: Walk, key: str) -> str:
    """Return the address of the issue's page, "" where its host is not told."""
    base, found, _ = issue.maybe_text("self").partition("/rest/api/")
    if not found or not base.startswith(("https://", "http://")) or not key.replace("-", "").isalnum():
        return ""
    return f"{base}/browse/{key}"


def said_in(body: Any) -> tuple[str, str]:
    """Return text and HTML: Jira's API 2 writes wiki markup, API 3 a document of nodes."""
    if isinstance(body, str):
        return read_wiki(body)
    return read_adf(body) if isinstance(body, dict) else ("", "")


def files_of_issue(fields: Walk) -> tuple[Attachment, ...]:
    """Return the files of an issue."""
    return tuple(
        Attachment(
            name=file.maybe_text("filename"),
            type=file.maybe_text("mimeType"),
            size=file.maybe_size("size"),
            url=file.maybe_text("content"),
        )
        for file in fields.items("attachment")
    )
