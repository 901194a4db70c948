#!/usr/bin/env python3
"""Does the image's SBOM (SPDX) hold every package of the lock, in the locked version? `check_sbom.py sbom.spdx.json`."""

from __future__ import annotations

import json
import pathlib
import re
import sys

LOCK = pathlib.Path(__file__).resolve().parent / "requirements.lock"


def locked() -> dict[str, str]:
    """Name and version of what is installed everywhere; a line with a marker may not be for this platform."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+) \\$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def main(path: str) -> int:
    packages = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["packages"]
    # A name may stand for two packages: tzdata is one of Debian's and one of Python's.
    there: dict[str, set[str]] = {}
    for package in packages:
        there.setdefault(package["name"].lower().replace("_", "-"), set()).add(package.get("versionInfo", ""))
    wrong = [
        f"{name} {version} (there: {', '.join(sorted(there.get(name, set()))) or 'none'})"
        for name, version in locked().items()
        if version not in there.get(name, set())
    ]
    if wrong:
        print(f"SBOM: not as locked: {', '.join(wrong)}", file=sys.stderr)
        return 1
    print(
        f"image: SBOM of {len(packages)} packages, the {len(locked())} locked ones among them in their versions"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
