"""All parts, one after the other, into one file: `python -m bench [--quick] [--parts door drain ...]`.

Each part is a process of its own, so that none inherits another's memory. `python -m bench.report` makes the tables of the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figures import OUT
from bench.report import markdown

#: In this order; --quick: with these options.
PARTS: dict[str, list[str]] = {
    "start": ["--runs", "5"],
    "idle": ["--runs", "1", "--seconds", "10"],
    "stages": ["--runs", "3", "--events", "3000", "--conversations", "3000"],
    "door": ["--runs", "2", "--requests", "8000", "--seconds", "5"],
    "latency": ["--runs", "1", "--seconds", "8", "--latency", "0", "--long-seconds", "0"],
    "memory": ["--runs", "1", "--events", "5000"],
    "drain": ["--runs", "1", "--events", "15000", "--conversations", "15000", "1500"],
    "rules": ["--runs", "2", "--events", "1000", "--picture", "PICTURES/rules.svg"],
    "flame": ["--runs", "1", "--events", "8000", "--pictures", "PICTURES"],
    "growth": ["--runs", "1", "--sizes", "1000", "10000", "50000", "--slice", "10000", "--picture", "PICTURES/growth.svg"],
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: some minutes")
    parser.add_argument("--runs", type=int, help="of each part, instead of its own number")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="these; the file keeps the others"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"quick": chosen.quick, "parts": {}}
    if len(chosen.parts) < len(PARTS) and chosen.out.exists():
        held = json.loads(chosen.out.read_text())
        results = {"quick": chosen.quick or held["quick"], "parts": held["parts"]}
    failed = []
    for part in chosen.parts:
        print(f"\n## {part}\n", flush=True)
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            # A quick look's pictures do not take the place of the real ones.
            words = [word.replace("PICTURES", str(chosen.out.parent)) for word in PARTS[part]]
            options = [
                *(words if chosen.quick else []),
                *(["--runs", str(chosen.runs)] if chosen.runs else []),
            ]
            began = time.monotonic()
            command = [sys.executable, "-m", f"bench.{part}", "--json", file.name, *options]
            if subprocess.run(command, check=False).returncode:
                failed.append(part)
                continue
            results["parts"][part] = json.loads(Path(file.name).read_text())
            # After each part: an hour's work does not depend on its last minute.
            chosen.out.write_text(json.dumps(results, indent=1) + "\n")
            print(f"\n{part}: {time.monotonic() - began:.0f} s", flush=True)
    print("\n" + markdown(results), flush=True)
    print(f"\nAll of it: {chosen.out}", flush=True)
    if failed:
        print(f"FAILED, and not in the results: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
