"""What the relay would do with a payload, sending nothing: through the source's adapter, then each event through the
rules, with the reasons."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from relay.errors import NotFound, SourceError
from relay.operations.context import OperatorContext
from relay.operations.selection import InputInvalid
from relay.rules.explain import explain
from relay.sources.base import Inbound, Parked, Skipped
from relay.sources.large_json import TooDense
from relay.sources.registry import build_adapter


def explain_request(
    context: OperatorContext,
    source: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    now_s: float = 0,
) -> dict[str, Any]:
    """Return `{"source", "adapter", "events": [explain's own answer], "skipped": [{"reason"}], "parked": [{"cause"}]}`. The
    signature is not checked: what is asked is what the rules say. Raises NotFound for a source that the config does
    not have, InputInvalid for what its adapter cannot read."""
    config, book = context.config, context.rulebook
    configured = config.sources.get(source)
    if configured is None:
        known = ", ".join(sorted(config.sources)) or "none"
        raise NotFound(f"the config has no source {source[:80]!r}; it has: {known}")
    adapter = build_adapter(configured.options)
    given = {name.lower(): value for name, value in (headers or {}).items()}
    # A payload pasted without its headers: what it opens with says which of the two usual forms it has.
    form = "application/json" if body.lstrip()[:1] in (b"{", b"[") else "application/x-www-form-urlencoded"
    given.setdefault("content-type", form)
    inbound = Inbound(body=body, headers=given, method=method)
    try:
        parsed = adapter.parse(inbound, now_s=now_s or time.time())
    except (SourceError, TooDense) as error:
        raise InputInvalid(str(error), "payload") from error
    told: dict[str, Any] = {
        "source": source,
        "adapter": configured.adapter,
        "events": [],
        "skipped": [],
        "parked": [],
    }
    for one in parsed:
        if isinstance(one, Skipped):
            told["skipped"].append({"reason": one.reason})
        elif isinstance(one, Parked):
            told["parked"].append({"cause": one.cause})
        else:
            told["events"].append(explain(config, book, one))
    return told
