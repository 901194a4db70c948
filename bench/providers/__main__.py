"""The providers' own packages beside the relay: `python -m bench.providers [--packages FOLDER] [--only NAME] [--json]`.

Each package is installed in its pinned version into a folder of its own. What it signs is posted to a real `relay serve`,
which must take it or refuse it; what `relay send` posts must be taken, and refused when it was changed, by the package.
Prints a table; exit code 1 when anything came out otherwise. `--packages` keeps the folders for the next run.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.providers.cases import SOURCES, SPOILT, cases_of
from bench.providers.door import PUBLIC, Catcher, Door, Keys, Request, open_door, send, write_config
from bench.providers.packages import HERE, PACKAGES, Package, install


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one variant; `why` is empty when it came out as it should."""

    package: Package
    direction: str
    variant: str
    why: str


def run_driver(package: Package, place: Path, tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The driver's answers, one a task. Raises RuntimeError where it broke off."""
    if package.registry == "pip":
        command = [sys.executable, str(HERE / "drive.py"), package.name]
        own = {"PYTHONPATH": str(place)}
    else:
        command, own = ["node", str(place / "drive.mjs"), package.name], {}
    lines = [
        json.dumps({**task, "body": base64.b64encode(task["body"]).decode()}, ensure_ascii=True)
        for task in tasks
    ]
    done = subprocess.run(
        command,
        input="\n".join(lines) + "\n",
        env={**os.environ, **own},
        cwd=place,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if len(answers) != len(tasks):
        raise RuntimeError(f"{package.key}: {done.stderr.strip()[-500:]}")
    return answers


def taken(package: Package, place: Path, keys: Keys, door: Door) -> Iterator[Result]:
    """What the package signs, at our door."""
    cases = list(cases_of(package.name))
    if package.registry == "npm" and package.name == "twilio":
        # Of the two only Python's knows SharedKeys.
        cases = [case for case in cases if "shared_key" not in case.how]
    if package.registry == "pip" and package.name == "cloudevents":
        cases = [case for case in cases if case.how != "batch"]
    answers = run_driver(package, place, [case.task(keys) for case in cases])
    for case, answer in zip(cases, answers, strict=True):
        if "headers" not in answer:
            yield Result(package, "theirs -> ours", case.name, f"not signed: {answer.get('why')}")
            continue
        body = base64.b64decode(answer["body"]) if "body" in answer else case.body
        path = case.path or f"/hooks/{case.source}"
        if answer.get("query"):
            path += "?" + answer["query"]
        request = Request(answer["headers"], body, path)
        became = door.post(case.change(request) if case.change else request)
        wanted = "taken" if case.taken else "refused"
        yield Result(package, "theirs -> ours", case.name, "" if became == wanted else became)


def sent(package: Package, place: Path, keys: Keys, config: Path, catcher: Catcher) -> Iterator[Result]:
    """What `relay send` posts, at the package's."""
    labels: list[tuple[str, bool]] = []
    tasks: list[dict[str, Any]] = []
    for source in SOURCES[package.name]:
        caught = send(config, source, catcher)
        spoilt = caught.body + b" "
        if source in SPOILT:
            spoilt = caught.body.replace(*SPOILT[source], 1)
            assert spoilt != caught.body, source
        tried = [("as sent", caught.body, "own", True)]
        if source != "cloudevents":
            tried += [("changed", spoilt, "own", False), ("another's secret", caught.body, "other", False)]
        for name, body, which, holds in tried:
            labels.append((f"{source} {name}" if len(SOURCES[package.name]) > 1 else name, holds))
            tasks.append(
                {
                    "do": "verify",
                    "secret": keys.secret(source, which),
                    "public_key": keys.public(which),
                    "certificate": keys.certificate(which),
                    "url": f"{PUBLIC}/hooks/{source}",
                    "headers": dict(caught.headers),
                    "body": body,
                    "how": "",
                    "now": 0,
                }
            )
    for (name, holds), answer in zip(labels, run_driver(package, place, tasks), strict=True):
        why = "" if answer.get("ok") is holds else str(answer.get("why") or f"ok: {answer.get('ok')}")
        yield Result(package, "ours -> theirs", name, why)


def run_all(packages: Sequence[Package], folder: Path, scratch: Path) -> list[Result]:
    keys = Keys(scratch)
    config = write_config(keys)
    catcher = Catcher()
    found: list[Result] = []
    try:
        with open_door(config) as door:
            for package in packages:
                place = install(package, folder)
                try:
                    if package.signs:
                        found += taken(package, place, keys, door)
                    if package.verifies:
                        found += sent(package, place, keys, config, catcher)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    found.append(Result(package, "-", "(the driver)", str(error)[:300]))
    finally:
        catcher.close()
    return found


def print_table(results: Sequence[Result]) -> None:
    """A row for each package and direction, as Markdown; then what came out otherwise."""
    print("| package | version | direction | variants | result |")
    print("|---|---|---|---|---|")
    rows: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        rows.setdefault((result.package.key, result.direction), []).append(result)
    for (_, direction), row in rows.items():
        package = row[0].package
        wrong = [result.variant for result in row if result.why]
        told = "all as they should" if not wrong else f"{len(wrong)} otherwise: {', '.join(wrong)}"
        name = f"`{package.name}` ({package.registry})"
        print(f"| {name} | {package.version} | {direction} | {len(row)} | {told} |")
    for result in results:
        if result.why:
            print(f"{result.package.key} {result.direction} {result.variant}: {result.why}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, help="a folder that keeps the packages for the next run")
    parser.add_argument("--only", help="one package, by name")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args(arguments)
    wanted = [package for package in PACKAGES if given.only in (None, package.name)]
    with tempfile.TemporaryDirectory(prefix="providers-") as temporary:
        folder = given.packages or Path(temporary) / "packages"
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(temporary) / "relay"
        scratch.mkdir()
        results = run_all(wanted, folder.resolve(), scratch)
    if given.json:
        for result in results:
            row = {"package": result.package.key, "version": result.package.version}
            row |= {"direction": result.direction, "variant": result.variant, "why": result.why}
            print(json.dumps(row))
    else:
        print_table(results)
    right = sum(not result.why for result in results)
    print(f"{right} of {len(results)} variants", file=sys.stderr)
    return 0 if right == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
