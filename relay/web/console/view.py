"""What a page of the console is to the machinery around it: what it shows, where a form leads, how it is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from relay.web.access import Operator


@dataclass(frozen=True, slots=True)
class View:
    """A page to show: template, its context, which entry of the navigation is lit."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    here: str = "-"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Go:
    """Where a form leads: a path below the console's (or its lane's) own; `said` is a key of the messages."""

    path: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class PageRoute:
    """How a page is reached: `act` is the audit's word for what it changes ("": nothing), `asks`: it acts only when the form
    says that the person is sure, `own`: it never shows a payload, so the audit notes no look."""

    method: str
    act: str = ""
    asks: bool = False
    own: bool = False


FormValues = Mapping[str, str]
Handler = Callable[[Request, Operator, FormValues], View | Go]
