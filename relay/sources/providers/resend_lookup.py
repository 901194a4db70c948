"""Resend: the text and HTML of a received mail. Source: Resend, "Retrieve a received email"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from relay.sources.foreign_json import Walk
from relay.sources.read.look_up import LookUp, has_text, put_text


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    email_id = quote(payload.maybe("data").maybe_ident("email_id"), safe="")
    return f"/emails/receiving/{email_id}" if email_id and not has_text(view) else ""


def _fill(view: dict[str, Any], answer: Walk) -> None:
    put_text(view, answer.maybe_text("text"), answer.maybe_text("html"))


RESEND_LOOKUP = LookUp(_path, _fill, api="https://api.resend.com")
