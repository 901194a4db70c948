"""Look-ups in Planhat through a cache in Redis, within the fleet's call budget: end users by address, companies by domain. Every answer is checked here again, since Planhat ignores filters it does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import orjson
import redis

from relay.errors import PlanhatError
from relay.outbox import keys
from relay.outbox.address_digest import address_digest
from relay.outbox.scripts import reaching_redis, unless_full
from relay.planhat.limits import COMPANIES_MAX
from workers.companies.verdicts import Unsure, unsure_of

FOUND_S: Final = 24 * 3600
NOT_FOUND_S: Final = 600
#: New look-ups of one batch; the rest waits for the next, so that looking up never starves delivery.
LOOKUPS_PER_BATCH: Final = 30
_MOST_PAGES: Final = 40


class PlanhatLookUps(Protocol):
    """The look-ups of `relay.planhat.client.Planhat`."""

    def endusers(
        self, *, email: str | None = None, select: Iterable[str] = (), timeout_s: float | None = None
    ) -> Sequence[Mapping[str, Any]]: ...

    def companies(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        select: Iterable[str] = (),
        timeout_s: float | None = None,
    ) -> Sequence[Mapping[str, Any]]: ...


class LookUpPostponed(Exception):
    """A look-up that cannot be made now."""

    def __init__(self, unsure: Unsure) -> None:
        super().__init__(unsure.reason)
        self.unsure = unsure


@dataclass(frozen=True, slots=True)
class LookUpCache:
    """What a batch looks things up with. `call()` takes a place in the fleet's minute: False, no look-up now.
    `counted(operation, status)` is told of each call made."""

    redis: redis.Redis
    prefix: str
    planhat: PlanhatLookUps
    call: Callable[[], bool]
    now_ms: Callable[[], int]
    counted: Callable[[str, str], None]
    timeout_s: float


class LookUpBatch:
    """What is known for one batch: the cache first, then at most `LOOKUPS_PER_BATCH` look-ups. `offline`: none."""

    def __init__(self, cache: LookUpCache, *, offline: bool = False) -> None:
        self._cache = cache
        self._offline = offline
        self._left = LOOKUPS_PER_BATCH
        self._endusers: dict[str, list[list[str]]] = {}
        self._domains: dict[str, list[str]] = {}
        self._domains_at_ms: int | None = None
        self._domains_looked = False
        self._failed: Unsure | None = None

    def load_domains(self, domains: Sequence[str]) -> None:
        """Reads what the cache has of them."""
        cache = self._cache
        with reaching_redis():
            at: Any = cache.redis.get(cache.prefix + keys.DOMAINS_AT)
            rows: Any = cache.redis.hmget(cache.prefix + keys.DOMAINS, domains) if at and domains else []
        self._domains_at_ms = int(at) if at else None
        self._domains = {
            domain: row.decode().split() for domain, row in zip(domains, rows, strict=False) if row
        }

    def load_endusers(self, emails: Sequence[str]) -> None:
        """Reads what the cache has of them."""
        if not emails:
            return
        cache = self._cache
        names = [cache.prefix + keys.looked_up_enduser(address_digest(email)) for email in emails]
        with reaching_redis():
            rows: Any = cache.redis.mget(names)
        self._endusers.update(
            {email: orjson.loads(row) for email, row in zip(emails, rows, strict=True) if row}
        )

    def endusers(self, email: str) -> list[list[str]]:
        """Return [end user's id, company's id] of each with this address. Raises LookUpPostponed."""
        if email not in self._endusers:
            rows = self._look_up("GET endusers", lambda: self._cache.planhat.endusers(
                email=email,
                select=("_id", "companyId", "email", "otherEmails", "archived"),
                timeout_s=self._cache.timeout_s,
            ))  # fmt: skip
            found = [
                [str(row.get("_id", "")), str(row["companyId"])]
                for row in rows
                if _has_address(row, email) and row.get("companyId") and row.get("archived") is not True
            ]
            self._endusers[email] = found
            self._remember(email, found, certain=len({company for _, company in found}) == 1)
        return self._endusers[email]

    @property
    def failed(self) -> bool:
        """Whether a look-up failed, so that no other is made."""
        return self._failed is not None

    def knows(self, email: str) -> bool:
        """Tell whether an end user's address needs no call."""
        return email in self._endusers

    def companies_of(self, domain: str) -> list[str]:
        """Return the ids of the companies with this domain. Raises LookUpPostponed."""
        stored = self._domains.get(domain)
        if stored:
            return stored
        stale_ms = self._cache.now_ms() - NOT_FOUND_S * 1000
        if not self._domains_looked and (self._domains_at_ms is None or self._domains_at_ms <= stale_ms):
            self._read_domains()
        return self._domains.get(domain, [])

    def _read_domains(self) -> None:
        cache = self._cache
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
        key, fresh = cache.prefix + keys.DOMAINS, cache.prefix + keys.DOMAINS_NEXT
        with unless_full(), cache.redis.pipeline(transaction=True) as pipe:
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
            pipe.set(cache.prefix + keys.DOMAINS_AT, cache.now_ms(), ex=FOUND_S)
            pipe.execute()

    def _page(self, offset: int) -> Sequence[Mapping[str, Any]]:
        return self._cache.planhat.companies(
            limit=COMPANIES_MAX,
            offset=offset or None,
            select=("_id", "name", "externalId", "domains"),
            timeout_s=self._cache.timeout_s,
        )

    def _look_up(
        self, operation: str, ask: Callable[[], Sequence[Mapping[str, Any]]]
    ) -> Sequence[Mapping[str, Any]]:
        if self._failed:
            raise LookUpPostponed(self._failed)
        if self._offline:
            raise LookUpPostponed(Unsure("not looked up"))
        if self._left <= 0 or not self._cache.call():
            raise LookUpPostponed(Unsure("more look-ups than one batch may make; the rest waits its turn"))
        self._left -= 1
        try:
            rows = ask()
        except PlanhatError as error:
            self._cache.counted(operation, type(error).__name__)
            self._failed = unsure_of(error, operation)
            raise LookUpPostponed(self._failed) from error
        self._cache.counted(operation, "200")
        return rows

    def _remember(self, email: str, found: Sequence[Any], *, certain: bool) -> None:
        # Nobody and several are what a person will mend in Planhat: looked at again soon.
        with unless_full():
            self._cache.redis.set(
                self._cache.prefix + keys.looked_up_enduser(address_digest(email)),
                orjson.dumps(found),
                ex=FOUND_S if certain else NOT_FOUND_S,
            )


def _has_address(row: Mapping[str, Any], email: str) -> bool:
    others = row.get("otherEmails")
    addresses = [row.get("email"), *(others if isinstance(others, list) else [others])]
    return any(isinstance(address, str) and address.strip().casefold() == email for address in addresses)


def _domains_of(row: Mapping[str, Any]) -> list[str]:
    # Others have seen lists come back as comma-delimited strings.
    stored = row.get("domains")
    names = stored.split(",") if isinstance(stored, str) else stored if isinstance(stored, list) else []
    return [name.strip().casefold().rstrip(".") for name in names if isinstance(name, str) and name.strip()]
