"""Fireflies: a meeting's title, summary and people; its transcript, where there is no summary yet.

Source: Fireflies, GraphQL API, "Transcript", "Error codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.sources.foreign_json import Walk
from relay.sources.read.look_up import LookUp, has_text, put_person, put_text

_QUERY = (
    "query Transcript($transcriptId: String!) { transcript(id: $transcriptId) { title host_email"
    " meeting_attendees { displayName email } summary { overview action_items }"
    " sentences { speaker_name text } } }"
)
_MAX_SENTENCES = 5000
_MAX_PEOPLE = 200


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    return "/graphql" if view.get("thread") and not has_text(view) else ""


def _question(view: Mapping[str, Any], payload: Walk) -> dict[str, Any]:
    return {"query": _QUERY, "variables": {"transcriptId": view["thread"]}}


def _fill(view: dict[str, Any], answer: Walk) -> None:
    meeting = answer.maybe("data").maybe("transcript")
    summary = meeting.maybe("summary")
    told = [
        f"{title}\n{text}"
        for title, key in (("Summary", "overview"), ("Action items", "action_items"))
        if (text := summary.maybe_text(key).strip())
    ]
    if not told:
        told = [
            f"{one.maybe_text('speaker_name') or 'Somebody'}: {text}"
            for one in meeting.items("sentences")[:_MAX_SENTENCES]
            if (text := one.maybe_text("text").strip())
        ]
    put_text(view, "\n".join(told), "")
    view["subject"] = view.get("subject") or meeting.maybe_text("title")
    host = meeting.maybe_text("host_email")
    people = meeting.items("meeting_attendees")[:_MAX_PEOPLE]
    name = next((one.maybe_text("displayName") for one in people if one.maybe_text("email") == host), "")
    put_person(view, "", name, host)
    if not view.get("recipients"):
        view["recipients"] = [
            {"name": one.maybe_text("displayName"), "email": email, "role": "to"}
            for one in people
            if "@" in (email := one.maybe_text("email")) and email != host
        ]


def _busy(answer: Walk) -> bool:
    """GraphQL tells errors with status 200. What is not there will not come; anything else may pass."""
    codes = [one.maybe_text("code") for one in answer.items("errors")]
    return (
        bool(codes) and "object_not_found" not in codes and not answer.maybe("data").maybe("transcript").value
    )


FIREFLIES_LOOKUP = LookUp(
    _path, _fill, api="https://api.fireflies.ai", question=_question, busy=_busy, changes=True
)
