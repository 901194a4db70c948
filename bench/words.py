"""Which words of a payload reach the conversation: `python -m bench.words` (`--ours`: only the payloads of this repository).

Every string that a person wrote (as far as it can be told, `tests/sources/words.py`) is looked for in the conversation that
the adapter's default rules make of the request: over our payloads and, where they lie beside the repository, over those that
senders document or others recorded. Prints a table by adapter, and then what does not arrive, with its reason, as Markdown.
Exit code 1: words are missing without a reason.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from relay.sources.base import Adapter, Inbound
from tests.sources.test_fixtures import INDEX, adapter_name, adapter_of, inbound_of
from tests.sources.test_words_arrive import OURS, WHY, reason, request_of, told_by
from tests.sources.words import is_written, outcome, strings, why_skipped


@dataclass
class Counted:
    """One adapter's: requests and those with events, why the others have none; strings that people wrote in the former, those
    that stand in no conversation by pattern of their paths ("" where nothing explains them); files of the events."""

    requests: int = 0
    told: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    written: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    files: int = 0
    empty: Counter[str] = field(default_factory=Counter)


def labels(*, ours_only: bool) -> Iterable[tuple[str, str, Adapter, Inbound]]:
    """Adapter, name of the request, adapter, request."""
    for name, label, file in OURS:
        yield name, label, *request_of(name, file)
    for item in [] if ours_only else INDEX:
        yield adapter_name(item), f"fixtures:{item['file']}", adapter_of(item), inbound_of(item)


def count(*, ours_only: bool) -> dict[str, Counted]:
    found: dict[str, Counted] = defaultdict(Counted)
    for name, label, adapter, request in labels(ours_only=ours_only):
        row = found[name]
        row.requests += 1
        events, payload, lost = told_by(label)
        if not events:
            row.skipped[_why(adapter, request)] += 1
            continue
        row.told += 1
        row.written += len({(path, text) for path, text in strings(payload) if is_written(path, text)})
        row.files += sum(len(event.attachments) for event in events)
        row.empty.update(event.empty for event in events if event.empty)
        for path, _ in lost:
            row.missing[reason(name, path)] += 1
            if not reason(name, path):
                row.unexplained.append(f"{label}: {path}")
    return dict(sorted(found.items()))


def _why(adapter: Adapter, request: Inbound) -> str:
    try:
        return why_skipped(outcome(adapter, request))
    except ValueError:
        return "refused"


def table(found: dict[str, Counted]) -> list[str]:
    lines = [
        "| adapter | requests | with events | without, why | strings written | arrive | explained | lost | files | events without words |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        lost = len(row.unexplained)
        missing = sum(row.missing.values())
        lines.append(
            f"| {name} | {row.requests} | {row.told} | {_told(row.skipped)} | {row.written} | {row.written - missing} | "
            f"{missing - lost} | {lost} | {row.files} | {_told(row.empty)} |"
        )
    return lines


def explained(found: dict[str, Counted]) -> list[str]:
    lines = [
        "| adapter | where in the payload | strings | why it is not in the conversation |",
        "|---|---|---|---|",
    ]
    for name, row in found.items():
        lines += [
            f"| {name} | `{pattern}` | {number} | {WHY[name][pattern]} |"
            for pattern, number in sorted(row.missing.items())
            if pattern
        ]
    return lines


def _told(counted: Counter[str]) -> str:
    return ", ".join(f"{word} {number}" for word, number in sorted(counted.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.words", description=__doc__)
    parser.add_argument("--ours", action="store_true", help="only the payloads of this repository")
    found = count(ours_only=parser.parse_args().ours)
    print("\n".join([*table(found), "", *explained(found)]))
    lost = [line for row in found.values() for line in row.unexplained]
    print("\n".join(["", f"{len(lost)} strings are missing without a reason.", *lost]))
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
