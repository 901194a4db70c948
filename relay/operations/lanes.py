"""Lanes as every process of the relay opens them: where each one's Planhat is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from relay.config import Config, SourceConfig
from relay.lane_name import MAIN
from relay.rules.rule import Rule, RuleBook
from relay.settings import Settings


@dataclass(frozen=True, slots=True)
class LaneTenant:
    """One lane's Planhat. `given`: somebody has named its address; otherwise it is the usual one."""

    url: str
    token: Callable[[], str] = field(repr=False)
    given: bool = True
    lane: str = MAIN


def lane_tenant(config: Config, lane: str, settings: Settings) -> LaneTenant:
    """Return where `lane` delivers: what it says itself, else what the environment says. Raises KeyError for one that is not there."""
    held = config.lane(lane)
    return LaneTenant(
        held.url or settings.planhat_url,
        held.token or settings.planhat_token,
        bool(held.url) or settings.planhat_url_given,
        lane,
    )


def lane_option(lane: str, config: Config | None = None) -> str:
    """Return what a command wants behind it to mean this lane: " --lane NAME", "" where there is one lane alone."""
    return f" --lane {lane}" if lane != MAIN or (config is not None and config.lanes) else ""


def sources_of(config: Config, book: RuleBook, lane: str) -> dict[str, SourceConfig]:
    """Return the config's sources whose events go to `lane`, or may by a rule."""
    return {
        name: source
        for name, source in config.sources.items()
        if source.lane == lane or any(rule.lane == lane for rule in book.rules_for(name))
    }


def goes_to(rule: Rule, config: Config, lane: str) -> bool:
    """Tell whether events that this rule takes may go to `lane`."""
    if rule.lane or not config.lanes:
        return (rule.lane or lane) == lane
    return any(source.lane == lane for name, source in config.sources.items() if rule.concerns(name))
