"""One line of JSON for each operation that a client was asked to perform: did it work, and if not, why.

Imported by the drivers beside it, which run in environments where this project is not installed.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from typing import Any

ACME = "5f0000000000000000000001"
ALEX = "5d0000000000000000000001"
COMPANY = "extid-acme"


def url_and_tag() -> tuple[str, str]:
    """The sandbox's base URL, and a word that keeps the records of two runs apart."""
    return sys.argv[1].rstrip("/"), uuid.uuid4().hex[:8]


def step(operation: str, call: Callable[[], Any], holds: Callable[[Any], object] = bool) -> Any:
    """Perform one operation and print what became of it. `holds` looks at the answer. Returns the answer, or None."""
    answer: Any = None
    why = ""
    try:
        answer = call()
        if not holds(answer):
            why = f"unexpected answer: {answer!r}"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    print(json.dumps({"operation": operation, "ok": not why, "why": " ".join(why.split())[:300]}), flush=True)
    return answer


def added(envelope: dict[str, Any], created: int = 0, updated: int = 0) -> bool:
    """Whether a bulk answer counts so many records, and as many that were there before, and names no error."""
    errors = [value for name, value in envelope.items() if name.lower().endswith("errors") and value]
    return not errors and (envelope["created"], envelope["updated"] + envelope["nonupdates"]) == (
        created,
        updated,
    )
