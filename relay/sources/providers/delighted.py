"""Delighted: answers to surveys. Described by a table; code only reads the answers to additional questions."""

from __future__ import annotations

from typing import Any, ClassVar

from relay.sources.described.adapter import Described, answer_line
from relay.sources.described.shape import Shape
from relay.sources.foreign_json import Walk

_MAX_ANSWERS = 100


class Delighted(Described):
    name: ClassVar[str] = "delighted"

    def words(self, payload: dict[str, Any], shape: Shape) -> tuple[str, str]:
        text, _ = super().words(payload, shape)
        answers = Walk(payload).maybe("event_data").items("additional_answers")[:_MAX_ANSWERS]
        lines = [text, *(_line(answer) for answer in answers)]
        return "\n".join(line for line in lines if line), ""


def _line(answer: Walk) -> str:
    question, value = answer.maybe("question").maybe_text("text"), answer.maybe("value")
    said = value.maybe_text("free_response") or value.maybe_text("text") or value.maybe_ident("scale")
    chosen = [
        value.maybe("option").maybe_text("text"),
        *(one.maybe_text("text") for one in value.items("options")),
    ]
    given = ", ".join(word for word in (said, *chosen) if word)
    return answer_line(question, given)
