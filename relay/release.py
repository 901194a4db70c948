"""Which release this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def release() -> str:
    """Return the installed package's version; "unknown" where it runs from its sources."""
    try:
        return version("planhat-relay")
    except PackageNotFoundError:
        return "unknown"
