"""Google Chat: messages to an app. Described by a table; code looks at whose tokens are believed, and reads what was passed
on from another place.

Source: Google, "Message" (REST reference): `quotedMessageMetadata`, whose `quoteType` is REPLY or FORWARD.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.described.adapter import Described
from relay.sources.described.shape import Shape
from relay.sources.foreign_json import Walk

#: Signs for anybody who has a Google account: the address in the token says whom it is of.
_ANYBODY = frozenset({"https://accounts.google.com", "accounts.google.com"})


class GoogleChat(Described):
    name: ClassVar[str] = "google_chat"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        issuers = options.jwt.get("issuer") or ()
        if options.jwt and not options.jwt.get("audience"):
            raise ValueError(
                f"source {options.name!r}: jwt needs audience: the project number or the URL that is set in the app's "
                "configuration"
            )
        if _ANYBODY & {issuers, *([] if isinstance(issuers, str) else issuers)} and "email" not in (
            options.jwt.get("claims") or {}
        ):
            raise ValueError(
                f"source {options.name!r}: jwt: Google signs with this issuer for everybody, so it needs "
                "claims: {email: chat@system.gserviceaccount.com}"
            )

    def event(self, payload: dict[str, Any], shape: Shape, *, kind: str, key: str, now_s: float) -> Event:
        """Return the event with the words of a message that was passed on, under the name of who wrote them."""
        made = super().event(payload, shape, kind=kind, key=key, now_s=now_s)
        body = Walk(payload)
        message = (
            body.maybe("message")
            if "message" in payload
            else body.maybe("chat").maybe("messagePayload").maybe("message")
        )
        text = "\n".join(
            word for word in (made.text, _passed_on(message.maybe("quotedMessageMetadata"))) if word
        )
        return replace(made, text=text)


def _passed_on(quoted: Walk) -> str:
    """What is passed on comes from elsewhere; what an answer quotes stands in the conversation already."""
    said = quoted.maybe("quotedMessageSnapshot")
    words = said.maybe_text("text").strip()
    if quoted.maybe_text("quoteType") != "FORWARD" or not words:
        return ""
    author = said.maybe_text("sender")
    named = author if author and not author.startswith("users/") else "Forwarded"
    return f"{named}:\n" + "\n".join(f"> {line}" for line in words.split("\n"))
