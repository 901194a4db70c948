"""A draft on its way to a parcel: its company, its people, its size. What has none of them is settled instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from relay.config import Config
from relay.outbox.items import Settlement
from relay.outbox.outbox import Outbox
from relay.planhat.resolve import Hold
from relay.telemetry import SharedMetrics
from workers.companies.directory import Ambiguous, Directory, Found, Missing, Unsure
from workers.flush.dead_record import Letter, dead_id
from workers.flush.fold import Draft, Parcel
from workers.flush.settle import Clerk


class Addressing:
    def __init__(
        self, config: Config, outbox: Outbox, directory: Directory, clerk: Clerk, metrics: SharedMetrics
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._directory = directory
        self._clerk = clerk
        self._metrics = metrics

    def address(
        self, drafts: Sequence[Draft], settlements: list[Settlement]
    ) -> tuple[list[Draft], Hold | None]:
        """Those whose company is known, in order. The rest is settled: buried, or later."""
        ready: list[Draft] = []
        hold: Hold | None = None
        unknown = [draft for draft in drafts if not draft.company_id]
        verdicts = dict(
            zip(
                (draft.item.external_id for draft in unknown),
                self._directory.resolve([draft.asks() for draft in unknown]) if unknown else (),
                strict=True,
            )
        )
        moved = [draft for draft in drafts if draft.company_id and draft.asks(new_only=True)]
        self._note_moves(moved)
        parked: list[str] = []
        now_ms = self._outbox.about_ms() if unknown else 0
        for draft in drafts:
            verdict = verdicts.get(draft.item.external_id)
            if verdict is None:
                ready.append(draft)
            elif isinstance(verdict, Found):
                draft.company_id = verdict.company_id
                ready.append(draft)
            elif isinstance(verdict, Unsure):
                hold = hold or verdict.hold
                wait_ms = 0 if verdict.hold else int(verdict.wait_s * 1000)
                settlements.append(
                    self._clerk.later(draft, verdict.reason, now_ms + wait_ms if wait_ms else 0, now_ms)
                )
            else:
                letter = _homeless(verdict)
                parked.append(dead_id(draft.item))
                settlements.append(self._clerk.bury(draft.item, letter, draft))
        if parked:
            self._directory.park(parked)
        return ready, hold

    def _note_moves(self, drafts: Sequence[Draft]) -> None:
        """A company other than the pinned one changes nothing in Planhat: it is noted and counted."""
        for draft, verdict in zip(
            drafts,
            self._directory.resolve([d.asks(new_only=True) for d in drafts], offline=True),
            strict=True,
        ):
            pinned = draft.document.company_id
            if isinstance(verdict, Found) and verdict.via != "default" and verdict.company_id != pinned:
                kind = verdict.company_id.partition("-")[0] if "-" in verdict.company_id else ""
                if kind == (pinned.partition("-")[0] if "-" in pinned else ""):
                    draft.note(
                        self._outbox.now_ms(),
                        "company_differs",
                        error=f"{verdict.company_id}, pinned {pinned}",
                    )
                    self._metrics.add("relay_company_conflicts_total", {"source": draft.item.lane_source})

    def parcels(self, ready: Sequence[Draft], settlements: list[Settlement]) -> list[Parcel]:
        people = self._people(ready)
        most = self._config.planhat.batch.max_bytes
        fitting: list[Parcel] = []
        for draft in ready:
            parcel = draft.parcel(people(draft))
            size = len(parcel.sent.body)
            if size + 2 > most:
                reason = f"It is {size} bytes alone; planhat.batch.max_bytes allows {most}."
                settlements.append(
                    self._clerk.bury(draft.item, Letter("deliver", "too large to send", reason), draft)
                )
            else:
                fitting.append(parcel)
        return fitting

    def _people(self, drafts: Sequence[Draft]) -> Callable[[Draft], dict[str, Any] | None]:
        if not self._config.planhat.resolve_people:
            return lambda draft: None
        known = {
            kind: self._directory.people(
                kind, [p["email"] for draft in drafts for p in draft.fields.get(kind, ()) if _by_email(p)]
            )
            for kind in ("users", "endusers")
        }

        def found(draft: Draft) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for kind, ids in known.items():
                people = draft.fields.get(kind)
                if people:
                    out[kind] = [
                        {**{k: v for k, v in p.items() if k != "email"}, "id": ids[p["email"].casefold()]}
                        if _by_email(p) and p["email"].casefold() in ids
                        else p
                        for p in people
                        # Planhat wants ids: whom it does not know is left out.
                        if not _by_email(p) or p["email"].casefold() in ids
                    ]
            return out

        return found


def _homeless(verdict: Missing | Ambiguous) -> Letter:
    if isinstance(verdict, Missing):
        asked = ", ".join(verdict.asked) or "nothing"
        return Letter(
            "resolve",
            f"no company found (asked with: {asked})",
            "Neither the tables nor Planhat know its company. Add it to `companies:` or in Planhat: it goes by itself.",
        )
    return Letter(
        "resolve",
        f"several companies fit ({verdict.via})",
        f"Not guessed. Candidates: {', '.join(verdict.candidates)}. Name one in a table under `companies:`.",
    )


def _by_email(person: Any) -> bool:
    return isinstance(person, dict) and isinstance(person.get("email"), str) and not person.get("id")
