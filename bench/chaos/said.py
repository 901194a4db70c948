"""What was said, as the senders know it: each thread's messages, and what the relay answered to each event."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson


@dataclass(slots=True)
class Event:
    """One event: `text` None deletes the message `ts`. `answered`: the relay said 202. `unsure`: Redis was set back to before
    that, so that it may be forgotten."""

    event_id: str
    ts: str
    text: str | None
    number: int
    answered: bool = False
    unsure: bool = False


@dataclass(slots=True)
class Thread:
    channel: str
    root: str
    events: list[Event] = field(default_factory=list)

    @property
    def external_id(self) -> str:
        return f"slack-{self.channel}-{self.root}"

    def messages(self) -> dict[str, list[Event]]:
        """ts -> what was said of that message, oldest first."""
        found: dict[str, list[Event]] = {}
        for event in sorted(self.events, key=lambda event: event.number):
            found.setdefault(event.ts, []).append(event)
        return dict(sorted(found.items()))

    @property
    def unsure(self) -> bool:
        return any(event.unsure for event in self.events)

    def expected(self) -> list[str]:
        """The texts that it must have, in order."""
        return [text for said in self.messages().values() if (text := said[-1].text) is not None]


class Said:
    """All threads of one seed. Used by all senders at once."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._number = 0
        self.threads: list[Thread] = []
        self.lock = threading.Lock()

    def answered(self, event: Event) -> None:
        with self.lock:
            event.answered = True

    def forget_since(self, number: int) -> int:
        """Redis is as it was before the event `number`: how many events that were answered may be gone."""
        with self.lock:
            gone = [event for event in self._events() if event.number > number]
            for event in gone:
                event.unsure = True
            return sum(event.answered for event in gone)

    def finished(self) -> int:
        """The last event before which all are answered: a copy of Redis that is made from now on holds them."""
        with self.lock:
            waiting = [event.number for event in self._events() if not event.answered]
            return min(waiting) - 1 if waiting else self._number

    def count(self, *, sure: bool = False) -> int:
        """How many were answered."""
        with self.lock:
            return sum(event.answered and not (sure and event.unsure) for event in self._events())

    def plain(self) -> list[tuple[Thread, Event]]:
        """Answered messages that nobody has edited or deleted so far, and that are sure."""
        with self.lock:
            return [
                (thread, said[0])
                for thread in self.threads
                for said in thread.messages().values()
                if len(said) == 1 and said[0].answered and not said[0].unsure
            ]

    def _events(self) -> Iterator[Event]:
        for thread in self.threads:
            yield from thread.events

    def next(self, chance: Random, *, fresh: bool = False) -> tuple[Event, bytes]:
        """Another event and its body: a new thread (where it is to be `fresh`), a reply, an edit or a deletion."""
        with self.lock:
            self._number += 1
            number = self._number
            at_s = 1_772_600_000 + number
            ts = f"{at_s}.{number % 1_000_000:06d}"
            roll = chance.random()
            if fresh or not self.threads or roll < 0.25:
                self.threads.append(Thread(f"C{self._seed % 1000}N{chance.randint(1, 5)}", ts))
                thread = self.threads[-1]
            else:
                thread = chance.choice(self.threads)
            live = [
                message
                for message, said in thread.messages().items()
                if said[-1].text is not None and not any(event.unsure for event in said)
            ]
            text: str | None = f"msg-{self._seed}-{number}"
            if thread.events and live and roll > 0.85:
                message = chance.choice(live)
                text = None if roll > 0.93 else text
                before = thread.messages()[message][-1].text
            else:
                message = ts if thread.events else thread.root
                before = None
            event = Event(f"Ev{self._seed}X{number}", message, text, number)
            thread.events.append(event)
        return event, _body(thread, event, ts, at_s, before)


def _body(thread: Thread, event: Event, ts: str, at_s: int, before: str | None) -> bytes:
    told: dict[str, Any] = {
        "type": "message",
        "channel": thread.channel,
        "channel_type": "channel",
        "event_ts": ts,
    }
    one = {"type": "message", "user": "U1", "ts": event.ts, "thread_ts": thread.root}
    if event.text is None:
        gone = {**one, "text": before}
        told |= {
            "subtype": "message_deleted",
            "deleted_ts": event.ts,
            "ts": ts,
            "hidden": True,
            "previous_message": gone,
        }
    elif before is not None:
        edited = {**one, "text": event.text, "edited": {"user": "U1", "ts": ts}}
        told |= {"subtype": "message_changed", "ts": ts, "hidden": True, "message": edited}
        told["previous_message"] = {**one, "text": "before"}
    else:
        told |= {"user": "U1", "text": event.text, "ts": event.ts}
        if event.ts != thread.root:
            told["thread_ts"] = thread.root
    return orjson.dumps(
        {
            "token": "x",
            "team_id": "T1",
            "api_app_id": "A1",
            "type": "event_callback",
            "event_id": event.event_id,
            "event_time": at_s,
            "event": told,
        }
    )
