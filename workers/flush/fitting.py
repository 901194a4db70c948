"""What is sent of a folded conversation: people and tags by their ids, custom fields that the tenant has.

The document keeps what the rules said (addresses, names of tags); what Planhat takes of it is decided here, each time anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from relay.config import Config
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from relay.planhat.custom_fields import Finding, compare_fields, kind_of, misfit
from workers.companies.lookup_cache import LookUpCache, PlanhatLookUps
from workers.companies.people import PeopleFound, PeopleLookUp, PeopleWanted, TeamAndEndusers
from workers.flush.fold import FoldedItem
from workers.flush.notices import Notices
from workers.pace.pace import Pace
from workers.tenant.catalogue import Catalogue, Lists

#: People and lists are asked for only while so much of the minute's calls is unused; each call may take so long.
SPARE: Final = 0.5
PEOPLE_TIMEOUT_S: Final = 5.0
_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_PEOPLE: Final = frozenset({"users", "endusers"})


class TenantClient(PlanhatLookUps, TeamAndEndusers, Lists, Protocol):
    """What of `relay.planhat.client.Planhat` is asked."""


@dataclass(slots=True)
class Fit:
    """`changes`: properties that go out otherwise than they were folded; None: left out. `unasked`: something could not be
    looked up now, so that it is to go once more. `lacking`: custom fields for whose lack it must not go."""

    changes: dict[str, Any] = field(default_factory=dict)
    unasked: bool = False
    lacking: tuple[Finding, ...] = ()


#: What goes out as it was folded.
_AS_IT_IS: Final = Fit()


class Fitting:
    """Makes what Planhat takes of a document, for one lane."""

    def __init__(self, config: Config, people: PeopleLookUp, catalogue: Catalogue, notices: Notices) -> None:
        self._config = config.planhat
        self._people = people
        self._catalogue = catalogue
        self._notices = notices
        self._defined: Mapping[str, str] = {}
        #: By the names of a conversation's custom fields: those that the tenant lacks.
        self._lacking: dict[tuple[str, ...], frozenset[str]] = {}
        #: Rules and names whose fields that are well were taken off the list of what is not.
        self._checked: set[tuple[str, tuple[str, ...]]] = set()

    def fit(self, items: Sequence[FoldedItem]) -> list[Fit]:
        """Return one for each, in order. Raises OutboxUnavailable."""
        #: By place, of those of which anything is to be said: few.
        fits: defaultdict[int, Fit] = defaultdict(Fit)
        #: What is amiss is told once for all of these: (rule, names).
        told: set[tuple[str, frozenset[str]]] = set()
        self._fit_people(items, fits)
        if self._config.activity_tags == "ids":
            for n, item in enumerate(items):
                if tags := item.fields.get("activityTags"):
                    self._fit_tags(tags, fits[n])
        wrote = [n for n, item in enumerate(items) if "custom" in item.fields]
        defined = self._defined_now() if wrote else None
        if defined is not None:
            for n in wrote:
                self._fit_custom(items[n], defined, told, fits, n)
        return [fits.get(n, _AS_IT_IS) for n in range(len(items))] if fits else [_AS_IT_IS] * len(items)

    # -- people ----------------------------------------------------------------------------------------------

    def _fit_people(self, items: Sequence[FoldedItem], fits: defaultdict[int, Fit]) -> None:
        asked = [n for n, item in enumerate(items) if not _PEOPLE.isdisjoint(item.fields)]
        if not asked:
            return
        wanted = [
            PeopleWanted(
                items[n].company_id,
                _listed(items[n].fields.get("users")),
                _listed(items[n].fields.get("endusers")),
            )
            for n in asked
        ]
        for n, found in zip(asked, self._people.resolve(wanted), strict=True):
            fits[n].changes |= _people_of(items[n].fields, found)
            fits[n].unasked = found.unasked

    # -- tags ------------------------------------------------------------------------------------------------

    def _fit_tags(self, tags: Any, one: Fit) -> None:
        """Planhat knows tags by id: words are looked up in the tenant's list, and left out where that lacks them. Where no list is
        to be had, they go as they are: the API document calls tags strings."""
        words = [tag for tag in _listed(tags) if isinstance(tag, str)]
        if all(_ID.fullmatch(tag) for tag in words):
            return
        known = self._catalogue.tags()
        if known is None:
            return
        folded = {name.casefold(): tag for name, tag in known.items()}
        ids = [tag if _ID.fullmatch(tag) else known.get(tag) or folded.get(tag.casefold()) for tag in words]
        one.changes["activityTags"] = list(dict.fromkeys(tag for tag in ids if tag)) or None

    # -- custom fields ---------------------------------------------------------------------------------------

    def _fit_custom(
        self,
        item: FoldedItem,
        defined: Mapping[str, str],
        told: set[tuple[str, frozenset[str]]],
        fits: defaultdict[int, Fit],
        n: int,
    ) -> None:
        custom: Mapping[str, Any] = item.fields["custom"]
        names, rule = tuple(custom), item.document.rule
        lacking = self._lacking.get(names)
        if lacking is None:
            lacking = self._lacking[names] = frozenset(names) - frozenset(defined)
        amiss = lacking
        if len(lacking) < len(names):
            odd = [name for name in names if name not in lacking and misfit(defined[name], custom[name])]
            amiss = lacking.union(odd)
        if amiss and (rule, amiss) not in told:
            told.add((rule, amiss))
            self._tell(item, custom, defined, amiss)
        if (rule, names) not in self._checked:
            self._checked.add((rule, names))
            told.clear()
            self._notices.take_back(rule, [f"custom.{name}" for name in names if name not in amiss])
        if not lacking:
            return
        if self._config.undefined_fields == "refuse":
            kinds = {name: kind_of(custom[name]) for name in lacking}
            fits[n].lacking = tuple(compare_fields(kinds, defined))
        elif self._config.undefined_fields == "drop":
            fits[n].changes["custom"] = {name: custom[name] for name in names if name not in lacking} or None

    def _defined_now(self) -> Mapping[str, str] | None:
        """The tenant's custom fields; what was found out by others is forgotten."""
        defined = self._catalogue.custom_fields()
        if defined is not None and defined is not self._defined:
            if defined != self._defined:
                self._lacking.clear()
                self._checked.clear()
            self._defined = defined
        return defined

    def _tell(
        self, item: FoldedItem, custom: Mapping[str, Any], defined: Mapping[str, str], amiss: frozenset[str]
    ) -> None:
        rule, kind = item.document.rule, str(item.fields.get("type", ""))
        lacking = {name: kind_of(custom[name]) for name in amiss if name not in defined}
        for finding in compare_fields(lacking, defined):
            self._notices.tell(rule, kind, f"custom.{finding.name}", finding.what, finding.do)
        for name in sorted(amiss - lacking.keys()):
            self._notices.tell(rule, kind, f"custom.{name}", misfit(defined[name], custom[name]))


def fitting_of(
    config: Config,
    outbox: Outbox,
    planhat: TenantClient,
    pace: Pace,
    metrics: SharedMetrics,
    *,
    counted: Callable[[str, str], None],
    stop: Callable[[], bool] = lambda: False,
) -> Fitting:
    """Make one whose look-ups take only what the minute has to spare."""

    def call() -> bool:
        return pace.used(outbox.about_ms()) <= SPARE and pace.take_call(stop=stop, patience_s=0.0)

    client, prefix = outbox.redis, outbox.prefix
    cache = LookUpCache(client, prefix, planhat, call, outbox.now_ms, counted, PEOPLE_TIMEOUT_S)
    return Fitting(
        config,
        PeopleLookUp(cache, planhat, look_up=config.planhat.resolve_people, create=config.people.create),
        Catalogue(client, prefix, planhat, call=call, now_ms=outbox.now_ms, counted=counted),
        Notices(client, prefix, "fields", metrics=metrics, now_ms=outbox.about_ms),
    )


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _people_of(fields: Mapping[str, Any], found: PeopleFound) -> dict[str, Any]:
    """Whom Planhat is told of; an empty list would take away whom a person has named there."""
    named = {"users": found.users, "endusers": found.endusers}
    return {name: people or None for name, people in named.items() if name in fields}
