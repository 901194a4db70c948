"""The names of a config's lanes, for whoever needs nothing else of it: no variable is filled in, no rule is compiled."""

from __future__ import annotations

import re

from relay.lane_name import MAIN, NAME_PATTERN
from relay.rules.file.yaml_file import read_yaml


def read_lane_names(path: str) -> tuple[str, ...]:
    """Read them in the file's order, `main` where it has no `lanes:`; none for a file that cannot be read, or whose lanes do not hold."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return ()
    if "lanes" not in text:
        return (MAIN,)
    value = read_yaml(text, path).value
    if not isinstance(value, dict):
        return ()
    lanes = value.get("lanes")
    if lanes is None:
        return (MAIN,)
    if not isinstance(lanes, dict) or not all(re.fullmatch(NAME_PATTERN, str(name)) for name in lanes):
        return ()
    return tuple(map(str, lanes))
