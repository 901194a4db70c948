"""What an operation needs: the outbox, and today's config and rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from relay.config import Config, SourceConfig
from relay.door.house import House
from relay.errors import RelayError
from relay.operations.lanes import sources_of
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox
from relay.rules.rule import RuleBook
from relay.settings import Settings
from relay.sources.base import Sample


class OperatorContext(Protocol):
    """Who may operate: the web side's `WebContext`, the command line's and the workers' contexts."""

    @property
    def outbox(self) -> Outbox: ...

    @property
    def config(self) -> Config: ...

    @property
    def rulebook(self) -> RuleBook: ...


class KeyedContext(OperatorContext, Protocol):
    """One that also knows the process's settings: what sends something again must know what was erased."""

    @property
    def settings(self) -> Settings: ...


def tenant_of(context: OperatorContext) -> str:
    """Return the tenant's name in Planhat's app, for links to its records; "" where none is set, or the config does not hold."""
    try:
        return context.config.planhat.tenant
    except RelayError:
        return ""


@dataclass(frozen=True, slots=True)
class WebContext:
    """The web side's, of one lane. `current` gives the house of this moment: the config may be exchanged at any time. `post` gives a request to this
    relay's own door, as `(source, request) -> (status, body)`, from a thread of the web side; None where it has none."""

    outbox: Outbox
    delivery: Delivery
    settings: Settings
    current: Callable[[], House]
    post: Callable[[str, Sample], tuple[int, bytes]] | None = None

    @property
    def config(self) -> Config:
        """Today's, with what is this lane's own."""
        return self.current().config.for_lane(self.outbox.lane_name)

    @property
    def rulebook(self) -> RuleBook:
        return self.current().book

    @property
    def sources(self) -> dict[str, SourceConfig]:
        """Return the config's sources whose events go to this lane, or may."""
        house = self.current()
        return sources_of(house.config, house.book, self.outbox.lane_name)
