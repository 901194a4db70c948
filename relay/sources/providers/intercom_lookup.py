"""Intercom: the name and address of the contact. Source: Intercom, "Get a contact"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.sources.foreign_json import Walk
from relay.sources.read.look_up import LookUp, put_person, unknown_sender


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    sender = unknown_sender(view)
    contacts = payload.maybe("data").maybe("item").maybe("contacts").items("contacts")
    # Administrators and bots have addresses of their own; only contacts are looked up here.
    known = any(contact.maybe_ident("id") == view["sender"]["id"] for contact in contacts)
    return f"/contacts/{sender}" if sender and known else ""


def _fill(view: dict[str, Any], answer: Walk) -> None:
    put_person(view, "", answer.maybe_text("name"), answer.maybe_text("email"))


INTERCOM_LOOKUP = LookUp(_path, _fill, api="https://api.intercom.io")
