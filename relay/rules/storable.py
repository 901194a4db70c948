"""What of a template's value can be stored as JSON, and sent to Planhat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def storable(value: Any) -> Any:
    """Return `value` as JSON can hold it: half characters become question marks. Raises ValueError for a number beyond 64
    bits, or one that is none."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ValueError("is a number that is too large")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("is no number")
        return value
    if isinstance(value, dict):
        return {str(storable(str(key))): storable(inner) for key, inner in value.items()}
    return [storable(inner) for inner in value]


def custom_fault(value: Any) -> str:
    """Return why `value` cannot be that of a custom field, "" where it can."""
    if isinstance(value, Mapping):
        return "a custom field must be a plain value or a list of them"
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return "a custom field must be a plain value or a list of them"
    return ""
