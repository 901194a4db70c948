"""All parts, one after the other: `python -m bench [--quick]`. Results go to standard output as tables."""

from __future__ import annotations

import subprocess
import sys

QUICK = {
    "stages": ["--runs", "3", "--requests", "2000"],
    "door": ["--runs", "1", "--requests", "5000"],
    "drain": ["--runs", "1", "--events", "10000", "--conversations", "10000", "1000", "--latency", "0"],
    "latency": ["--runs", "1", "--rates", "5", "50", "--seconds", "8"],
}

for part, short in QUICK.items():
    print(f"\n## {part}\n", flush=True)
    subprocess.run(
        [sys.executable, "-m", f"bench.{part}", *(short if "--quick" in sys.argv else [])], check=True
    )
