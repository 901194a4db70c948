"""The figures that have a target, or should stand in the table anyway, in its order."""

from __future__ import annotations

from dataclasses import dataclass

#: Growth of the cost of an item from the smallest backlog to the largest that still counts as none.
FLAT = 1.2


@dataclass(frozen=True, slots=True)
class Row:
    """`cell`: words of the cell's name, `*` between those that stand apart, `|` between choices. `least` and `most` are the
    target, `goal` what would be better still; `scale` turns the measured unit into `unit`."""

    what: str
    part: str
    cell: str
    figure: str
    unit: str = ""
    scale: float = 1.0
    least: float | None = None
    most: float | None = None
    goal: float | None = None

    def target(self) -> str:
        if self.least is not None:
            return f">= {self.least:,g}{self.unit}" + (f", goal {self.goal:,g}" if self.goal else "")
        return f"<= {self.most:,g}{self.unit}" if self.most is not None else ""

    def verdict(self, value: float) -> str:
        if self.least is not None:
            if value < self.least:
                return "**missed**"
            return "met" if not self.goal or value < self.goal else "met, goal too"
        if self.most is not None:
            return "met" if value <= self.most else "**missed**"
        return ""


_AT = "a second"
_ZERO, _FAR = "*, 0 ms", "*, 200 ms"

ROWS = (
    Row("door, accepted/s, 64 connections", "door", "saturation", "accepted_per_s"),
    Row("bare Starlette 202, requests/s", "door", "saturation", "bare_per_s"),
    Row("door / bare", "door", "saturation", "ratio", least=0.2, goal=0.3),
    Row("bare CPU / door's web CPU, a request", "door", "saturation", "cpu_ratio"),
    Row("door, web CPU an event", "door", "saturation", "web_cpu_us", " us"),
    Row("door, Redis CPU an event", "door", "saturation", "redis_cpu_us", " us"),
    Row("door / Redis's pipelined SETs of the same bytes", "door", "saturation", "redis_ratio"),
    Row("door at 500/s, p50", "door", _AT, "p50_ms", " ms"),
    Row("door at 500/s, p99", "door", _AT, "p99_ms", " ms", most=15),
    Row("door at 500/s, p99.9", "door", _AT, "p999_ms", " ms"),
    Row("bare at 500/s, p99", "door", _AT, "bare_p99_ms", " ms"),
    Row("drain, an event a conversation, 0 ms a call, items/s", "drain", _ZERO, "items_per_s", least=15_000, goal=30_000),
    Row("the same / a plain loop of PUTs", "drain", _ZERO, "ratio"),
    Row("the same / Redis's pipelined SETs", "drain", _ZERO, "redis_ratio"),
    Row("the same, worker CPU an item", "drain", _ZERO, "worker_cpu_us_an_item", " us"),
    Row("the same, Redis CPU an item", "drain", _ZERO, "redis_cpu_us_an_item", " us"),
    Row("the same while Redis rewrites its file, items/s", "drain", "Redis rewriting its file", "items_per_s"),
    Row("drain, 200 ms a call, items/s", "drain", _FAR, "items_per_s"),
    Row("the same / a plain loop of PUTs of the same size (what latency allows)", "drain", _FAR, "ratio", least=0.9),
    Row("the same / a plain loop of PUTs of 5,000", "drain", _FAR, "ratio_of_largest_batches"),
    Row("drain, ten events a conversation, 0 ms a call, events/s", "drain", "of 5,000 conv*, 0 ms|of 1,500 conv*, 0 ms", "events_per_s"),
    Row("the same at 200 ms / a plain loop of PUTs of the same size", "drain", "of 5,000 conv*, 200 ms|of 1,500 conv*, 200 ms", "ratio", least=0.9),
    Row("end to end at 5/s, p50", "latency", "5 a second, 0 ms", "p50_ms", " ms", most=100),
    Row("end to end at 5/s, p99", "latency", "5 a second, 0 ms", "p99_ms", " ms"),
    Row("end to end at 50/s, 150 calls a minute, p50", "latency", "50 a second for|50 a second, 0 ms", "p50_ms", " ms"),
    Row("end to end at 50/s, 150 calls a minute, p99", "latency", "50 a second for|50 a second, 0 ms", "p99_ms", " ms", most=1_000),
    Row("end to end at 50/s, p99.9", "latency", "50 a second for|50 a second, 0 ms", "p999_ms", " ms"),
    Row("end to end at 500/s, p99", "latency", "500 a second, 0 ms", "p99_ms", " ms"),
    Row("end to end at 500/s, 200 ms a call, p99", "latency", "500 a second, 200 ms", "p99_ms", " ms"),
    Row("idle relay (web, supervisor, workers), CPU", "idle", "nothing", "relay_cpu_percent", " %", most=1),
    Row("idle Redis, CPU", "idle", "nothing", "redis_cpu_percent", " %"),
    Row("Redis bytes per pending event", "memory", "pending", "redis_bytes_an_event"),
    Row("the same / stored bytes", "memory", "pending", "ratio", most=1.6),
    Row("Redis bytes per kept document", "memory", "delivered", "document_bytes"),
    Row("Redis bytes per delivered conversation, archive included", "memory", "delivered", "redis_bytes_a_conversation"),
    Row("web, RSS after load", "memory", "processes", "web_rss_mb", " MB", most=80),
    Row("flush worker, peak RSS, an event a conversation", "drain", _ZERO, "worker_peak_mb", " MB", most=90),
    Row("flush worker, peak RSS, ten events a conversation", "drain", "of 5,000 conv|of 1,500 conv", "worker_peak_mb", " MB", most=90),
    Row("supervisor, RSS", "drain", _ZERO, "supervisor_rss_mb", " MB"),
    Row("dead-letter worker, RSS", "drain", _ZERO, "dead_letter_rss_mb", " MB"),
    Row("`relay --help`", "start", "relay --help", "s", " s", most=0.3),
    Row("`relay serve`, ready", "start", "relay serve", "ready_s", " s", most=1.5),
)  # fmt: skip
