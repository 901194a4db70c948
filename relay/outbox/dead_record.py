"""The record of a dead letter as Redis holds it: one shape, whoever buries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

#: Version of the stored form. N reads N-1.
DEAD_SCHEMA = 1

#: Where it ended: no rule or template could map it, no company was found, Planhat refused it.
Stage = Literal["map", "resolve", "deliver"]


def encode_record(
    *,
    stage: Stage,
    cause: str,
    source: str,
    external_id: str = "",
    reason: str = "",
    rule: str = "",
    field: str = "",
    line: int | None = None,
    answer: str | None = None,
    asked_for: Sequence[Mapping[str, str]] = (),
    attempts: Sequence[Mapping[str, Any]] = (),
    document: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the record as JSON bytes. `cause` groups letters and stands in metrics and logs: it holds no id, number or person.
    `reason` (left out: the cause), `answer` (Planhat's) and `document` (what was to be sent) are for the operator's eyes.
    `field` and `line` say where in the rules it failed; `asked_for`: `{"key", "value"}` of each thing that its company was
    looked up by in vain."""
    return orjson.dumps(
        {
            "v": DEAD_SCHEMA,
            "cause": cause,
            "reason": reason or cause,
            "stage": stage,
            "rule": rule,
            "field": field,
            "line": line,
            "answer": answer,
            "attempts": list(attempts),
            **({"asked_for": list(asked_for)} if asked_for else {}),
            "document": document,
            "source": source,
            "externalId": external_id,
        }
    )


def encode_amended(record: Mapping[str, Any]) -> bytes:
    """Return a record that was read and changed, as JSON bytes of this release's schema."""
    return orjson.dumps({**record, "v": DEAD_SCHEMA})
