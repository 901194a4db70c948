"""What to relay and how: the YAML file as values. How it is read and checked: `relay/rules/file/load.py`.

All durations are seconds, all sizes bytes. Defaults stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from relay.lane_name import MAIN
from relay.secret import Secret
from relay.source_options import SourceOptions


@dataclass(frozen=True, slots=True)
class Batch:
    """Upper bounds of one call; size and wait tune themselves below them. 5,000 items is Planhat's own cap."""

    max_items: int = 5000
    max_bytes: int = 4_000_000
    linger_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Retry:
    first_s: float = 5.0
    cap_s: float = 900.0
    rate_limited_s: float = 60.0
    probe_s: float = 30.0
    give_up_after_s: float = 3 * 86400.0
    max_refusals: int = 2


@dataclass(frozen=True, slots=True)
class PlanhatConfig:
    types: tuple[str, ...] = ()
    calls_per_minute: int = 150
    timeout_s: float = 60.0
    lease_s: float = 20.0
    batch: Batch = Batch()
    retry: Retry = Retry()
    #: When the token ends, as an ISO date; `relay doctor` warns before it. Empty: unknown.
    token_expires: str = ""
    #: Look up Planhat ids of `users` / `endusers` by email before sending.
    resolve_people: bool = True
    #: The name in the app's addresses: `https://ws.planhat.com/<tenant>/...`. Empty: no links to records.
    tenant: str = ""
    #: Which message's time the default rules give a conversation: `newest` or `first`.
    thread_date: str = "newest"
    #: `safe`: descriptions are written in the HTML that Planhat's editor keeps; `raw`: as the rules make them.
    descriptions: str = "safe"
    #: Custom fields that the tenant does not have: `warn`, `drop` (not sent) or `refuse` (a dead letter).
    undefined_fields: str = "warn"
    #: `ids`: activity tags go by the ids that the tenant's list gives them; `names`: as they are.
    activity_tags: str = "ids"


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """`options` is what the adapter gets; the rest is the house's. `rate_limit` is events a second, None: none."""

    name: str
    adapter: str
    options: SourceOptions
    type: str = ""
    max_body_bytes: int | None = None
    rate_limit: float | None = None
    enrich: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Where its events go, unless the rule that they match names another lane.
    lane: str = MAIN


@dataclass(frozen=True, slots=True)
class CompanyStep:
    """One way of finding a companyId. `kind`: `table` (`key` is what the rule's `company:` calls it, `table` its rows), `enduser_email`, `company_domain`, `template` (unused keys) or `default` (`value` is the companyId)."""

    kind: str
    key: str = ""
    table: Mapping[str, str] = field(default_factory=dict)
    value: str = ""


@dataclass(frozen=True, slots=True)
class People:
    """`create`: endusers whom Planhat does not know are made there."""

    create: bool = False


@dataclass(frozen=True, slots=True)
class LaneConfig:
    """One Planhat tenant. `planhat` is what the file's `planhat:` says, with what the lane says itself in its place. `url` "" and
    `token` None: those of RELAY_PLANHAT_URL and RELAY_PLANHAT_TOKEN."""

    name: str
    planhat: PlanhatConfig = PlanhatConfig()
    companies: tuple[CompanyStep, ...] = ()
    people: People = People()
    url: str = ""
    token: Callable[[], str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Keep:
    events_s: float = 72 * 3600.0
    documents_s: float = 90 * 86400.0
    #: How long at least it is known that a conversation was delivered, once its document is forgotten.
    delivered_s: float = 2 * 365 * 86400.0
    dedupe_s: float = 72 * 3600.0
    dead_s: float = 90 * 86400.0


@dataclass(frozen=True, slots=True)
class RedisConfig:
    """What is asked of Redis beside what RELAY_REDIS_URL names. `replicas`: so many are to have an event before it is acknowledged."""

    replicas: int = 0


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    dir: str
    max_bytes: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Redaction:
    """One redaction at the door: `field` (a dotted path of the payload, `*` for any key) or `pattern` (a regular
    expression over all texts), and `how`: `drop` or `hash`."""

    how: str
    field: str = ""
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails go out: `security` is `starttls`, `tls` or `none`; `login` gives "user:password", "" for none."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    security: str = "starttls"
    login: Callable[[], str] = field(default=str, repr=False)


@dataclass(frozen=True, slots=True)
class AlertChannel:
    """One place that alerts go to. `kind`: `slack`, `webhook` (`url`, and `secret` where it is signed) or `mail`; `name` is the
    kind, with a number from the second on."""

    name: str
    kind: str
    url: Callable[[], str] = field(default=str, repr=False)
    secret: Callable[[], str] = field(default=str, repr=False)
    mail: MailServer | None = None


#: What alerts may be about.
ALERT_KINDS = ("blocked", "waiting", "new_cause", "damage", "token")


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is told, and of what. `link`: where the relay's console is, "" for no links."""

    channels: tuple[AlertChannel, ...] = ()
    about: tuple[str, ...] = ALERT_KINDS
    blocked_for_s: float = 60.0
    waiting_over_s: float = 900.0
    token_within_s: float = 14 * 86400.0
    link: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """One loaded and checked file. `rules` are the raw mappings in order, compiled by `relay/rules`; `version` is a
    hash of the file's content and stands on each event; `lines` maps a dotted path ("rules.0.when") to its line.

    `lanes` is empty where the file has none: then `planhat`, `companies` and `people` are those of the lane `main`. A lane's
    own work takes `for_lane`, in which they are the lane's."""

    planhat: PlanhatConfig = PlanhatConfig()
    sources: Mapping[str, SourceConfig] = field(default_factory=dict)
    companies: tuple[CompanyStep, ...] = ()
    keep: Keep = Keep()
    rules: tuple[Mapping[str, Any], ...] = ()
    spool: SpoolConfig | None = None
    redis: RedisConfig = RedisConfig()
    redact: tuple[Redaction, ...] = ()
    people: People = People()
    lanes: Mapping[str, LaneConfig] = field(default_factory=dict)
    #: None: nobody is told of anything.
    alerts: Alerts | None = None
    #: What `relay up` gives its sandbox, as `relay.planhat.sandbox.seed` reads it.
    sandbox: Mapping[str, Any] = field(default_factory=dict, repr=False)
    file: str = ""
    version: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    #: Every secret of the file: what is wrong with one now is its `problem`.
    secrets: tuple[Secret, ...] = field(default=(), repr=False)

    @property
    def lane_names(self) -> tuple[str, ...]:
        """In the file's order; the first is that of whoever names none."""
        return tuple(self.lanes) or (MAIN,)

    def lane(self, name: str) -> LaneConfig:
        """Return one lane by its name. Raises KeyError for one that is not there."""
        if self.lanes:
            return self.lanes[name]
        if name != MAIN:
            raise KeyError(name)
        return LaneConfig(MAIN, self.planhat, self.companies, self.people)

    def for_lane(self, name: str) -> Self:
        """Return the same with this lane's `planhat`, `companies` and `people`; as it is where the file has no lanes, or not this one."""
        lane = self.lanes.get(name)
        if lane is None:
            return self
        return replace(self, planhat=lane.planhat, companies=lane.companies, people=lane.people)
