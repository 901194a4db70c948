"""Faults on request: what the sandbox does wrong, for whom, how often.

A fault is a JSON object; every key may be left out:

    operation              upsert, create, update, get, list, delete; or conversations (those six); companies (the
                           list), company (one), company.create, .update, .upsert, .delete, and the same of enduser,
                           user, customfield, activitytag, ticket; leancompanies; or * (every call; the default)
    times, after           how many calls it meets (default: every one), after leaving so many alone
    status, body           answer with this status; body: empty, string, html, json, garbled or envelope
    commit                 with `status`: do the work first
    retry_after            a Retry-After header, a number of seconds or a date
    latency_ms             wait before the work; latency_per_item_ms: and so much for each item;
                           latency_per_item_squared_us: and so many microseconds times the items squared
    drop                   close the connection without a word, nothing done
    commit_then_drop       do the work, then close the connection
    commit_then_hang       do the work, then say nothing for hang_s (default 600) or until the client goes
    refuse                 a regular expression: items whose externalId it finds are refused, with
      style                  string, string_id, external_id, planhat_id, index, nested, bare
      list                   createdErrors, updatedErrors (default: whichever fits), permissionErrors, validationErrors
      message                what it says
    answer_status          the status of an answer that carries refusals (default: 206, or 400/403)
    body_limit_bytes       larger requests get a 413
    throttle_over          more calls than this within a minute get a 429
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from relay.errors import UserError
from relay.planhat.sandbox import routes
from relay.planhat.sandbox.errors import STYLES

OPERATIONS: Final = routes.OPERATIONS | {"conversations", "*"}
BODIES: Final = frozenset({"empty", "string", "html", "json", "garbled", "envelope"})
LISTS: Final = frozenset({"createdErrors", "updatedErrors", "permissionErrors", "validationErrors"})


class FaultInvalid(UserError):
    """A fault that cannot be: names the key."""


@dataclass(slots=True)
class Fault:
    """See the module. `met` counts the calls it has met."""

    operation: str = "*"
    times: int | None = None
    after: int = 0
    status: int | None = None
    body: str | None = None
    commit: bool = False
    retry_after: str | None = None
    latency_ms: float = 0
    latency_per_item_ms: float = 0
    latency_per_item_squared_us: float = 0
    drop: bool = False
    commit_then_drop: bool = False
    commit_then_hang: bool = False
    hang_s: float = 600
    refuse: str | None = None
    style: str = "string"
    list: str | None = None
    message: str = "refused by the sandbox"
    answer_status: int | None = None
    body_limit_bytes: int | None = None
    throttle_over: int | None = None
    met: int = 0
    skipped: int = 0
    pattern: re.Pattern[str] | None = field(default=None, repr=False)

    @classmethod
    def read(cls, given: Any) -> Self:
        """Read a fault. Raises FaultInvalid."""
        if not isinstance(given, Mapping):
            raise FaultInvalid("a fault should be an object")
        known = {item.name for item in fields(cls)} - {"met", "skipped", "pattern"}
        unknown = sorted(set(given) - known)
        if unknown:
            raise FaultInvalid(f"{unknown[0]}: no such key of a fault; there are {', '.join(sorted(known))}")
        for name, value in given.items():
            _check(name, value)
        values = dict(given)
        if values.get("retry_after") is not None:
            values["retry_after"] = str(values["retry_after"])
        if values.get("refuse") is not None:
            try:
                values["pattern"] = re.compile(values["refuse"])
            except re.error as error:
                raise FaultInvalid(f"refuse: not a regular expression: {error}") from error
        return cls(**values)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return a fault as it stands on the command line: `status=503,times=2,retry_after=5`."""
        given: dict[str, Any] = {}
        for part in filter(None, text.split(",")):
            name, found, value = part.partition("=")
            name = name.strip()
            given[name] = _guess(name, value.strip()) if found else True
        return cls.read(given)

    def meets(self, operation: str) -> bool:
        any_of_six = self.operation == "conversations" and operation in routes.CONVERSATION_OPERATIONS
        if self.operation not in ("*", operation) and not any_of_six:
            return False
        if self.times is not None and self.met >= self.times:
            return False
        if self.skipped < self.after:
            self.skipped += 1
            return False
        self.met += 1
        return True

    def shown(self) -> dict[str, Any]:
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ("pattern", "skipped")
            and (item.name == "met" or getattr(self, item.name) != item.default)
        }


_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "operation": OPERATIONS,
    "body": BODIES,
    "style": frozenset(STYLES),
    "list": LISTS,
}
_FLAGS: Final = frozenset({"commit", "drop", "commit_then_drop", "commit_then_hang"})
_TEXTS: Final = frozenset({"refuse", "message"})


def _check(name: str, value: Any) -> None:
    if value is None and name != "operation":
        return
    choices = _CHOICES.get(name)
    if choices is not None:
        if value not in choices:
            raise FaultInvalid(f"{name}: should be one of {', '.join(sorted(choices))}")
    elif name in _FLAGS:
        if not isinstance(value, bool):
            raise FaultInvalid(f"{name}: should be true or false")
    elif name in _TEXTS:
        if not isinstance(value, str):
            raise FaultInvalid(f"{name}: should be a string")
    elif name == "retry_after":
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise FaultInvalid("retry_after: should be a number of seconds or a date")
    elif isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise FaultInvalid(f"{name}: should be a number that is not negative")
    elif name in ("status", "answer_status") and not 200 <= value <= 599:
        raise FaultInvalid(f"{name}: should be a status between 200 and 599")


def _guess(name: str, value: str) -> Any:
    if name in _FLAGS and value in ("true", "false"):
        return value == "true"
    if name in _CHOICES or name in _TEXTS or name == "retry_after":
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return value


class Faults:
    """The faults that are set, in the order they came."""

    def __init__(self) -> None:
        self.all: list[Fault] = []

    def meeting(self, operation: str) -> list[Fault]:
        """Return those that this call meets; each counts it."""
        return [fault for fault in self.all if fault.meets(operation)]
