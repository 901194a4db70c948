"""Planhat's public Python clients against the sandbox: `python -m bench.planhat_clients [--venvs FOLDER] [--json]`.

Each client is installed in its pinned version into a virtual environment of its own (two of them share an import name),
and runs unmodified but for the base URL against `relay sandbox` as a process. Prints a line for each operation; exit
code 1 when one fails. `--venvs` keeps the environments for the next run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.servers import Server, free_port

CLIENTS = {
    "drive_pyplanhat.py": "pyplanhat==0.2.1",
    # It imports typing_extensions without asking for it.
    "drive_robocorp.py": "robocorp-planhat==1.0.0 typing-extensions",
    "drive_cruds.py": "cruds==1.9.1",
    "drive_planhat.py": "planhat==0.5.1",
}
DRIVERS = Path(__file__).parent / "clients"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one operation of one client; `why` is empty when it worked."""

    client: str
    operation: str
    ok: bool
    why: str


def environment(folder: Path, requirement: str) -> Path:
    """Make, or find, the virtual environment of one client. Returns its interpreter."""
    packages = requirement.split()
    home = folder / packages[0].replace("==", "-")
    python = home / "bin" / "python"
    done = home / "installed"
    if not done.exists():
        venv.create(home, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(command, check=True)
        done.touch()
    return python


def drive(python: Path, driver: str, requirement: str, url: str) -> Iterator[Result]:
    """Run one client's driver to its end; a driver that breaks off is a result too."""
    client = requirement.split(maxsplit=1)[0]
    run = subprocess.run(
        [python, DRIVERS / driver, url], capture_output=True, text=True, timeout=120, check=False
    )
    for line in run.stdout.splitlines():
        # The clients print as well.
        if line.startswith('{"operation"'):
            yield Result(client, **json.loads(line))
    if run.returncode:
        yield Result(client, "(the driver)", False, run.stderr.strip().splitlines()[-1])


def run_all(folder: Path) -> list[Result]:
    """Every operation of every client against a sandbox that is started for it and ended afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "relay.cli", "sandbox", "--port", str(port), "--no-quotas"]
    with Server(command, port, folder / "sandbox.log", ready="/_sandbox/stats"):
        url = f"http://127.0.0.1:{port}"
        return [
            result
            for driver, requirement in CLIENTS.items()
            for result in drive(environment(folder, requirement), driver, requirement, url)
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venvs", type=Path, help="a folder that keeps the environments for the next run")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="planhat-clients-") as temporary:
        folder = given.venvs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = run_all(folder)
    for result in results:
        if given.json:
            print(
                json.dumps(
                    {
                        "client": result.client,
                        "operation": result.operation,
                        "ok": result.ok,
                        "why": result.why,
                    }
                )
            )
        else:
            print(
                f"{'ok  ' if result.ok else 'FAIL'} {result.client:24} {result.operation:40} {result.why}".rstrip()
            )
    worked = sum(result.ok for result in results)
    print(f"{worked} of {len(results)} operations", file=sys.stderr)
    return 0 if worked == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
