"""What stands in Planhat beside what was sent: each property by what it is, so that what Planhat may rightly write in another
way is no damage. Pure.

Not compared: `ownerId`, `useSubject`, `sourceId` and whatever else the document's table does not list, since no answer is
known to show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from relay.description import words_of_html
from relay.planhat.fields import DEFAULT_TYPE, EXTRAS, RESERVED_TYPES, STANDING_TYPES
from relay.rules.language.filters import moment

#: Compared for being there alone.
_LOOSE: Final = frozenset({"snippet", "companyId"})
_COUNTED: Final = ("users", "endusers", "activityTags")
#: Types that every tenant has.
_STANDARD: Final = frozenset({*STANDING_TYPES, *RESERVED_TYPES})


def differences(
    sent: Mapping[str, Any], stands: Mapping[str, Any], counts: Mapping[str, int] | None = None
) -> list[tuple[str, str]]:
    """Give (field, what happened to it) for what was sent and does not stand there. No values: they are personal.

    `counts`: how many users, endusers and tags went; None: nobody knows, and they are not compared.
    """
    found: list[tuple[str, str]] = []
    for field, value in sent.items():
        if field in EXTRAS or (field in _COUNTED and counts is None):
            continue
        there = stands.get(field)
        if field == "custom" and isinstance(value, Mapping):
            custom = there if isinstance(there, Mapping) else {}
            found += [(f"custom.{name}", "dropped") for name in value if name not in custom]
            continue
        what = _what(field, value, there, stands, counts or {})
        if what:
            found.append((field, what))
    return found


def compared_fields(sent: Mapping[str, Any]) -> set[str]:
    """Name what `differences` may name for what was sent."""
    custom = sent.get("custom")
    names = {f"custom.{name}" for name in custom} if isinstance(custom, Mapping) else set()
    return {field for field in sent if field != "custom"} | names


def _what(field: str, value: Any, there: Any, stands: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    if field in _COUNTED:
        return _fewer(counts.get(field, 0), there)
    if there is None or (there in ("", []) and value not in ("", [])):
        return "dropped"
    if field == "description":
        return _words(str(value), str(there))
    if field == "type":
        return _type(value, there, stands)
    if field in ("date", "outDate"):
        return "" if _moment(value) == _moment(there) else "changed"
    return "" if field in _LOOSE or there == value else "changed"


def _fewer(went: int, there: Any) -> str:
    found = len(there) if isinstance(there, (list, tuple)) else 0
    return f"{found} of {went} are there" if found < went else ""


def _words(sent: str, there: str) -> str:
    """What became of a description's words. More than were sent are a person's, and right."""
    wanted, found = words_of_html(sent), words_of_html(there)
    if wanted == found:
        return ""
    missing = Counter(wanted) - Counter(found)
    if not missing:
        return ""
    if "".join(wanted) in "".join(found):
        return "mangled: words run together"
    return f"mangled: {sum(missing.values())} of {len(wanted)} words are lost"


def _type(value: Any, there: Any, stands: Mapping[str, Any]) -> str:
    if there != value:
        return (
            f"became {DEFAULT_TYPE}: does the type exist in Planhat?" if there == DEFAULT_TYPE else "changed"
        )
    if value not in _STANDARD and stands.get("isCustomType") is False:
        return "stands as it was sent, but the tenant has no such type of its own"
    return ""


def _moment(value: Any) -> datetime | Any:
    return moment(value) or value
