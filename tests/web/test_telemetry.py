"""Log lines: each is whole, in order and on standard error by the time the process has ended."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.process

PROGRAM = """
import asyncio, logging, sys
from relay.telemetry import log, log_soon, logs_info, set_up_logging
set_up_logging({format!r}, {level!r})
def soon(number):
    if logs_info():
        log_soon("request.answered", {{"number": number, "text": "h\\u00e9\\n", "nothing": None}})
async def main():
    soon(1)
    soon(2)
    log("batch.sent", number=3)
    await asyncio.sleep(0)
    soon(4)
    await asyncio.sleep(0)
    soon(5)
    {end}
asyncio.run(main())
soon(6)
"""


def lines(*, format: str = "json", level: str = "info", end: str = "pass") -> list[str]:
    program = PROGRAM.format(format=format, level=level, end=end)
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=30
    )
    return done.stderr.splitlines()


def read(said: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said]


def test_lines_of_requests_come_in_order_among_the_others() -> None:
    said = read(lines())
    assert [line["number"] for line in said] == [1, 2, 3, 4, 5, 6]
    assert {line["event"] for line in said} == {"request.answered", "batch.sent"}
    assert {line["level"] for line in said} == {"info"}
    assert said[0]["text"] == "hé\n" and said[0]["nothing"] is None
    assert all(
        len(line["at"]) == len("2026-03-04T05:06:07.089Z") and line["at"].endswith("Z") for line in said
    )


def test_a_process_that_exits_in_the_middle_of_a_turn_loses_no_line() -> None:
    said = read(lines(end="sys.exit(3)"))
    assert [line["number"] for line in said] == [1, 2, 3, 4, 5]


def test_a_level_above_info_leaves_them_out() -> None:
    assert lines(level="warning") == []


def test_a_terminal_gets_words() -> None:
    said = lines(format="console")
    assert len(said) > 5 and "request.answered number=1" in said[0]
