"""Which company a conversation belongs to: the config's `companies`, in their order, for a whole batch at once.

Tables and `default` answer at once; `enduser_email` and `company_domain` ask Planhat (`lookup_cache.py`). Several
companies are not a guess to make: `Ambiguous`. A look-up that cannot be made now is `Unsure`: the item waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import redis

from relay.config import CompanyStep
from relay.free_mail import FREE_MAIL
from relay.outbox.keys import BASE, LANE, lane_prefix
from workers.companies.lookup_cache import LookUpBatch, LookUpCache, LookUpPostponed, PlanhatLookUps
from workers.companies.parked import ParkedLetters
from workers.companies.verdicts import Ambiguous, Ask, CompanyVerdict, Found, Missing


class CompanyDirectory:
    """`call(operation)` takes a place in the fleet's minute: False, no look-up now. `counted(operation, status)` is
    told of each call made."""

    def __init__(
        self,
        client: redis.Redis,
        steps: Sequence[CompanyStep],
        lookups: PlanhatLookUps,
        *,
        call: Callable[[], bool],
        now_ms: Callable[[], int],
        counted: Callable[[str, str], None] = lambda operation, status: None,
        lane: str = LANE,
        base: str = BASE,
        timeout_s: float = 20.0,
    ) -> None:
        prefix = lane_prefix(lane, base)
        self.parked = ParkedLetters(client, prefix, now_ms)
        self._cache = LookUpCache(client, prefix, lookups, call, now_ms, counted, timeout_s)
        self._steps = tuple(steps)
        self._tables = [_table(step) for step in self._steps]
        self._asks_endusers = any(step.kind == "enduser_email" for step in self._steps)
        self._asks_domains = any(step.kind == "company_domain" for step in self._steps)

    # -- companies -------------------------------------------------------------------------------------------

    def resolve(self, questions: Sequence[Sequence[Ask]], *, offline: bool = False) -> list[CompanyVerdict]:
        """Return one verdict per conversation, each asked for by its patches' asks, the earliest first. `offline`: nobody is
        called; what only a call would tell is `Unsure`."""
        batch = LookUpBatch(self._cache, offline=offline)
        self._load(batch, questions)
        # A batch asks the same of many: one channel, one customer.
        known: dict[tuple[Ask, ...], CompanyVerdict] = {}
        verdicts: list[CompanyVerdict] = []
        for asks in questions:
            key = tuple(asks)
            verdict = known.get(key)
            if verdict is None:
                verdict = known[key] = self._verdict(asks, batch)
            verdicts.append(verdict)
        return verdicts

    def _load(self, batch: LookUpBatch, questions: Sequence[Sequence[Ask]]) -> None:
        if not (self._asks_endusers or self._asks_domains):
            return
        asks = {ask for question in questions for ask in question if not ask.company_id}
        if self._asks_endusers:
            batch.load_endusers(sorted({ask.get("email").casefold() for ask in asks} - {""}))
        if self._asks_domains:
            batch.load_domains(sorted({ask.get("domain").casefold().rstrip(".") for ask in asks} - {""}))

    def _verdict(self, asks: Sequence[Ask], batch: LookUpBatch) -> CompanyVerdict:
        for ask in asks:
            if ask.company_id:
                return Found(ask.company_id, "rule")
        try:
            for step, table in zip(self._steps, self._tables, strict=True):
                for ask in asks or (Ask(),):
                    verdict = self._step(step, table, ask, batch)
                    if verdict is not None:
                        return verdict
        except LookUpPostponed as error:
            return error.unsure
        return Missing(tuple(dict.fromkeys(pair for ask in asks for pair in ask.company)))

    def _step(
        self, step: CompanyStep, table: Mapping[str, str], ask: Ask, batch: LookUpBatch
    ) -> CompanyVerdict | None:
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


def _one(company_ids: Iterable[str], via: str) -> CompanyVerdict | None:
    distinct = sorted({company_id for company_id in company_ids if company_id})
    if not distinct:
        return None
    return Found(distinct[0], via) if len(distinct) == 1 else Ambiguous(tuple(distinct), via)


def _table(step: CompanyStep) -> dict[str, str]:
    return {_folded(step.key, str(key)): str(value) for key, value in step.table.items() if value}


def _folded(key: str, text: str) -> str:
    return text.casefold() if key in ("email", "domain") else text
