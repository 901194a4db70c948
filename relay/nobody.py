"""Words that senders and their templates put where a name is missing: nobody is called so."""

from __future__ import annotations

_WHO = ("user", "sender", "author", "caller", "contact", "customer", "person", "name", "visitor", "agent")
_NOBODY = frozenset(
    {
        *("unknown", "unnamed", "nobody", "none", "null", "nil", "undefined", "nan", "n/a", "na", "n.a."),
        *("unspecified", "unassigned", "not set", "not available", "no name", "noname", "no one", "noone"),
        *("(unknown)", "<unknown>", "(none)", "(no name)", "(empty)", "[object object]", "-", "--", "–", "—"),
        *("?", "??", "???", ".", "..", "...", "_", "false", "true", "0", "none none", "null null"),
        *("undefined undefined", "unknown unknown", *(f"unknown {who}" for who in _WHO)),
    }
)
_LONGEST = max(map(len, _NOBODY))
#: How a placeholder begins that nobody filled in.
_UNFILLED = ("{{", "{%", "${", "%{", "<%")


def is_nobody(name: str) -> bool:
    """Say whether a name is a placeholder and no person's: "Unknown", "n/a", "{{ticket.requester.name}}"."""
    if len(name) <= _LONGEST:
        name = name.strip().lower()
        return name in _NOBODY or name.startswith(_UNFILLED)
    return name.startswith(_UNFILLED)
