"""Microsoft Graph: the message itself, where a notification told its id only.

Source: Microsoft Graph, "Get chatMessage in a channel or chat", "Get message".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from relay.sources.foreign_json import Walk
from relay.sources.mail.graph_mail import read_mail
from relay.sources.read.chat_message import read_chat_message
from relay.sources.read.look_up import LookUp, has_text, put_person, put_text

_SPOKEN = ("message.created", "message.updated")


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    """The notification's resource is its path in the API."""
    resource = payload.maybe_text("resource").strip("/")
    if view.get("kind") not in _SPOKEN or has_text(view) or not resource or ".." in resource:
        return ""
    return "/" + quote(resource, safe="/()'@:=,$+-")


def _fill(view: dict[str, Any], answer: Walk) -> None:
    if answer.maybe_text("messageType"):
        _fill_chat(view, answer)
    elif answer.maybe("body").value:
        _fill_mail(view, answer)


def _fill_chat(view: dict[str, Any], answer: Walk) -> None:
    said = read_chat_message(answer)
    if not said.kind or said.kind == "message.deleted":
        return
    put_text(view, said.text, said.html)
    put_person(view, said.sender.id, said.sender.name, "")
    view["subject"] = view.get("subject") or said.subject
    view["attachments"] = view.get("attachments") or [file.view() for file in said.attachments]


def _fill_mail(view: dict[str, Any], answer: Walk) -> None:
    mail = read_mail(answer)
    put_text(view, mail.text, mail.html)
    put_person(view, "", mail.sender.name, mail.sender.email)
    view["subject"] = view.get("subject") or mail.subject
    if not view.get("recipients"):
        view["recipients"] = [
            {"name": one.name, "email": one.email, "role": one.role} for one in mail.recipients
        ]


GRAPH_LOOKUP = LookUp(
    _path,
    _fill,
    api="https://graph.microsoft.com/v1.0",
    changes=True,
    scope="https://graph.microsoft.com/.default",
)
