"""What a run of many seeds comes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    seeds: int = 0
    events: int = 0
    crashes: int = 0
    calls: int = 0
    outages: int = 0
    takeovers: int = 0
    refusals: int = 0
    dead: int = 0
    hangs: int = 0
    full: int = 0
    set_back: int = 0
    forgotten: int = 0
    clock_back: int = 0
    late: int = 0
    #: Lanes whose process died with another's flush, and lanes that a person held.
    together: int = 0
    held: int = 0
    statements: int = 0
