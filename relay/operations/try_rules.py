"""Rules that somebody has written and not saved, in the place of the config's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from relay.config import Config
from relay.door.house import House
from relay.rules.file.load import try_rules


def rules_text(config: Config) -> str:
    """Return the file's own `rules:`, as it is written, `${NAME}`s and remarks with it; "rules: []" where it has none or cannot be read."""
    try:
        text = Path(config.file).read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        node = None
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "rules":
                return str(text[key.start_mark.index : value.end_mark.index]).rstrip() + "\n"
    return "rules: []\n"


def tried_house(house: House, text: str) -> House:
    """Return `house` with these rules. Raises ConfigInvalid with every mistake, whose lines count from the text's first."""
    book = try_rules(house.config, text)
    return replace(house, book=book)
