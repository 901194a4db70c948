"""Why Redis did not do what it was asked, in words. Decided by the error's class and the server's own error code, never by
its text: redis-py cuts the code from some texts, and puts the command's arguments, which are payloads, into others."""

from __future__ import annotations

import re
from typing import Any, Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    MaxConnectionsError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from relay.outbox.tls import tls_reason


class Away(ConnectionError):
    """The server at hand is not the one to ask, or nobody says which is: a new connection may lead to another. `reason` as
    `unavailable_reason` gives it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SlowToTell(TimeoutError):
    """As `Away`, and the time is spent: it is not asked again at once."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def without_frames(answers: list[Any]) -> list[Any]:
    """Return a pipeline's answers, each error without the frames that it came through. Those hold the answers, which hold the error: a
    ring that waits for the collector, with all that a look at a server told, and there is a look each second."""
    for answer in answers:
        if isinstance(answer, Exception):
            answer.with_traceback(None)
    return answers


#: What a server says whose connection is of no use any more: another is the master of the slot, or will be.
NOT_THE_MASTER: Final = (
    ReadOnlyError,
    AskError,
    ClusterDownError,
    TryAgainError,
)
#: The same by the word that its answer begins with.
NOT_THE_MASTER_CODES: Final = (
    "READONLY",
    "MOVED",
    "ASK",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "TRYAGAIN",
    "UNBLOCKED",
)

#: The first that fits speaks: subclasses stand before what they derive from.
_BY_CLASS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (OutOfMemoryError, "full"),
    (ReadOnlyError, "read-only"),
    (BusyLoadingError, "loading"),
    (MasterDownError, "failing over"),
    (MovedError, "the key's slot is on another node"),
    (AskError, "the key's slot is moving"),
    (TryAgainError, "the key's slot is moving"),
    (ClusterDownError, "the cluster is down"),
    (AuthenticationError, "wrong user or password"),
    (AuthorizationError, "wrong user or password"),
    (MaxConnectionsError, "no connection free"),
    (TimeoutError, "no answer in time"),
    (ConnectionError, "no connection"),
)
#: Codes for which redis-py has no class of its own, and one that shares its class with another.
_BY_CODE: Final = {
    "NOAUTH": "password missing",
    "MISCONF": "cannot write to its disk",
    "NOREPLICAS": "too few replicas",
    "BUSY": "busy with a script",
    "UNKILLABLE": "busy with a script",
}
#: What a user may not, by the server's words: a command's name, never an argument.
_MAY_NOT_RUN: Final = re.compile(r"permissions to run the '([a-z-]+(?:\|[a-z-]+)?)' command")
_MAY_NOT_TOUCH: Final = re.compile(r"permissions to access (?:one of the keys|a key)")
#: What redis-py writes before the server's words when a command of a pipeline failed.
_PIPELINED: Final = " of pipeline caused error: "


def unavailable_reason(error: BaseException) -> str:
    """Return `full`, `read-only`, `loading`, `wrong password`, `no answer in time`, ...; the exception's name for what is none of
    these."""
    if isinstance(error, Away | SlowToTell):
        return error.reason
    if isinstance(error, NoPermissionError):
        return f"not permitted{_what_of(str(error))}"
    if isinstance(error, ConnectionError | TimeoutError | OSError) and (told := tls_reason(error)):
        return told
    by_code = _BY_CODE.get(error_code(error))
    if by_code:
        return by_code
    for kind, reason in _BY_CLASS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError):
        # Also the built-in TimeoutError, which asyncio raises.
        return "no answer in time" if type(error).__name__ == "TimeoutError" else "no connection"
    return type(error).__name__


def _what_of(text: str) -> str:
    if run := _MAY_NOT_RUN.search(text):
        return f": this user may not run {run[1]}"
    return ": this user may not touch these keys" if _MAY_NOT_TOUCH.search(text) else ""


def error_code(error: BaseException) -> str:
    """Return the word that the server's error began with (`OOM`, `MISCONF`, ...); "" where it did not come from the server, or
    its class says it all."""
    told = getattr(error, "status_code", None)
    if isinstance(told, str):
        return told
    if not isinstance(error, ResponseError):
        return ""
    word = str(error).rpartition(_PIPELINED)[2].partition(" ")[0]
    return word if word.isascii() and word.isupper() else ""


def perhaps_done(error: BaseException) -> bool:
    """Tell whether the server may have done it all the same: it was asked, and its answer did not come."""
    if isinstance(error, (AuthenticationError, BusyLoadingError, MaxConnectionsError)):
        return False
    if isinstance(error, (TimeoutError, ConnectionError)):
        # Who could not even connect has asked nothing.
        cause = error.__cause__ or error.__context__
        return not isinstance(cause, (ConnectionRefusedError, FileNotFoundError))
    return isinstance(error, OSError)
