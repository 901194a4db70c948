"""A look at what is wrong, and the sending of what is to be told. Any number of processes may do both at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

from relay.config import AlertChannel, Alerts, Config
from relay.operations.alerts.conditions import Condition, look_for_trouble
from relay.operations.alerts.sending import AlertNotSent, AlertPartlySent, AlertSender
from relay.operations.alerts.step import step_alerts
from relay.operations.dead.counts import DeadCounts
from relay.operations.moments import iso
from relay.outbox.alerts import AlertBook, AlertMessage, Trouble
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from relay.telemetry import log

#: More of one kind at once are one message.
_ALONE: Final = 3
_LISTED: Final = 20
#: A message that no try has brought there for so long is given up.
_GIVE_UP_MS: Final = 24 * 3600 * 1000
_FIRST_WAIT_MS: Final = 5_000
_LONGEST_WAIT_MS: Final = 900_000


@dataclass(slots=True)
class AlertDesk:
    """Finds out what is wrong and sends what is to be told of it. `config` may be exchanged at any time."""

    outbox: Outbox
    delivery: Delivery
    config: Config
    metrics: SharedMetrics
    causes: DeadCounts
    sender: AlertSender

    def look(self, damaged: Sequence[str] = (), *, now_ms: int = 0) -> int:
        """Puts up messages for what has begun or ended; how many. None where another process was quicker: it has. Raises
        OutboxUnavailable."""
        alerts = self.config.alerts
        if alerts is None:
            return 0
        now_ms = now_ms or self.outbox.now_ms()
        book = AlertBook(self.outbox)
        revision, standing = book.read()
        seen = self._seen(damaged, now_ms)
        changes = step_alerts(
            standing, seen, now_ms=now_ms, after_ms={"blocked": int(alerts.blocked_for_s * 1000)}
        )
        messages = [
            *_messages(alerts, changes.begun, "firing", now_ms),
            *_messages(alerts, changes.ended, "resolved", now_ms),
        ]
        if not changes.standing or not book.write(revision, changes.standing, messages):
            return 0
        return len(messages)

    def _seen(self, damaged: Sequence[str], now_ms: int) -> Mapping[str, Condition]:
        return look_for_trouble(
            self.outbox, self.delivery, self.config, self.causes, damaged=damaged, now_ms=now_ms
        )

    def send(self, *, now_ms: int = 0) -> bool:
        """Sends one message that is due; False where there is none. Raises OutboxUnavailable: where Redis went away after the
        message was taken there, it is sent again."""
        book = AlertBook(self.outbox)
        message = book.take(now_ms=now_ms)
        if message is None:
            return False
        now_ms = now_ms or self.outbox.now_ms()
        alerts = self.config.alerts
        channel = (
            next((one for one in alerts.channels if one.name == message.channel), None) if alerts else None
        )
        if channel is None:
            log(
                "alert.dropped",
                level=logging.WARNING,
                channel=message.channel,
                why="no such channel any more",
            )
            book.sent(message)
            return True
        if book.behind(message, now_ms=now_ms):
            # What comes after its own "Over" calls somebody for nothing.
            return True
        outcome = "sent"
        try:
            self.sender.send(channel, message, now_s=now_ms / 1000)
            log("alert.sent", channel=channel.name, kind=message.kind, state=message.state)
        except AlertNotSent as error:
            late = now_ms - message.at_ms > _GIVE_UP_MS or isinstance(error, AlertPartlySent)
            outcome = "given_up" if late else "failed"
            log(
                "alert.not_sent",
                level=logging.ERROR if late else logging.WARNING,
                channel=channel.name,
                kind=message.kind,
                tries=message.tries + 1,
                why=str(error),
            )
            if not late:
                wait_ms = min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS * 2 ** min(message.tries, 10))
                book.postpone(message, now_ms + wait_ms)
        self.metrics.add("relay_alerts_total", {"channel": channel.kind, "outcome": outcome})
        if outcome != "failed":
            book.sent(message)
        return True


def _messages(
    alerts: Alerts, told: Sequence[Trouble], state: str, now_ms: int
) -> list[AlertMessage]:  # fmt: skip
    """One for each channel and thing; many of one kind together."""
    by_kind: dict[str, list[Trouble]] = {}
    for one in told:
        by_kind.setdefault(one.kind, []).append(one)
    made = []
    for kind, ones in by_kind.items():
        texts = [(one.title, one.text) for one in ones]
        if len(ones) > _ALONE:
            rest = [f"and {len(ones) - _LISTED} more"] if len(ones) > _LISTED else []
            texts = [
                (
                    f"{len(ones)} at once: {_WORDS[kind]}",
                    "\n".join([*(o.title for o in ones[:_LISTED]), *rest]),
                )
            ]
        for title, text in texts:
            made += [
                AlertMessage(f"alert_{token_hex(12)}", channel.name, state, kind, title, text, now_ms)
                for channel in alerts.channels
            ]
    return made


_WORDS: Final = {
    "blocked": "delivery is blocked",
    "waiting": "the oldest waits too long",
    "new_cause": "new causes of dead letters",
    "damage": "damage was seen",
    "token": "the token ends",
}


def try_channels(alerts: Alerts, *, sender: AlertSender, now_ms: int) -> list[dict[str, Any]]:
    """Sends a test to each channel, at once: `{"channel", "kind", "ok", "error"}` each."""
    found = []
    for channel in alerts.channels:
        message = AlertMessage(
            f"alert_{token_hex(12)}",
            channel.name,
            "test",
            "test",
            "this is how the relay tells you that something is wrong",
            f"It tells of: {', '.join(_WORDS[kind] for kind in alerts.about)}.",
            now_ms,
        )
        error = ""
        try:
            sender.send(channel, message, now_s=now_ms / 1000)
        except AlertNotSent as problem:
            error = str(problem)
        found.append({"channel": channel.name, "kind": channel.kind, "ok": not error, "error": error or None})
    return found


def list_alerts(outboxes: Sequence[Outbox], alerts: Alerts | None) -> dict[str, Any]:
    """Return `{"channels": [{"name", "kind", "to", "unsent", "tries"}], "about", "alerts": [{"name", "kind", "title", "text", "since",
    "told_at", "untold"}], "unsent"}`: what is on in any of these lanes, what is told of, and by which channels (`untold`) an alert
    that was made has not been told yet. Raises OutboxUnavailable."""
    books = [(book, book.waiting()) for book in map(AlertBook, outboxes)]
    standing = [(name, one, waiting) for book, waiting in books for name, one in book.read()[1].items()]
    unsent = [message for _, waiting in books for message in waiting]
    return {
        "channels": [
            {
                "name": one.name,
                "kind": one.kind,
                "to": _shown_to(one),
                "unsent": sum(message.channel == one.name for message in unsent),
                "tries": max((message.tries for message in unsent if message.channel == one.name), default=0),
            }
            for one in alerts.channels
        ] if alerts else [],
        "about": list(alerts.about) if alerts else [],
        "alerts": [
            {
                "name": name,
                "kind": one.kind,
                "title": one.title,
                "text": one.text,
                "since": iso(one.first_ms),
                "told_at": iso(one.told_ms) if one.told_ms else None,
                "untold": sorted({
                    message.channel
                    for message in waiting
                    if (message.state, message.kind, message.at_ms) == ("firing", one.kind, one.told_ms)
                }),
            }
            for name, one, waiting in sorted(standing, key=lambda row: (row[1].first_ms, row[0]))
        ],
        "unsent": len(unsent),
    }  # fmt: skip


def _shown_to(channel: AlertChannel) -> str:
    """Where it leads, without what is secret of it."""
    if channel.mail is not None:
        return f"{', '.join(channel.mail.to)} by {channel.mail.host}:{channel.mail.port}"
    return channel.url().split("://", 1)[-1].split("/", 1)[0].rpartition("@")[2]
