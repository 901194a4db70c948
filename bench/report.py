"""The figures against their targets, from the results' file: no figure is typed by hand.

python -m bench.report [RESULTS.json] [--before OLDER.json]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import OUT, number
from bench.targets import FLAT, ROWS, Row

#: figure -> median, min, max, runs
Spread = dict[str, dict[str, float]]
#: What each stage's process does besides, as `bench.door` and `bench.drain` see it whole.
_DOOR = ("verify", "map whole (parse to archive)", "record")
_WORKER = ("claim", "fold", "encode", "settlement", "settle")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_INSIDE_MAP = ("parse", "match", "render", "match and render")


@dataclass(frozen=True)
class Results:
    parts: dict[str, Any]

    def cells(self, part: str) -> list[dict[str, Any]]:
        return list(self.parts.get(part, {}).get("cells", []))

    def spread(self, part: str, cell: str) -> Spread:
        """Of the first cell whose name matches: `cell` is words that stand in it, in order, divided by `*`."""
        for found in self.cells(part):
            name, at = found["name"], 0
            for words in cell.split("*"):
                at = name.find(words, at)
                if at < 0:
                    break
            else:
                return dict(found["spread"])
        return {}

    def figure(self, row: Row) -> dict[str, float] | None:
        for cell in row.cell.split("|"):
            of = self.spread(row.part, cell).get(row.figure)
            if of:
                return {key: value * (row.scale if key != "runs" else 1) for key, value in of.items()}
        return None


def markdown(results: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    now, then = Results(results["parts"]), Results(before["parts"]) if before else None
    parts = [
        _machine(now),
        _figures(now, then),
        _growth(now),
        _rules(now),
        _stages(now),
        _sampled(now),
        _pictures(),
    ]
    if results.get("quick"):
        parts.insert(0, "*A quick look: few and short runs. For figures, run without `--quick`.*")
    return "\n\n".join(part for part in parts if part)


def _machine(now: Results) -> str:
    said = [part["machine"] for part in now.parts.values()]
    if not said:
        return ""
    one = said[0]
    loads = [m[key] for m in said for key in ("load_average", "load_average_after")]
    spins = [
        run["spin_ms"]
        for part in now.parts.values()
        for cell in part["cells"]
        for run in cell["runs"]
        if "spin_ms" in run
    ]
    facts = [
        f"{one['cores']} cores ({one['cpu']}), {one.get('memory_gb', '?')} GB",
        f"Python {one['python']}",
        one["server"],
        f"generator and sink: {', '.join(sorted({m['generator'] for m in said} | {m['sink'] for m in said}))}",
        f"commit {', '.join(sorted({m['commit'] for m in said}))}",
        f"load average {min(loads):g}-{max(loads):g}",
    ]
    if spins:
        facts.append(
            f"a fixed loop took {min(spins):.1f}-{max(spins):.1f} ms of CPU (how even the machine was)"
        )
    return "; ".join(facts) + "."


def _figures(now: Results, then: Results | None) -> str:
    head = ["figure", "target", *(["before"] if then else []), "measured: median (min-max)", "runs", ""]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in ROWS:
        of = now.figure(row)
        if of is None:
            continue
        old = then.figure(row) if then else None
        lines.append(
            "| "
            + " | ".join(
                [
                    row.what,
                    row.target(),
                    *([f"{number(old['median'])}{row.unit}" if old else ""] if then else []),
                    f"{number(of['median'])}{row.unit} ({number(of['min'])}-{number(of['max'])})",
                    f"{of['runs']:.0f}",
                    row.verdict(of["median"]),
                ]
            )
            + " |"
        )
    return "\n".join(lines)


def _growth(now: Results) -> str:
    cells = now.cells("growth")
    if not cells:
        return ""
    names = {
        "worker_cpu_us": "worker, draining",
        "redis_cpu_us": "Redis, draining",
        "record_redis_cpu_us": "Redis: record",
        "claim_redis_cpu_us": "Redis: claim",
        "settle_redis_cpu_us": "Redis: settle",
        "set_redis_cpu_us": "Redis: plain SET",
        "items_per_s": "items/s",
    }
    names = {name: words for name, words in names.items() if name in cells[0]["spread"]}
    lines = [f"| pending | {' | '.join(names.values())} |", "|" + "---|" * (len(names) + 1)]
    lines += [
        f"| {cell['facts']['pending']:,} | "
        + " | ".join(
            number(cell["spread"][name]["median"]) if name in cell["spread"] else "" for name in names
        )
        + " |"
        for cell in cells
    ]
    text = "CPU us an item by what waits, median:\n\n" + "\n".join(lines)
    costs = [cell["spread"]["cpu_us"] for cell in cells if "cpu_us" in cell["spread"]]
    if len(costs) > 1:
        ratio = costs[-1]["median"] / costs[0]["median"]
        word = "flat" if ratio <= FLAT else "**not flat**"
        text += (
            f"\n\nFrom {cells[0]['facts']['pending']:,} to {cells[-1]['facts']['pending']:,} pending, worker and Redis "
            f"together cost {number(ratio)} x an item: {word} (up to {FLAT:g} x counts as flat)"
        )
        sets = [cell["spread"]["set_redis_cpu_us"]["median"] for cell in (cells[0], cells[-1])]
        text += f"; a plain SET costs Redis {number(sets[1] / sets[0])} x there."
    return text


def _rules(now: Results) -> str:
    cells = now.cells("rules")
    if not cells:
        return ""
    names = list(cells[0]["spread"])
    names = [name for name in names if name.endswith(", us")]
    lines = [
        f"| rules | {' | '.join(name.removesuffix(', us') for name in names)} |",
        "|" + "---|" * (len(names) + 1),
    ]
    lines += [
        f"| {cell['facts']['rules']} | "
        + " | ".join(number(cell["spread"][name]["median"]) for name in names)
        + " |"
        for cell in cells
    ]
    return "CPU us to map one event by rules of its source, median:\n\n" + "\n".join(lines)


def _stages(now: Results) -> str:
    python, server = now.spread("stages", "Python"), now.spread("stages", "Redis")
    if not python:
        return ""
    lines = ["| stage | Python, us an event | Redis, us an event |", "|---|---|---|"]
    for name, of in python.items():
        if name != "spin_ms":
            inside = "&nbsp;&nbsp;" if name in _INSIDE_MAP else ""
            there = number(server[name]["median"]) if name in server else ""
            lines.append(f"| {inside}{name} | {number(of['median'])} | {there} |")
    for words, stages, part, cell, figure in (
        ("door, the rest: HTTP, event loop, client", _DOOR, "door", "saturation", "web_cpu_us"),
        ("worker, the rest: the call, client, leases", _WORKER, "drain", ", 0 ms", "worker_cpu_us_an_event"),
    ):
        whole = now.spread(part, cell).get(figure)
        if whole:
            rest = whole["median"] - sum(python[name]["median"] for name in stages if name in python)
            lines.append(f"| {words} (whole process {number(whole['median'])}) | {number(rest)} | |")
    return "Where it goes, CPU by stage, median:\n\n" + "\n".join(lines)


def _sampled(now: Results) -> str:
    """What packages and functions cost themselves, the greatest first."""
    texts = []
    for cell in now.cells("flame"):
        costs = sorted(((of["median"], name) for name, of in cell["spread"].items()), reverse=True)
        packages = [f"{name[8:]} {cost:.0f} %" for cost, name in costs if name.startswith("package ")]
        functions = [f"`{name}` {cost:.1f} %" for cost, name in costs if not name.startswith("package ")]
        texts.append(
            f"The {cell['name'].partition(':')[0]}'s process, own share of its CPU time: {', '.join(packages[:7])}; "
            f"by function {', '.join(functions[:7])}."
        )
    return "\n\n".join(texts)


def _pictures() -> str:
    """Those that were drawn; beside this file, as the README is."""
    here = Path(__file__).parent
    shown = {"growth.svg": "CPU an item, by what waits", "rules.svg": "CPU to map an event, by rules"}
    lines = [f"![{words}]({name})" for name, words in shown.items() if (here / name).exists()]
    flames = [
        f"[{name[6:-4]}]({name})" for name in ("flame-door.svg", "flame-drain.svg") if (here / name).exists()
    ]
    if flames:
        lines += ["", f"Flame graphs, to open in a browser: {', '.join(flames)}."]
    return "\n".join(lines)


def write_into(file: Path, text: str) -> None:
    """Puts `text` between the two marks of a README."""
    whole = file.read_text(encoding="utf-8")
    head, _, rest = whole.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise SystemExit(f"{file}: no {BEGIN} ... {END} in it")
    file.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def main() -> None:

    parser = argparse.ArgumentParser(
        prog="python -m bench.report", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("results", nargs="?", type=Path, default=OUT)
    parser.add_argument("--before", type=Path, help="older results, for a column of their medians")
    parser.add_argument("--into", type=Path, help="a README: the text goes between its marks as well")
    chosen = parser.parse_args()
    before = json.loads(chosen.before.read_text()) if chosen.before else None
    text = markdown(json.loads(chosen.results.read_text()), before)
    print(text)
    if chosen.into:
        write_into(chosen.into, text)


if __name__ == "__main__":
    main()
