"""A token that a provider gives for a while: OAuth 2.0 client credentials. Source: RFC 6749, section 4.4.

The app's id and secret go in the form (RFC 6749, section 2.3.1), as Microsoft and Help Scout document it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from relay.errors import TryLater

#: A new one is asked for so long before the old one ends.
_EARLY_S: Final = 60.0
#: Where the provider does not say how long it lasts.
_LASTS_S: Final = 300.0

#: Posts a form, gives the JSON of the answer. Raises TryLater.
_Post = Callable[[str, Mapping[str, str]], Mapping[str, Any]]


class LentToken:
    """`login` gives "id:secret" as it is today."""

    def __init__(
        self, url: str, login: Callable[[], str], scope: str, post: _Post, *, clock: Callable[[], float]
    ) -> None:
        self._url = url
        self._login = login
        self._scope = scope
        self._post = post
        self._clock = clock
        self._token = ""
        self._until_s = 0.0
        self._lock = Lock()

    def get(self) -> str:
        """Return the token; asks for one where there is none, or the old one is about to end. Raises TryLater."""
        with self._lock:
            if not self._token or self._clock() >= self._until_s:
                self._token, lasts_s = self._ask()
                self._until_s = self._clock() + lasts_s
            return self._token

    def forget(self) -> None:
        """Let the next call ask for another: this one is not taken."""
        with self._lock:
            self._token = ""

    def _ask(self) -> tuple[str, float]:
        app, _, secret = self._login().partition(":")
        form = {"grant_type": "client_credentials", "client_id": app, "client_secret": secret}
        answer = self._post(self._url, {**form, **({"scope": self._scope} if self._scope else {})})
        token, lasts = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise TryLater("the provider gives no token", 60.0)
        seconds = float(lasts) if isinstance(lasts, int) and 0 < lasts < 10**7 else _LASTS_S
        return token, max(seconds - _EARLY_S, seconds / 2)
