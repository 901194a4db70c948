"""Logs, one wide JSON line a request and a batch, stable names, never a body, secret or address; and what each metric means."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

import orjson

LOGGER = logging.getLogger("relay")

#: What /metrics says of each series.
HELP: dict[str, str] = {
    "relay_damaged_secrets": "Secrets whose file was emptied or damaged; the last good value is in use",
    "relay_books_balanced": "1 while accepted equals the sum of all states, per source",
    "relay_signature_failures_total": "Requests whose proof of authenticity was missing, wrong or stale",
    "relay_pending_items": "Conversations that wait by source, held and throttled ones included",
    "relay_oldest_pending_seconds": "Age of the oldest event that waits, held and throttled ones included",
    "relay_dead_letters": "Dead letters by cause and source",
    "relay_build_info": "1, with the release and Python's version",
    "relay_token_expiry_timestamp_seconds": "When Planhat's token ends, as the config says",
    "relay_paused_timestamp_seconds": "When delivery, or one source, was paused, and by whom",
    "relay_drop_ends_timestamp_seconds": "When a drop that is on ends by itself",
    "relay_planhat_differences": "What Planhat was found to keep or show otherwise than it was sent, in the last week",
    "relay_delivery_state": "1 for the state that delivery is in",
    "relay_calls_per_minute_used": "Calls to Planhat in the last 60 s, look-ups included",
    "relay_ready": "1 while events can be durably accepted, as /readyz says",
    "relay_redis_up": "1 while Redis answers",
    "relay_lane_redis_up": "1 while the server of this lane's keys answers; where the config has lanes",
    "relay_redis_durable": "1 while what Redis took is known to be on disk, and stays there",
    "relay_redis_fsync_confirmed": "1 for who says that a write is on disk: always, waitaof, or nobody",
    "relay_redis_memory_bytes": "Memory that Redis uses",
    "relay_redis_memory_max_bytes": "Redis's memory limit, 0 for none",
    "relay_worker_heartbeat_age_seconds": "Since any flush worker last asked for work",
    "relay_flush_alive": "1 while a flush worker asks for work in time",
    "relay_worker_deaths_total": "Worker processes that ended though nobody wanted them to, by queue",
    "relay_processes": "Processes that give signs of life, by role and release",
    "relay_spool_requests": "Accepted requests that wait on local disk",
    "relay_spool_bytes": "Their size",
    "relay_spool_newer_requests": "Spooled requests that only a newer release reads",
    "relay_spool_set_aside_total": "Spooled requests that could not be taken in",
    "relay_planhat_requests_total": "Calls to Planhat by operation and status",
    "relay_planhat_request_seconds": "How long calls to Planhat took",
    "relay_batch_items": "Items in one bulk upsert",
    "relay_end_to_end_seconds": "Accepted to delivered",
    "relay_rules_reload_failures_total": "Changed config files that were refused",
    "relay_redis_epoch_changes_total": "Redis was flushed or set back to an older state",
    "relay_redis_lost_events_total": "Accepted events that Redis did not know any more then, as far as was noticed",
    "relay_redis_clock_back_total": "Redis's clock went back",
    "relay_recalled_conversations_total": "Conversations of which Planhat's record was read before anything was sent",
    "relay_sent_again_total": "Conversations sent again because Planhat had less than was delivered",
    "relay_newer_records": "Conversations that wait for workers of a newer release",
    "relay_newer_records_total": "Items handed back because a newer release wrote them",
    "relay_conversations_unsure": "1 while conversations that are not known here may stand in Planhat",
    "relay_company_conflicts_total": "Conversations whose events name another company than the pinned one",
    "relay_alerts_total": "Tries to tell somebody that something is wrong, by channel and outcome",
    "relay_silent_damage_total": "Fields that Planhat stored otherwise than they were sent",
}


def with_help(text: str) -> str:
    """Give Prometheus text a HELP line before each TYPE line that has none."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("# TYPE "):
            name = line.split(" ")[2]
            if name in HELP and not (lines and lines[-1].startswith(f"# HELP {name} ")):
                lines.append(f"# HELP {name} {HELP[name]}")
        lines.append(line)
    return "\n".join(lines)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        facts = getattr(record, "facts", None)
        if facts:
            line.update(facts)
        if record.exc_info and record.exc_info[0]:
            # The type and the place only: an exception's text may quote what it failed on.
            line["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace and trace.tb_next:
                trace = trace.tb_next
            if trace:
                line["where"] = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        return json.dumps(line, default=str, ensure_ascii=False)


class _ConsoleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        facts = getattr(record, "facts", None) or {}
        words = " ".join(f"{key}={value}" for key, value in facts.items())
        error = f" error={record.exc_info[0].__name__}" if record.exc_info and record.exc_info[0] else ""
        return f"{at} {record.levelname.lower():7} {record.getMessage()} {words}{error}".rstrip()


class _JsonHandler(logging.StreamHandler[Any]):
    """Lines of `log_soon` go out with the end of the event loop's turn, as one write for all of its requests, and
    before any line that comes after them."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_JsonFormatter())
        self._soon: list[bytes] = []
        self._second = 0
        self._stamp = ""

    def soon(self, event: str, facts: dict[str, Any]) -> bool:
        """False where the line cannot be written this way."""
        try:
            loop = asyncio.get_running_loop()
            line = orjson.dumps({"at": self._now(), "level": "info", "event": event, **facts})
        except (RuntimeError, orjson.JSONEncodeError):
            return False
        if not self._soon:
            loop.call_soon(self.flush)
        self._soon.append(line)
        return True

    def _now(self) -> str:
        millis = int(time.time() * 1000)
        second, rest = divmod(millis, 1000)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).isoformat()[:19]
        return f"{self._stamp}.{rest:03d}Z"

    def emit(self, record: logging.LogRecord) -> None:
        self._write_soon()
        super().emit(record)

    def flush(self) -> None:
        # `logging` calls this at exit too: no line is lost.
        self._write_soon()
        super().flush()

    def _write_soon(self) -> None:
        if self._soon:
            lines, self._soon = self._soon, []
            try:
                self.stream.write(b"\n".join([*lines, b""]).decode())
            except (OSError, ValueError):
                # Nobody reads any more: a line is not worth a request.
                return


_json_handler: _JsonHandler | None = None


def set_up_logging(log_format: str, level: str) -> None:
    """Set up logging: `auto` is `console` on a terminal and `json` elsewhere. Logs go to standard error."""
    global _json_handler  # noqa: PLW0603 (logging itself is the process's)
    if log_format == "auto":
        log_format = "console" if sys.stderr.isatty() else "json"
    handler: logging.Handler
    if log_format == "console":
        _json_handler = None
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_ConsoleFormatter())
    else:
        handler = _json_handler = _JsonHandler()
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(level.upper())


def log(event: str, /, *, level: int = logging.INFO, **facts: Any) -> None:
    """Log one line: `event` is past tense with dots ("batch.sent"), `facts` flat values without personal data."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, event, extra={"facts": facts})


def logs_info() -> bool:
    """Tell whether lines of level info are wanted: spares a request the building of one."""
    return LOGGER.isEnabledFor(logging.INFO)


def log_soon(event: str, facts: dict[str, Any]) -> None:
    """Log as `log` does, at level info, what happens to every request: in a fifth of its time."""
    if _json_handler is None or not _json_handler.soon(event, facts):
        log(event, **facts)
