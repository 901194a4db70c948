"""The C parts, compiled when they are first needed and kept by the hash of their source. Where there is no C compiler the
Python parts do the same, and every result says which were used."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent


@cache
def binary(name: str) -> str:
    """The path of the compiled `name`.c; "" where it cannot be had. RELAY_BENCH_PYTHON=1: as if there were no compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler or os.environ.get("RELAY_BENCH_PYTHON"):
        return ""
    source = HERE / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes() + platform.machine().encode()).hexdigest()[:12]
    target = _folder() / f"{name}-{digest}"
    if not target.exists():
        # Under a name of its own first: two parts that start at once must not run half a file.
        made = target.with_suffix(f".{os.getpid()}")
        # No epoll (macOS, BSD) or no headers is no failure: the Python part takes over.
        built = subprocess.run([compiler, "-O2", "-o", made, source], check=False, capture_output=True)
        if built.returncode:
            return ""
        made.replace(target)
    return str(target)


def kind(name: str) -> str:
    """ "c" or "python": which of the two stands behind `name`."""
    return "c" if binary(name) else "python"


@cache
def _folder() -> Path:
    folder = HERE / "out" / "bin"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="relay-bench-"))
