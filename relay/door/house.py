"""The house: one config, its rules and its sources' adapters, built together and swapped whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relay.config import Config, SourceConfig
from relay.errors import ConfigInvalid, Mistake
from relay.outbox.archive import DROPPED_HEADERS
from relay.rules.rule import RuleBook
from relay.sources.base import Adapter, Credentials, Inbound
from relay.sources.proof.cut import all_places, without_credentials
from relay.sources.registry import build_adapter


@dataclass(frozen=True, slots=True)
class Source:
    """One configured source, ready: its adapter, body limit in bytes and rate in events a second (0: no limit)."""

    config: SourceConfig
    adapter: Adapter
    max_body_bytes: int
    rate_per_s: float
    credentials: Credentials

    def clean(self, inbound: Inbound) -> Inbound:
        """Return a verified request without its credentials: what is parsed, kept and shown from here on."""
        return without_credentials(inbound, self.credentials, self.config.options.secrets)


@dataclass(frozen=True, slots=True)
class House:
    """One version of the config with everything built from it; swapped whole when the file changes."""

    config: Config
    book: RuleBook
    sources: Mapping[str, Source]

    @property
    def dedupe_s(self) -> float:
        """How long a delivery is remembered: as `keep.dedupe` says, but never shorter than its proof would be accepted
        again."""
        windows = (source.adapter.proof_window_s for source in self.sources.values())
        return max(self.config.keep.dedupe_s, *windows, 0.0)


def furnish(config: Config, book: RuleBook) -> House:
    """Builds the adapters. Raises ConfigInvalid naming every source whose options do not do."""
    sources, mistakes = {}, []
    for name, source in config.sources.items():
        try:
            adapter = build_adapter(source.options)
        except ValueError as error:
            line = config.lines.get(f"sources.{name}")
            mistakes.append(Mistake(str(error), config.file, line, f"source {name}"))
            continue
        sources[name] = Source(
            config=source,
            adapter=adapter,
            max_body_bytes=source.max_body_bytes or adapter.max_body_bytes,
            rate_per_s=source.rate_limit or 0.0,
            credentials=all_places(adapter.credentials, source.options.api_key_header, *DROPPED_HEADERS),
        )
    if mistakes:
        raise ConfigInvalid(mistakes)
    return House(config=config, book=book, sources=sources)
