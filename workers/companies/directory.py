"""Which company a conversation belongs to: the config's `companies`, in their order, for a whole batch at once.

Tables and `default` answer at once; `enduser_email` and `company_domain` ask Planhat, through a cache in Redis and
within the fleet's call budget. Every answer is checked here again, since Planhat ignores filters it does not know.
Several companies are not a guess to make: `Ambiguous`. A look-up that cannot be made now is `Unsure`: the item waits.

Keys, under `relay:{lane}:directory:` (addresses are hashed; values hold ids only):
    email:<hash>     string  JSON: [[enduser id, company id], ...]; [] for nobody; own lifetimes
    domains          hash    domain -> company ids, blank between them; the whole table is replaced at once
    domains:at       string  when the table was read, ms; expires
    user:<hash>      string  JSON: [user id, ...]
    parked           zset    dead letters that wait for a company -> when to look again, ms
    config           string  version of the config under which the parked ones were last looked at
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import orjson
import redis

from relay.config import CompanyStep
from relay.errors import PlanhatError, PlanhatForbidden, PlanhatUnavailable
from relay.outbox.address_digest import address_digest
from relay.outbox.keys import BASE, LANE, lane_prefix
from relay.outbox.scripts import keep_books, reaching_redis, unless_full
from relay.planhat.limits import COMPANIES_MAX
from relay.planhat.resolve import Hold
from relay.value import value_class

FOUND_S: Final = 24 * 3600
NOT_FOUND_S: Final = 600
#: New look-ups of one batch; the rest waits for the next, so that looking up never starves delivery.
LOOKUPS_PER_BATCH: Final = 30
_MOST_PAGES: Final = 40

_FREE_MAIL: Final = """
    gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com rocketmail.com aol.com
    icloud.com me.com mac.com gmx.com gmx.de gmx.net gmx.at gmx.ch web.de mail.com email.com proton.me protonmail.com
    pm.me tutanota.com tuta.io zoho.com fastmail.com hey.com hushmail.com yandex.com yandex.ru mail.ru inbox.ru bk.ru
    list.ru rambler.ru qq.com 163.com 126.com sina.com naver.com daum.net hanmail.net t-online.de freenet.de arcor.de
    orange.fr wanadoo.fr free.fr laposte.net sfr.fr libero.it virgilio.it tiscali.it alice.it telenet.be skynet.be
    ziggo.nl kpnmail.nl planet.nl bluewin.ch telia.com comhem.se spray.se online.no wp.pl o2.pl onet.pl interia.pl
    seznam.cz centrum.cz btinternet.com sky.com virginmedia.com ntlworld.com comcast.net verizon.net att.net
    sbcglobal.net cox.net bellsouth.net shaw.ca rogers.com bigpond.com optusnet.com.au uol.com.br bol.com.br
    terra.com.br rediffmail.com hotmail.co.uk hotmail.fr hotmail.de outlook.de live.co.uk yahoo.co.uk yahoo.fr
    yahoo.de yahoo.co.in yahoo.com.br yahoo.co.jp"""
FREE_MAIL: Final = frozenset(_FREE_MAIL.split())


@dataclass(frozen=True, slots=True)
class Found:
    """`via` is the step that knew: `rule`, `table`, `enduser_email`, `company_domain` or `default`."""

    company_id: str
    via: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Nobody knows the company. `asked`: the names of what was asked with, never the values."""

    asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several companies fit; ids only."""

    candidates: tuple[str, ...]
    via: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """A look-up could not be made now. `hold`: delivery as a whole is the matter; else look again in `wait_s`."""

    reason: str
    hold: Hold | None = None
    wait_s: float = 2.0


Verdict = Found | Missing | Ambiguous | Unsure


@value_class(frozen=True, slots=True)
class Ask:
    """What one patch says of its company: the rule's own `companyId`, or what to look up ("email" -> address)."""

    company_id: str = ""
    company: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, company_id: str, company: Mapping[str, Any]) -> Ask:
        return cls(company_id, tuple([(key, str(value)) for key, value in company.items() if value]))

    def get(self, key: str) -> str:
        held = dict(self.company)
        if held.get(key):
            return held[key].strip()
        if key == "domain":
            _, at, domain = held.get("email", "").strip().rpartition("@")
            return domain if at else ""
        return ""


class Lookups(Protocol):
    """The look-ups of `relay.planhat.client.Planhat`."""

    def endusers(
        self, *, email: str | None = None, select: Iterable[str] = (), timeout_s: float | None = None
    ) -> Sequence[Mapping[str, Any]]: ...

    def users(
        self, *, email: str | None = None, timeout_s: float | None = None
    ) -> Sequence[Mapping[str, Any]]: ...

    def companies(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        select: Iterable[str] = (),
        timeout_s: float | None = None,
    ) -> Sequence[Mapping[str, Any]]: ...


class _NotNow(Exception):
    def __init__(self, unsure: Unsure) -> None:
        super().__init__(unsure.reason)
        self.unsure = unsure


class Directory:
    """`call(operation)` takes a place in the fleet's minute: False, no look-up now. `counted(operation, status)` is
    told of each call made."""

    def __init__(
        self,
        client: redis.Redis,
        steps: Sequence[CompanyStep],
        lookups: Lookups,
        *,
        call: Callable[[], bool],
        now_ms: Callable[[], int],
        counted: Callable[[str, str], None] = lambda operation, status: None,
        lane: str = LANE,
        base: str = BASE,
        timeout_s: float = 20.0,
    ) -> None:
        self._redis = client
        self._prefix = f"{lane_prefix(lane, base)}directory:"
        self._lookups = lookups
        self._call = call
        self._now_ms = now_ms
        self._counted = counted
        self._timeout_s = timeout_s
        self._steps = tuple(steps)
        self._tables = [_table(step) for step in self._steps]
        self._asks_endusers = any(step.kind == "enduser_email" for step in self._steps)
        self._asks_domains = any(step.kind == "company_domain" for step in self._steps)

    # -- companies -------------------------------------------------------------------------------------------

    def resolve(self, questions: Sequence[Sequence[Ask]], *, offline: bool = False) -> list[Verdict]:
        """One verdict per conversation, each asked for by its patches' asks, the earliest first. `offline`: nobody is
        called; what only a call would tell is `Unsure`."""
        batch = _Batch(self, offline)
        batch.load(questions)
        # A batch asks the same of many: one channel, one customer.
        known: dict[tuple[Ask, ...], Verdict] = {}
        verdicts: list[Verdict] = []
        for asks in questions:
            key = tuple(asks)
            verdict = known.get(key)
            if verdict is None:
                verdict = known[key] = self._verdict(asks, batch)
            verdicts.append(verdict)
        return verdicts

    def _verdict(self, asks: Sequence[Ask], batch: _Batch) -> Verdict:
        for ask in asks:
            if ask.company_id:
                return Found(ask.company_id, "rule")
        try:
            for step, table in zip(self._steps, self._tables, strict=True):
                for ask in asks or (Ask(),):
                    verdict = self._step(step, table, ask, batch)
                    if verdict is not None:
                        return verdict
        except _NotNow as error:
            return error.unsure
        return Missing(tuple(sorted({key for ask in asks for key, _ in ask.company})))

    def _step(self, step: CompanyStep, table: Mapping[str, str], ask: Ask, batch: _Batch) -> Verdict | None:
        if step.kind == "default":
            return Found(step.value, "default") if step.value else None
        if step.kind == "table":
            asked = ask.get(step.key)
            hit = table.get(_folded(step.key, asked)) if asked else None
            return Found(hit, "table") if hit else None
        if step.kind == "enduser_email":
            email = ask.get("email").casefold()
            return (
                _one([company for _, company in batch.endusers(email)], step.kind) if "@" in email else None
            )
        if step.kind == "company_domain":
            domain = ask.get("domain").casefold().rstrip(".")
            if "." not in domain or domain in FREE_MAIL:
                return None
            return _one(batch.companies_of(domain), step.kind)
        return None

    # -- people ----------------------------------------------------------------------------------------------

    def people(self, kind: str, emails: Iterable[str]) -> dict[str, str]:
        """email -> Planhat id, for `users` or `endusers`; who is unknown or twice there is left out. Best effort: what
        cannot be asked now is left out too, and never delays a delivery."""
        batch = _Batch(self, offline=False)
        wanted = sorted({email.casefold() for email in emails if "@" in email})
        batch.load_people(kind, wanted)
        found: dict[str, str] = {}
        for email in wanted:
            try:
                ids = [who for who, _ in batch.endusers(email)] if kind == "endusers" else batch.users(email)
            except _NotNow:
                continue
            if len(set(ids)) == 1:
                found[email] = ids[0]
        return found

    # -- dead letters that wait for a company -----------------------------------------------------------------

    def park(self, dead_ids: Iterable[str], *, wait_s: float = NOT_FOUND_S) -> None:
        at_ms = self._now_ms() + int(wait_s * 1000)
        rows = [word for dead_id in dead_ids for word in (at_ms, dead_id)]
        if rows:
            keep_books(self._redis, self._prefix, ("ZADD", "parked", *rows))

    def forget_parked(self, dead_ids: Iterable[str]) -> None:
        names = list(dead_ids)
        if names:
            with reaching_redis():
                self._redis.zrem(self._prefix + "parked", *names)

    def parked_due(self, limit: int = 100) -> list[str]:
        with reaching_redis():
            names: Any = self._redis.zrangebyscore(
                self._prefix + "parked", "-inf", self._now_ms(), start=0, num=limit
            )
        return [name.decode() for name in names]

    def config_changed(self, version: str) -> bool:
        """Whether `version` is news; if so, everything parked is due now, and not-found is forgotten."""
        with reaching_redis():
            before: Any = self._redis.get(self._prefix + "config")
            if before is not None and before.decode() == version:
                return False
            names: Any = self._redis.zrange(self._prefix + "parked", 0, -1)
        rows = [word for name in names for word in (self._now_ms(), name)]
        due_now = [("ZADD", "parked", *rows)] if rows else []
        keep_books(self._redis, self._prefix, ("SET", "config", version), *due_now)
        return bool(names)


class _Batch:
    """What is known for one batch: the cache first, then at most `LOOKUPS_PER_BATCH` look-ups."""

    def __init__(self, directory: Directory, offline: bool) -> None:
        self._home = directory
        self._offline = offline
        self._left = LOOKUPS_PER_BATCH
        self._endusers: dict[str, list[list[str]]] = {}
        self._users: dict[str, list[str]] = {}
        self._domains: dict[str, list[str]] = {}
        self._domains_at_ms: int | None = None
        self._domains_looked = False
        self._failed: Unsure | None = None

    def load(self, questions: Sequence[Sequence[Ask]]) -> None:
        home = self._home
        if not (home._asks_endusers or home._asks_domains):
            return
        asks = {ask for question in questions for ask in question if not ask.company_id}
        if home._asks_endusers:
            self.load_people("endusers", sorted({ask.get("email").casefold() for ask in asks} - {""}))
        if home._asks_domains:
            domains = sorted({ask.get("domain").casefold().rstrip(".") for ask in asks} - {""})
            with reaching_redis():
                at: Any = home._redis.get(home._prefix + "domains:at")
                rows: Any = home._redis.hmget(home._prefix + "domains", domains) if at and domains else []
            self._domains_at_ms = int(at) if at else None
            self._domains = {
                domain: row.decode().split() for domain, row in zip(domains, rows, strict=False) if row
            }

    def load_people(self, kind: str, emails: Sequence[str]) -> None:
        if not emails:
            return
        home = self._home
        word = "email:" if kind == "endusers" else "user:"
        with reaching_redis():
            rows: Any = home._redis.mget([home._prefix + word + address_digest(email) for email in emails])
        held: dict[str, Any] = self._endusers if kind == "endusers" else self._users
        held.update({email: orjson.loads(row) for email, row in zip(emails, rows, strict=True) if row})

    def endusers(self, email: str) -> list[list[str]]:
        if email not in self._endusers:
            rows = self._look_up("GET endusers", lambda: self._home._lookups.endusers(
                email=email,
                select=("_id", "companyId", "email", "otherEmails", "archived"),
                timeout_s=self._home._timeout_s,
            ))  # fmt: skip
            found = [
                [str(row.get("_id", "")), str(row["companyId"])]
                for row in rows
                if _has_address(row, email) and row.get("companyId") and row.get("archived") is not True
            ]
            self._endusers[email] = found
            self._keep("email:", email, found, certain=len({company for _, company in found}) == 1)
        return self._endusers[email]

    def users(self, email: str) -> list[str]:
        if email not in self._users:
            rows = self._look_up(
                "GET users", lambda: self._home._lookups.users(email=email, timeout_s=self._home._timeout_s)
            )
            found = [str(row["_id"]) for row in rows if row.get("_id") and _has_address(row, email)]
            self._users[email] = found
            self._keep("user:", email, found, certain=len(found) == 1)
        return self._users[email]

    def companies_of(self, domain: str) -> list[str]:
        held = self._domains.get(domain)
        if held:
            return held
        stale_ms = self._home._now_ms() - NOT_FOUND_S * 1000
        if not self._domains_looked and (self._domains_at_ms is None or self._domains_at_ms <= stale_ms):
            self._read_domains()
        return self._domains.get(domain, [])

    def _read_domains(self) -> None:
        home = self._home
        companies_by_domain: dict[str, set[str]] = {}
        seen: set[str] = set()
        for page_number in range(_MOST_PAGES):
            page = self._look_up("GET companies", partial(self._page, page_number * COMPANIES_MAX))
            new = [row for row in page if row.get("_id") and row["_id"] not in seen]
            for row in new:
                seen.add(row["_id"])
                for domain in _domains_of(row):
                    companies_by_domain.setdefault(domain, set()).add(str(row["_id"]))
            if len(page) < COMPANIES_MAX or not new:
                break
        self._domains = {domain: sorted(ids) for domain, ids in companies_by_domain.items()}
        self._domains_looked = True
        key, fresh = home._prefix + "domains", home._prefix + "domains:next"
        with unless_full(), home._redis.pipeline(transaction=True) as pipe:
            pipe.delete(fresh)
            names = list(self._domains.items())
            for start in range(0, len(names), 1000):
                pipe.hset(
                    fresh, mapping={domain: " ".join(ids) for domain, ids in names[start : start + 1000]}
                )
            if names:
                pipe.rename(fresh, key)
                pipe.expire(key, FOUND_S)
            else:
                pipe.delete(key)
            pipe.set(home._prefix + "domains:at", home._now_ms(), ex=FOUND_S)
            pipe.execute()

    def _page(self, offset: int) -> Sequence[Mapping[str, Any]]:
        return self._home._lookups.companies(
            limit=COMPANIES_MAX,
            offset=offset or None,
            select=("_id", "name", "externalId", "domains"),
            timeout_s=self._home._timeout_s,
        )

    def _look_up(
        self, operation: str, ask: Callable[[], Sequence[Mapping[str, Any]]]
    ) -> Sequence[Mapping[str, Any]]:
        if self._failed:
            raise _NotNow(self._failed)
        if self._offline:
            raise _NotNow(Unsure("not looked up"))
        if self._left <= 0 or not self._home._call():
            raise _NotNow(Unsure("more look-ups than one batch may make; the rest waits its turn"))
        self._left -= 1
        try:
            rows = ask()
        except PlanhatError as error:
            self._home._counted(operation, type(error).__name__)
            self._failed = _why(error, operation)
            raise _NotNow(self._failed) from error
        self._home._counted(operation, "200")
        return rows

    def _keep(self, word: str, email: str, found: Sequence[Any], *, certain: bool) -> None:
        # Nobody and several are what a person will mend in Planhat: looked at again soon.
        with unless_full():
            self._home._redis.set(
                self._home._prefix + word + address_digest(email),
                orjson.dumps(found),
                ex=FOUND_S if certain else NOT_FOUND_S,
            )


def _why(error: PlanhatError, operation: str) -> Unsure:
    text = str(error)
    if isinstance(error, PlanhatUnavailable):
        kind = "rate_limited" if "429" in text else "unavailable"
        return Unsure(text, Hold(kind, f"{operation}: {text}", error.retry_after_s))  # type: ignore[arg-type]
    if isinstance(error, PlanhatForbidden) and "403" not in text:
        return Unsure(text, Hold("blocked", text))
    # The token may deliver but not look up: only what needs the look-up waits, for a person.
    return Unsure(f"{operation}: {text}" if operation not in text else text, None, 60.0)


def _one(company_ids: Iterable[str], via: str) -> Verdict | None:
    distinct = sorted({company_id for company_id in company_ids if company_id})
    if not distinct:
        return None
    return Found(distinct[0], via) if len(distinct) == 1 else Ambiguous(tuple(distinct), via)


def _table(step: CompanyStep) -> dict[str, str]:
    return {_folded(step.key, str(key)): str(value) for key, value in step.table.items() if value}


def _folded(key: str, text: str) -> str:
    return text.casefold() if key in ("email", "domain") else text


def _has_address(row: Mapping[str, Any], email: str) -> bool:
    others = row.get("otherEmails")
    addresses = [row.get("email"), *(others if isinstance(others, list) else [others])]
    return any(isinstance(address, str) and address.strip().casefold() == email for address in addresses)


def _domains_of(row: Mapping[str, Any]) -> list[str]:
    # Others have seen lists come back as comma-delimited strings.
    held = row.get("domains")
    names = held.split(",") if isinstance(held, str) else held if isinstance(held, list) else []
    return [name.strip().casefold().rstrip(".") for name in names if isinstance(name, str) and name.strip()]
