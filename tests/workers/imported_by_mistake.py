"""A module that no worker may import: it says so."""

from pathlib import Path


def run(mark: str) -> None:
    Path(mark).touch()
