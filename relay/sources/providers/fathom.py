"""Fathom: a recorded meeting with its summary, action items and people.

Source: Fathom, "Webhooks", "Meeting" of its API.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from relay.event import Event, Recipient
from relay.sources.described.adapter import Described
from relay.sources.described.shape import Shape
from relay.sources.foreign_json import Walk
from relay.sources.read.markdown import read_markdown

_MAX_PEOPLE = 500
_MAX_LINES = 5000


class Fathom(Described):
    name: ClassVar[str] = "fathom"
    #: Transcripts make meetings large.
    max_body_bytes: ClassVar[int] = 4 * 1024 * 1024

    def event(self, payload: dict[str, Any], shape: Shape, *, kind: str, key: str, now_s: float) -> Event:
        event = super().event(payload, shape, kind=kind, key=key, now_s=now_s)
        invitees = Walk(payload).items("calendar_invitees")[:_MAX_PEOPLE]
        people = tuple(
            Recipient(
                name=person.maybe_text("name"),
                email=email if "@" in (email := person.maybe_text("email")) else "",
                role="external" if person.value.get("is_external") is True else "internal",
            )
            for person in invitees
            if person.maybe_text("name") or person.maybe_text("email")
        )
        return replace(event, recipients=people)

    def words(self, payload: dict[str, Any], shape: Shape) -> tuple[str, str]:
        """Return the summary and what is to be done; without either, what was said."""
        meeting = Walk(payload)
        summary = meeting.maybe("default_summary").maybe_text("markdown_formatted")
        parts = [summary] if summary else []
        if actions := [_action(item) for item in meeting.items("action_items")[:_MAX_LINES]]:
            parts.append("**Action items**\n\n" + "\n".join(line for line in actions if line))
        if parts:
            return read_markdown("\n\n".join(parts))
        said = (_said(entry) for entry in meeting.items("transcript")[:_MAX_LINES])
        return "\n".join(line for line in said if line), ""


def _action(item: Walk) -> str:
    what, who = item.maybe_text("description"), item.maybe("assignee").maybe_text("name")
    return f"- {what}{f' ({who})' if who else ''}" if what else ""


def _said(entry: Walk) -> str:
    speaker, text = entry.maybe("speaker").maybe_text("display_name"), entry.maybe_text("text")
    return f"{speaker}: {text}" if speaker and text else text
