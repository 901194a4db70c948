"""A folded item on its way to an outgoing one: its company, its people, its size. What has none of them is settled instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from relay.config import Config
from relay.outbox.items import Settlement
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from relay.planhat.custom_fields import Finding
from relay.planhat.outcomes import Hold
from workers.companies.directory import CompanyDirectory
from workers.companies.verdicts import Ambiguous, Found, Missing, Unsure
from workers.flush.dead_record import DeadRecord, dead_id
from workers.flush.fitting import Fit, Fitting
from workers.flush.fold import FoldedItem, OutgoingItem
from workers.flush.settle import Settlements

#: Things asked with that a letter tells.
_ASKED: Final = 10


class Addressing:
    def __init__(
        self,
        config: Config,
        outbox: Outbox,
        directory: CompanyDirectory,
        settling: Settlements,
        metrics: SharedMetrics,
        fitting: Fitting | None,
    ) -> None:
        self._fitting = fitting
        self._config = config
        self._outbox = outbox
        self._directory = directory
        self._settling = settling
        self._metrics = metrics

    def address(
        self, folded_items: Sequence[FoldedItem], settlements: list[Settlement]
    ) -> tuple[list[FoldedItem], Hold | None]:
        """Return those whose company is known, in order. The rest is settled: buried, or later."""
        ready: list[FoldedItem] = []
        hold: Hold | None = None
        unknown = [folded_item for folded_item in folded_items if not folded_item.company_id]
        verdicts = iter(
            self._directory.resolve([folded_item.asks() for folded_item in unknown]) if unknown else ()
        )
        moved = [
            folded_item
            for folded_item in folded_items
            if folded_item.company_id and folded_item.asks(new_only=True)
        ]
        self._note_moves(moved)
        parked: list[str] = []
        now_ms = self._outbox.about_ms() if unknown else 0
        for folded_item in folded_items:
            if folded_item.company_id:
                ready.append(folded_item)
                continue
            verdict = next(verdicts)
            if isinstance(verdict, Found):
                folded_item.company_id = verdict.company_id
                ready.append(folded_item)
            elif isinstance(verdict, Unsure):
                hold = hold or verdict.hold
                wait_ms = 0 if verdict.hold else int(verdict.wait_s * 1000)
                settlements.append(
                    self._settling.later(
                        folded_item, verdict.reason, now_ms + wait_ms if wait_ms else 0, now_ms
                    )
                )
            else:
                dead_record = _homeless(verdict)
                parked.append(dead_id(folded_item.item))
                settlements.append(self._settling.bury(folded_item.item, dead_record, folded_item))
        if parked:
            self._directory.parked.park(parked)
        return ready, hold

    def _note_moves(self, folded_items: Sequence[FoldedItem]) -> None:
        """A company other than the pinned one changes nothing in Planhat: it is noted and counted."""
        for folded_item, verdict in zip(
            folded_items,
            self._directory.resolve([d.asks(new_only=True) for d in folded_items], offline=True),
            strict=True,
        ):
            pinned = folded_item.document.company_id
            if isinstance(verdict, Found) and verdict.via != "default" and verdict.company_id != pinned:
                kind = verdict.company_id.partition("-")[0] if "-" in verdict.company_id else ""
                if kind == (pinned.partition("-")[0] if "-" in pinned else ""):
                    folded_item.note(
                        self._outbox.now_ms(),
                        "company_differs",
                        error=f"{verdict.company_id}, pinned {pinned}",
                    )
                    self._metrics.add(
                        "relay_company_conflicts_total", {"source": folded_item.item.lane_source}
                    )

    def outgoing_items(
        self, ready: Sequence[FoldedItem], settlements: list[Settlement]
    ) -> list[OutgoingItem]:
        """Return those that can go, in order; what cannot is settled instead."""
        most = self._config.planhat.batch.max_bytes
        fitting: list[OutgoingItem] = []
        fits = self._fitting.fit(ready) if self._fitting else [Fit()] * len(ready)
        for folded_item, fit in zip(ready, fits, strict=True):
            if fit.lacking:
                settlements.append(
                    self._settling.bury(folded_item.item, _undefined(fit.lacking), folded_item)
                )
                continue
            outgoing = folded_item.outgoing(fit.changes, unasked=fit.unasked)
            size = len(outgoing.row.body)
            if size + 2 > most:
                reason = f"It is {size} bytes alone; planhat.batch.max_bytes allows {most}."
                settlements.append(
                    self._settling.bury(
                        folded_item.item, DeadRecord("deliver", "too large to send", reason), folded_item
                    )
                )
            else:
                fitting.append(outgoing)
        return fitting


def _undefined(lacking: Sequence[Finding]) -> DeadRecord:
    listed = ", ".join(finding.name for finding in lacking)
    do = "; ".join(f"{finding.name} {finding.what}: {finding.do}" for finding in lacking)
    return DeadRecord(
        "deliver",
        f"custom fields that Planhat does not have: {listed}",
        f"Planhat would store {listed} and show it to nobody. {do}. Then replay it; or set planhat.undefined_fields to drop or"
        " warn.",
    )


def _homeless(verdict: Missing | Ambiguous) -> DeadRecord:
    if isinstance(verdict, Missing):
        asked = ", ".join(verdict.names) or "nothing"
        values = ", nor for ".join(
            dict.fromkeys(_in_words(key, value) for key, value in verdict.asked[:_ASKED])
        )
        return DeadRecord(
            "resolve",
            f"no company found (asked with: {asked})",
            f"No company for {values or 'it: its rule asks with nothing'}. Add it to `companies:` or in Planhat: the letter is "
            "looked at again every ten minutes, and at once when the config has changed; it goes by itself.",
            asked_for=verdict.asked[:_ASKED],
        )
    return DeadRecord(
        "resolve",
        f"several companies fit ({verdict.via})",
        f"Not guessed. Candidates: {', '.join(verdict.candidates)}. Name one in a table under `companies:`.",
    )


def _in_words(key: str, value: str) -> str:
    return value if key == "email" else f"{key.replace('_', ' ')} {value}"
