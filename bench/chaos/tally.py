"""What a run of many seeds comes to."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field

#: Slack gives up after this.
SLACK_S = 3.0


@dataclass
class Tally:
    """`took`: how long each post took, by what was done to the relay meanwhile ("": nothing). `noticed`: seconds until the relay
    said what was done to it; `over`: until it was well again once that was over."""

    injected: Counter[str] = field(default_factory=Counter)
    events: int = 0
    duplicates: int = 0
    refused_answers: Counter[str] = field(default_factory=Counter)
    seeds: int = 0
    dead: int = 0
    lost: int = 0
    forgotten: int = 0
    stale: int = 0
    twice: int = 0
    untrue: int = 0
    statements: Counter[str] = field(default_factory=Counter)
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    noticed: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    over: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def posted(self, during: str, status: int, seconds: float) -> None:
        with self.lock:
            self.refused_answers[str(status)] += status not in (200, 202)
            self.took[during].append(seconds)

    def lines(self) -> list[str]:
        posts = {name: sorted(times) for name, times in sorted(self.took.items()) if times}
        return [
            f"{self.seeds} seeds, {self.events} events accepted, {self.duplicates} sent twice on purpose, "
            f"{sum(number for what, number in self.injected.items() if not what.startswith('fault:'))} injections:",
            *(f"  {what}: {number}" for what, number in sorted(self.injected.items())),
            "statements held against the truth: "
            + ", ".join(f"{what} {number}" for what, number in sorted(self.statements.items())),
            *(f"  said within: {what}: {_spread(times)}" for what, times in sorted(self.noticed.items())),
            *(f"  well again within: {what}: {_spread(times)}" for what, times in sorted(self.over.items())),
            *(
                f"  answers to senders, {name or 'nothing done'}: {len(times)}, p50 {_part(times, 0.5) * 1000:.0f} ms, p99.9 "
                f"{_part(times, 0.999) * 1000:.0f} ms, slowest {times[-1] * 1000:.0f} ms"
                for name, times in posts.items()
            ),
            f"answers to senders other than 202: {dict(+self.refused_answers)}; dead letters mended: {self.dead}; lost {self.lost} "
            f"(beside {self.forgotten} of states that were put back), stale {self.stale}, twice in effect {self.twice}, untrue "
            f"statements {self.untrue}",
        ]


def _part(times: list[float], part: float) -> float:
    return times[min(len(times) - 1, int(len(times) * part))]


def _spread(times: list[float]) -> str:
    ordered = sorted(times)
    return f"median {_part(ordered, 0.5):.2f} s, longest {ordered[-1]:.2f} s ({len(ordered)})"
