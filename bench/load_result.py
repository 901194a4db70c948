"""What a run of the load generator measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Result:
    """`latencies_s` sorted; `statuses` counts answers by HTTP status; `errors` are requests whose connection broke;
    `began_s` is on the monotonic clock; `cpu_s` is the generator's own."""

    began_s: float = 0.0
    took_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    errors: int = 0
    cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        return sum(self.statuses.values()) / self.took_s if self.took_s else 0.0

    @property
    def generator_cores(self) -> float:
        """Cores that the generator kept busy: near 1, it was itself the limit."""
        return self.cpu_s / self.took_s if self.took_s else 0.0

    def percentile_ms(self, share: float) -> float:
        return percentile(self.latencies_s, share) * 1000

    def all_were(self, status: int) -> None:
        """Raises RuntimeError where anything else was answered: a rate of refusals is no rate."""
        if set(self.statuses) != {status} or self.errors:
            raise RuntimeError(f"answers: {dict(self.statuses)}, broken connections: {self.errors}")


def percentile(values: Sequence[float], share: float) -> float:
    """Of sorted values; 0 where there are none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0
