"""Typeform: a form that was filled in, each answer under its question.

Source: Typeform, "Webhooks: example payload".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from relay.event import Attachment, Event
from relay.sources.described.adapter import Described, answer_line
from relay.sources.described.shape import Shape, text_at
from relay.sources.foreign_json import Walk
from relay.sources.read.attached import name_in

_MAX_ANSWERS = 500
#: Of an object, the texts under these names.
_INNER = (
    "label",
    "labels",
    "other",
    "name",
    "first_name",
    "last_name",
    "email",
    "phone_number",
    "company",
    "amount",
    "last4",
)


class Typeform(Described):
    name: ClassVar[str] = "typeform"

    def event(self, payload: dict[str, Any], shape: Shape, *, kind: str, key: str, now_s: float) -> Event:
        event = super().event(payload, shape, kind=kind, key=key, now_s=now_s)
        answers = _answers(payload)
        email = event.sender.email or next(
            (one for a in answers if "@" in (one := a.maybe_text("email"))), ""
        )
        name = event.sender.name or next(filter(None, (_contact_name(a) for a in answers)), "")
        files = tuple(
            Attachment(name=name_in(url), url=url) for a in answers if (url := a.maybe_text("file_url"))
        )
        return replace(event, sender=replace(event.sender, email=email, name=name), attachments=files)

    def words(self, payload: dict[str, Any], shape: Shape) -> tuple[str, str]:
        form = Walk(payload).maybe("form_response")
        asked = {
            field.maybe_ident("id"): field.maybe_text("title")
            for field in form.maybe("definition").items("fields")[:_MAX_ANSWERS]
        }
        lines = []
        for answer in _answers(payload):
            question, given = asked.get(answer.maybe("field").maybe_ident("id"), ""), _given(answer)
            if given:
                lines.append(answer_line(question, given))
        if (score := text_at(payload, "form_response.calculated.score")) and score != "0":
            lines.append(f"Score: {score}")
        return "\n".join(lines), ""


def _answers(payload: dict[str, Any]) -> list[Walk]:
    return Walk(payload).maybe("form_response").items("answers")[:_MAX_ANSWERS]


def _given(answer: Walk) -> str:
    """What stands under the name of the answer's type: a word, a number, yes or no, or an object of them."""
    kind = answer.maybe_text("type")
    if url := answer.maybe_text("file_url"):
        return name_in(url) or "a file"
    value = answer.value.get(kind)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        found: list[str] = []
        for name in _INNER:
            inner = value.get(name)
            found += (
                [one for one in inner if isinstance(one, str)]
                if isinstance(inner, list)
                else [text_at(value, name)]
            )
        return ", ".join(word for word in found if word)
    if isinstance(value, list):
        return ", ".join(one for one in value[:_MAX_ANSWERS] if isinstance(one, str))
    return text_at(answer.value, kind) if kind and kind.isidentifier() else ""


def _contact_name(answer: Walk) -> str:
    info = answer.maybe("contact_info")
    return f"{info.maybe_text('first_name')} {info.maybe_text('last_name')}".strip()
