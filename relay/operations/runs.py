"""Operations that may take long, run beside the request that asked for them: it waits a little, then says how far it is.

The threads are daemons on purpose: a stop must not wait for a replay of a million events, and a replay that is killed has
lost nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from relay.errors import RelayError
from relay.operations.progress import Operation
from relay.outbox.outbox import Outbox
from relay.telemetry import log

_PATIENCE_S = 5.0


def run_beside(
    outbox: Outbox,
    kind: str,
    by: str,
    asked: Mapping[str, Any],
    work: Callable[[Operation], dict[str, Any]],
    *,
    patience_s: float = _PATIENCE_S,
) -> dict[str, Any]:
    """Return `work`'s answer with `operation` (its id) and `state` beside it; after `patience_s` without one, `{"count": so far,
    "operation", "state": "running"}`. Raises what `work` raises in time."""
    operation = Operation.begin(outbox, kind, by, asked)
    ended = threading.Event()
    outcome: list[dict[str, Any] | RelayError] = []

    def run() -> None:
        try:
            outcome.append(work(operation))
        except RelayError as error:
            outcome.append(error)
            _end_failed(operation)
        except Exception:
            logging.getLogger("relay").exception("operation.broke")
            _end_failed(operation)
        finally:
            ended.set()

    log("operation.started", operation=operation.operation_id, kind=kind, by=by)
    threading.Thread(target=run, name=f"relay-{kind}", daemon=True).start()
    ended.wait(patience_s)
    if not outcome:
        told = operation.read()
        return {"count": told.get("total", 0), "operation": operation.operation_id, "state": told["state"]}
    if isinstance(outcome[0], RelayError):
        raise outcome[0]
    return {**outcome[0], "operation": operation.operation_id, "state": operation.read()["state"]}


def _end_failed(operation: Operation) -> None:
    try:
        operation.end("failed")
    except RelayError:
        # Redis is away: it stays "running" and expires.
        return
