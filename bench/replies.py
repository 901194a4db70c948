"""The reply out of a mail, beside every peer, over the same fixtures: `python -m bench.replies --suites DIR --given DIR`.

`--suites` (RELAY_REPLY_SUITES) holds checkouts of the peers' repositories, by name; `--given` (RELAY_REPLY_GIVEN) the
JSON files `language`, `wrapped`, `html` and `whole`. A cell is exact / words lost / quote left in: `exact` has the
words expected in their order, `lost` lacks one of them, `left` has more.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.reply_peers import PEERS, NotInstalled, replies_of
from bench.reply_suites import Case, given_cases, peers_cases
from relay.sources.mail.bodies import bodies_of
from relay.sources.mail.reply import reply_of
from relay.sources.read.markup import text_of_html

_WORD = re.compile(r"\w+")


def verdict(reply: str, wanted: str) -> str:
    """ "exact", "lost" or "left"."""
    if reply.split() == wanted.split():
        return "exact"
    missing = Counter(_WORD.findall(wanted)) - Counter(_WORD.findall(reply))
    return "lost" if missing else "left"


def cell(verdicts: Iterable[str]) -> str:
    found = Counter(verdicts)
    return f"{found['exact']}/{found['lost']}/{found['left']}"


def unique(cases: list[Case]) -> list[Case]:
    """Each text once: suites copy from each other. The first suite's expectation counts."""
    found: dict[str, Case] = {}
    for case in cases:
        found.setdefault(" ".join(case.text.split()), case)
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.replies", description=__doc__)
    parser.add_argument(
        "--suites", type=Path, default=os.environ.get("RELAY_REPLY_SUITES"), help="checkouts of the peers"
    )
    parser.add_argument(
        "--given", type=Path, default=os.environ.get("RELAY_REPLY_GIVEN"), help="JSON files of fixtures"
    )
    parser.add_argument(
        "--install", type=Path, help="where the peers are installed; a temporary folder by default"
    )
    options = parser.parse_args()
    suites = Path(options.suites or "suites")
    columns = {"peers' suites": peers_cases(suites)}
    columns["each text once"] = unique(columns["peers' suites"])
    columns |= given_cases(Path(options.given)) if options.given else {}
    if not any(columns.values()):
        parser.error("no fixtures: name checkouts with --suites, JSON files with --given")
    with tempfile.TemporaryDirectory() as folder:
        show(columns, Path(options.install or folder).resolve(), suites.resolve())


def show(columns: dict[str, list[Case]], folder: Path, suites: Path) -> None:
    """Prints the table, one row a program, and the peers that are missing from it."""
    table = Table(title="exact / words lost / quote left in")
    table.add_column("")
    for name, cases in columns.items():
        table.add_column(f"{name} ({len(cases)})", justify="right")
    table.add_column("ms a text", justify="right")
    texts = [case.text for cases in columns.values() for case in cases]
    began = time.perf_counter()
    ours = [reply_of(text).text for text in texts]
    per_text_ms = 1000 * (time.perf_counter() - began) / max(1, len(texts))
    table.add_row("the relay, text", *cells(columns, ours), f"{per_text_ms:.2f}", style="bold")
    bodies = [bodies_of(case.text, case.html) for cases in columns.values() for case in cases]
    table.add_row("the relay, event.text", *cells(columns, [body.text for body in bodies]), "")
    shown = [text_of_html(body.html) if body.html else body.text for body in bodies]
    table.add_row("the relay, event.html", *cells(columns, shown), "")
    missing = []
    for peer in PEERS:
        try:
            began = time.perf_counter()
            replies = replies_of(peer, texts, folder, suites)
            taken_ms = 1000 * (time.perf_counter() - began) / max(1, len(texts))
            table.add_row(peer.name, *cells(columns, replies), f"<{taken_ms:.2f}")
        except NotInstalled as error:
            missing.append(f"{peer.name}: not installed ({error})")
    console = Console(width=160)
    console.print(table)
    for line in missing:
        console.print(line)


def cells(columns: dict[str, list[Case]], replies: list[str]) -> list[str]:
    found, at = [], 0
    for cases in columns.values():
        found.append(
            cell(verdict(reply, case.visible) for reply, case in zip(replies[at:], cases, strict=False))
        )
        at += len(cases)
    return found


if __name__ == "__main__":
    main()
