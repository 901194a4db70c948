"""A lane's name. Lanes of one installation are its Planhat tenants; without `lanes:` in the config there is one, `main`."""

from __future__ import annotations

from typing import Final

#: The only lane of a config without `lanes:`. Its keys also hold what is the installation's, and no lane's: the audit, sessions,
#: the kill switch, processes.
MAIN: Final = "main"
#: What a name may be: part of keys in Redis (no braces), of RQ's job ids (no dots) and of labels.
NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"


def token_place(lane: str, *, named: bool = False) -> str:
    """Return where the token of a lane's Planhat is set, for whoever has to mend it. `named`: the config has `lanes:`."""
    if lane == MAIN and not named:
        return "RELAY_PLANHAT_TOKEN"
    return f"lanes.{lane}.token (RELAY_PLANHAT_TOKEN where it has none)"
