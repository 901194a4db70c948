"""Every error this project raises itself; a foreign exception ends in the file that calls the library.

RelayError
├── UserError                 the operator's mistake: a sentence on stderr, exit code 2
│   ├── SettingsInvalid         a RELAY_... variable: which, and what it should be
│   ├── ConfigInvalid           the YAML file: every mistake at once, each with its place
│   └── NotOurs                 the keys in Redis belong to another relay
├── SourceError               the sender's fault: 4xx, nothing kept, the body never logged
│   ├── UnknownSource           404
│   ├── NotAuthentic            401 (or what this sender needs): missing, wrong or stale signature
│   ├── PayloadInvalid          400: not what this source sends; names the path
│   ├── WrongMethod             405: neither POST nor a handshake that this source knows
│   ├── BodyTooLarge            413
│   ├── BodyTooSlow             408
│   └── ContentTypeInvalid      415
├── TryLater                  429/503 + Retry-After: nothing kept, the sender tries again
│   ├── OverRate                this source's rate limit
│   ├── TooMuchAtOnce           the bodies of all requests together, or those that wait to be read
│   ├── VerificationUnavailable the proof of authenticity cannot be checked now (a certificate not fetched)
│   └── OutboxUnavailable       Redis away, full, read-only or loading
├── MappingFailed             a rule could not map an event: 202, and a dead letter at stage `map`
├── NotFound                  an id that nobody knows
├── NewerRecord               a stored record of a newer release: to be left for that one, never thrown away
└── PlanhatError              the far side
    ├── PlanhatUnavailable      network, time-out, 429, 5xx; `retry_after_s` where it named a time
    ├── PlanhatForbidden        401, or 403 without an envelope: no item is to blame
    ├── PlanhatGarbled          an answer nobody can read
    │   └── PlanhatWrongAddress   a web page: what answers is not Planhat's API
    ├── PlanhatNotFound         404: no such record
    └── PlanhatRefused          Planhat's verdict on this one request (400, 403 with an envelope)
"""

from __future__ import annotations

from dataclasses import dataclass


class RelayError(Exception):
    """The root. `str(error)` is one or more plain sentences for a person."""


class UserError(RelayError):
    """The operator's mistake; the command line prints it and exits with 2."""


class SettingsInvalid(UserError):
    """A process setting is missing or malformed."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a config file. `line` counts from 1; `where` is the rule and key in words."""

    message: str
    file: str = ""
    line: int | None = None
    where: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        head = ": ".join(part for part in (place, self.where) if part)
        return f"{head}: {self.message}" if head else self.message


class ConfigInvalid(UserError):
    """The YAML file does not hold; `mistakes` are all of them, in the order of the file."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class NotOurs(UserError):
    """Two relays on one Redis would deliver to each other's Planhat."""


class SourceError(RelayError):
    """A request that is refused. Messages never quote the body."""

    code = "refused"


class UnknownSource(SourceError):
    code = "unknown_source"


class NotAuthentic(SourceError):
    """The answer to the sender never says which check failed; `reason` is for metrics and the rejected log."""

    code = "not_authentic"

    def __init__(self, reason: str) -> None:
        super().__init__("the request could not be authenticated")
        self.reason = reason


class PayloadInvalid(SourceError):
    """`path` is where in the payload ("event.ts"); `message` what was wanted there."""

    code = "malformed"

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path


class WrongMethod(SourceError):
    code = "method"


class BodyTooLarge(SourceError):
    code = "too_large"


class BodyTooSlow(SourceError):
    code = "too_slow"


class ContentTypeInvalid(SourceError):
    code = "content_type"


class TryLater(RelayError):
    """Nothing was kept. `retry_after_s` goes into the Retry-After header."""

    def __init__(self, message: str, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OverRate(TryLater):
    pass


class TooMuchAtOnce(TryLater):
    pass


class VerificationUnavailable(TryLater):
    pass


class OutboxUnavailable(TryLater):
    """`perhaps_done`: Redis was asked to change something and its answer did not come, so that it may have done it."""

    def __init__(self, message: str, retry_after_s: float = 5.0, *, perhaps_done: bool = False) -> None:
        super().__init__(message, retry_after_s)
        self.perhaps_done = perhaps_done


class MappingFailed(RelayError):
    """`cause` groups dead letters: it holds rule, field and line, never a value from the payload. `external_id`: the conversation
    that the event would have gone to, where that much is known."""

    external_id: str = ""

    def __init__(self, cause: str, rule: str = "", field: str = "", line: int | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.rule = rule
        self.field = field
        self.line = line


class NotFound(RelayError):
    pass


class NewerRecord(RelayError, ValueError):
    """What a newer release wrote, met in a rolling upgrade or after a rollback."""


class PlanhatError(RelayError):
    pass


class PlanhatUnavailable(PlanhatError):
    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PlanhatForbidden(PlanhatError):
    pass


class PlanhatGarbled(PlanhatError):
    pass


class PlanhatWrongAddress(PlanhatGarbled):
    pass


class PlanhatNotFound(PlanhatError):
    pass


class PlanhatRefused(PlanhatError):
    pass
