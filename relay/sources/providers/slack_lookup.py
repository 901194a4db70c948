"""Slack: the name and address of who wrote (scope `users:read.email`). Source: Slack, "users.info"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.sources.foreign_json import Walk
from relay.sources.read.look_up import LookUp, put_person, unknown_sender


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    sender = unknown_sender(view)
    return f"/api/users.info?user={sender}" if sender else ""


def _fill(view: dict[str, Any], answer: Walk) -> None:
    user = answer.maybe("user")
    profile = user.maybe("profile")
    name = (
        profile.maybe_text("real_name") or profile.maybe_text("display_name") or user.maybe_text("real_name")
    )
    put_person(view, "", name, profile.maybe_text("email"))


def _busy(answer: Walk) -> bool:
    return answer.value.get("ok") is False and answer.maybe_text("error") == "ratelimited"


SLACK_LOOKUP = LookUp(_path, _fill, api="https://slack.com", busy=_busy)
