"""A disk of its own, small enough to be filled."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.chaos.house import small_disk as mounted


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """`size` as mount takes it ("3m"). Skips the test where mounting is not allowed."""
    folder = Path(tempfile.mkdtemp(prefix="rd-"))
    try:
        with mounted(folder, size) as is_mounted:
            if not is_mounted:
                pytest.skip("a small file system cannot be mounted here")
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder: Path, *, leave: int = 0) -> Path:
    """A file that takes all room but `leave` bytes."""
    filler = folder / "filler"
    filler.write_bytes(b"x" * max(0, shutil.disk_usage(folder).free - leave))
    return filler
