"""Mail domains that say nothing of a company: whoever likes has an address there."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

FREE_MAIL: Final = frozenset(files("relay").joinpath("free_mail.txt").read_text(encoding="utf-8").split())
