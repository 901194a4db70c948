"""A lane's name. Lanes of one installation are its Planhat tenants; without `lanes:` in the config there is one, `main`."""

from __future__ import annotations

from typing import Final

#: The only lane of a config without `lanes:`. Its keys also hold what is the installation's, and no lane's: the audit, sessions,
#: the kill switch, processes.
MAIN: Final = "main"
#: What a name may be: part of keys in Redis (no braces), of RQ's job ids (no dots) and of labels.
NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"
