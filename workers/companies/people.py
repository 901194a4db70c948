"""Who took part in a conversation, as Planhat wants to be told: `{"id": ...}`, found by address. Best effort: what cannot be
asked now never delays a delivery; the conversation goes out again later (`PeopleFound.unasked`).

Our own team is one list, read as a whole; endusers are looked up one by one, through the cache that companies are found by.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from relay.errors import PlanhatError
from relay.free_mail import FREE_MAIL
from relay.outbox import keys
from relay.outbox.address_digest import address_digest
from relay.outbox.scripts import reaching_redis, unless_full
from relay.planhat.limits import USERS_MAX
from workers.companies.lookup_cache import FOUND_S, NOT_FOUND_S, LookUpBatch, LookUpCache, LookUpPostponed

#: Looked up, or made, for one part of a batch: Planhat's answer to the batch waits for the worker meanwhile.
LOOKUPS_PER_PART: Final = 10
#: No further one begins later than this into the part.
LOOK_UPS_PATIENCE_S: Final = 1.0
#: After a failure nobody is looked up for so long.
QUIET_S: Final = 30.0
_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
#: Programs that write mails; nobody's contact.
_NOBODY: Final = re.compile(
    r"(?:no-?reply|do-?not-?reply|mailer-daemon|postmaster|bounces?)(?:[+.-].*)?@", re.IGNORECASE
)


class TeamAndEndusers(Protocol):
    """What of `relay.planhat.client.Planhat` people take."""

    def users(
        self, *, limit: int | None = None, timeout_s: float | None = None
    ) -> Sequence[Mapping[str, Any]]: ...

    def upsert_enduser(self, enduser: Mapping[str, Any], *, timeout_s: float | None = None) -> str: ...


@dataclass(frozen=True, slots=True)
class PeopleWanted:
    """The people of one conversation as its rule names them, and its company."""

    company_id: str
    users: Sequence[Any] = ()
    endusers: Sequence[Any] = ()


@dataclass(slots=True)
class PeopleFound:
    """Those that Planhat knows. `unasked`: somebody could not be looked up now."""

    users: list[dict[str, Any]] = field(default_factory=list)
    endusers: list[dict[str, Any]] = field(default_factory=list)
    unasked: bool = False


class PeopleLookUp:
    """`cache.call()` takes a place in the fleet's minute only while there is plenty. `create`: endusers whom nobody knows are
    made. `look_up`: off where `planhat.resolve_people` is."""

    def __init__(
        self,
        cache: LookUpCache,
        planhat: TeamAndEndusers,
        *,
        look_up: bool = True,
        create: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._planhat = planhat
        self._look_up = look_up
        self._create = create
        self._clock = clock
        self._quiet_until = float("-inf")

    def resolve(self, wanted: Sequence[PeopleWanted]) -> list[PeopleFound]:
        """Return one answer for each, in order. Raises OutboxUnavailable."""
        emails = {
            email
            for one in wanted
            for person in (*one.users, *one.endusers)
            if (email := mail_address_of(person))
        }
        if not emails or not self._look_up:
            return [_with_ids_alone(one) for one in wanted]
        part = _Part(self, sorted(emails))
        return [part.resolved(one) for one in wanted]

    def _quiet(self) -> bool:
        return self._clock() < self._quiet_until


class _Part:
    """One part's people: the team and the cache first, then at most `LOOKUPS_PER_PART` calls."""

    def __init__(self, home: PeopleLookUp, emails: Sequence[str]) -> None:
        self._home = home
        self._cache = home._cache
        self._until = home._clock() + LOOK_UPS_PATIENCE_S
        self._left = LOOKUPS_PER_PART
        self._made: dict[str, str] = {}
        self._own_domains: frozenset[str] = frozenset()
        self._team_known = False
        self._team = self._read_team(emails)
        self._endusers = LookUpBatch(self._cache)
        self._endusers.load_endusers([email for email in emails if email not in self._team])

    def resolved(self, wanted: PeopleWanted) -> PeopleFound:
        found = PeopleFound()
        users: dict[str, dict[str, Any]] = {}
        endusers: dict[str, dict[str, Any]] = {}
        for person in wanted.users:
            email = mail_address_of(person)
            known = self._team.get(email, "") if email else person_id(person)
            if known:
                users[known] = {"id": known, **_owner(person)}
            found.unasked |= bool(email) and not self._team_known
        for person in wanted.endusers:
            email = mail_address_of(person)
            if email in self._team:
                # One of ours, whatever the rule takes them for.
                continue
            known, asked = (
                self._enduser(person, email, wanted.company_id) if email else (person_id(person), True)
            )
            if known:
                endusers[known] = {"id": known}
            found.unasked |= not asked
        found.users, found.endusers = list(users.values()), list(endusers.values())
        return found

    # -- our own team ----------------------------------------------------------------------------------------

    def _read_team(self, emails: Sequence[str]) -> dict[str, str]:
        """email -> user id. The list is read anew where it is old and somebody is not on it."""
        cache, names = self._cache, [address_digest(email) for email in emails]
        with reaching_redis():
            pipe = cache.redis.pipeline(transaction=False)
            pipe.mget([cache.prefix + keys.TEAM_AT, cache.prefix + keys.TEAM_DOMAINS])
            pipe.hmget(cache.prefix + keys.TEAM, names)
            (at, domains), ids = pipe.execute()
        self._team_known = at is not None
        self._own_domains = frozenset(orjson.loads(domains)) if domains else frozenset()
        if at is not None and (all(ids) or cache.now_ms() - int(at) < NOT_FOUND_S * 1000):
            return {email: one.decode() for email, one in zip(emails, ids, strict=True) if one}
        team = self._ask_for_team()
        if team is None:
            return {email: one.decode() for email, one in zip(emails, ids, strict=True) if one}
        self._team_known = True
        return {email: team[digest] for email, digest in zip(emails, names, strict=True) if digest in team}

    def _ask_for_team(self) -> dict[str, str] | None:
        rows = self._call(
            "GET users", lambda: self._home._planhat.users(limit=USERS_MAX, timeout_s=self._cache.timeout_s)
        )
        if rows is None:
            return None
        by_email: dict[str, set[str]] = {}
        for row in rows:
            email = row.get("email")
            if isinstance(email, str) and "@" in email and row.get("_id"):
                by_email.setdefault(email.strip().casefold(), set()).add(str(row["_id"]))
        domains = {email.rpartition("@")[2] for email in by_email}
        self._own_domains = frozenset(domains) - FREE_MAIL
        team = {address_digest(email): next(iter(ids)) for email, ids in by_email.items() if len(ids) == 1}
        cache = self._cache
        key, fresh = cache.prefix + keys.TEAM, cache.prefix + keys.TEAM_NEXT
        with unless_full(), cache.redis.pipeline(transaction=True) as pipe:
            pipe.delete(fresh)
            if team:
                pipe.hset(fresh, mapping=team)  # type: ignore[arg-type]
                pipe.rename(fresh, key)
                pipe.expire(key, FOUND_S)
            else:
                pipe.delete(key)
            pipe.set(cache.prefix + keys.TEAM_AT, cache.now_ms(), ex=FOUND_S)
            pipe.set(cache.prefix + keys.TEAM_DOMAINS, orjson.dumps(sorted(self._own_domains)), ex=FOUND_S)
            pipe.execute()
        return team

    # -- endusers --------------------------------------------------------------------------------------------

    def _enduser(self, person: Any, email: str, company_id: str) -> tuple[str, bool]:
        """(the enduser's id, "" for nobody and for several; whether it could be asked)."""
        if email in self._made:
            return self._made[email], True
        if not self._endusers.knows(email) and not self._may_call():
            return "", False
        try:
            rows = self._endusers.endusers(email)
        except LookUpPostponed:
            self._left = 0
            if self._endusers.failed:
                self._hush()
            return "", False
        if not rows:
            return self._maybe_made(person, email, company_id)
        if len(rows) > 1:
            rows = [row for row in rows if row[1] == company_id]
        elif _ID.fullmatch(company_id) and rows[0][1] and rows[0][1] != company_id:
            # Somebody of another company: Planhat would leave them out in silence.
            return "", True
        return (rows[0][0], True) if len(rows) == 1 else ("", True)

    def _maybe_made(self, person: Any, email: str, company_id: str) -> tuple[str, bool]:
        domain = email.rpartition("@")[2]
        if not self._home._create or not company_id or domain in self._own_domains or _NOBODY.match(email):
            return "", True
        if not self._team_known or not self._may_call():
            # Who may be one of ours is not made a customer.
            return "", False
        name = str(person.get("name") or "").strip() or email
        made = self._call(
            "PUT endusers",
            lambda: self._home._planhat.upsert_enduser(
                {"email": email, "name": name, "companyId": company_id}, timeout_s=self._cache.timeout_s
            ),
            taken=True,
        )
        if made is None:
            return "", False
        self._made[email] = made
        # What was looked up before is no longer so.
        with unless_full():
            self._cache.redis.delete(self._cache.prefix + keys.looked_up_enduser(address_digest(email)))
        return made, True

    # -- calls -----------------------------------------------------------------------------------------------

    def _may_call(self) -> bool:
        if self._left <= 0 or self._home._quiet() or self._home._clock() > self._until:
            return False
        self._left -= 1
        return True

    def _call(self, operation: str, ask: Callable[[], Any], *, taken: bool = False) -> Any:
        """What was answered; None where there is no call to spare, or it failed."""
        if not (taken or self._may_call()) or not self._cache.call():
            return None
        try:
            answer = ask()
        except PlanhatError as error:
            self._cache.counted(operation, type(error).__name__)
            self._hush()
            return None
        self._cache.counted(operation, "200")
        return answer

    def _hush(self) -> None:
        self._home._quiet_until = self._home._clock() + QUIET_S


def mail_address_of(person: Any) -> str:
    """Return the address that a person is to be found by, in small letters; "" for who has an id, or neither."""
    if not isinstance(person, Mapping) or person_id(person):
        return ""
    email = person.get("email")
    return email.strip().casefold() if isinstance(email, str) and "@" in email else ""


def person_id(person: Any) -> str:
    """Return a person's id in Planhat, "" without one: Planhat leaves out whoever has no id of its own, in silence."""
    if not isinstance(person, Mapping):
        return ""
    return next(
        (one for key in ("id", "_id") if isinstance(one := person.get(key), str) and _ID.fullmatch(one)), ""
    )


def _owner(person: Any) -> dict[str, bool]:
    return {"isOwner": True} if person.get("isOwner") is True else {}


def _with_ids_alone(wanted: PeopleWanted) -> PeopleFound:
    def known(people: Iterable[Any], *, owners: bool) -> list[dict[str, Any]]:
        return [
            {"id": one, **(_owner(person) if owners else {})}
            for person in people
            if (one := person_id(person))
        ]

    return PeopleFound(known(wanted.users, owners=True), known(wanted.endusers, owners=False))
