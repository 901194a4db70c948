"""Google Chat: messages to an app. Described by a table; code only looks at whose tokens are believed."""

from __future__ import annotations

from typing import ClassVar

from relay.source_options import SourceOptions
from relay.sources.described.adapter import Described

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
