"""What is over in a moment: processes killed and stopped, and what Planhat does wrong."""

from __future__ import annotations

import signal
import time
from random import Random
from typing import Any, Final

from bench.chaos.house import House
from bench.chaos.tally import Tally
from relay.planhat.sandbox import Fault, Sandbox

STYLES: Final = ("string", "string_id", "external_id", "index", "nested", "bare")
#: How often each comes.
BREAKS: Final = {
    "fault": 10,
    "kill worker": 3,
    "kill supervisor": 2,
    "kill web": 2,
    "stop workers": 1,
    "stop web": 1,
    "kill redis": 1,
    "restart redis": 1,
}


def break_something(house: House, sandbox: Sandbox, chance: Random, tally: Tally) -> None:
    what = chance.choices(tuple(BREAKS), tuple(BREAKS.values()))[0]
    tally.injected[what] += 1
    if what == "fault":
        name, fault = _fault(chance)
        tally.injected[f"fault: {name}"] += 1
        sandbox.faults.all.append(fault)
    elif what == "kill worker":
        house.kill_worker(chance)
    elif what in ("kill supervisor", "stop workers"):
        house.end("work", signal.SIGKILL if what.startswith("kill") else signal.SIGTERM)
    elif what in ("kill web", "stop web"):
        house.end("web", signal.SIGKILL if what.startswith("kill") else signal.SIGTERM)
    elif what == "kill redis":
        house.redis_server.kill()
        time.sleep(chance.uniform(0, 1))
        house.redis_server.spawn()
    elif what == "restart redis":
        house.redis_server.stop()
        house.redis_server.start()


def _fault(chance: Random) -> tuple[str, Fault]:
    fault: dict[str, Any] = chance.choice(
        (
            {"commit_then_hang": True, "hang_s": 3, "times": 1},
            {"commit_then_drop": True, "times": chance.randint(1, 3)},
            {"drop": True, "times": chance.randint(1, 3)},
            {"status": 503, "times": chance.randint(1, 4)},
            {"status": 500, "commit": True, "times": 2},
            {"status": 429, "retry_after": 1, "times": 1},
            {"status": 401, "times": 1},
            {"status": 200, "body": "garbled", "commit": True, "times": 1},
            {"status": 502, "body": "html", "times": 2},
            {"refuse": r"\d[0-4]$", "style": chance.choice(STYLES), "times": chance.randint(1, 4)},
            {"latency_ms": chance.randint(50, 800), "times": 5},
        )
    )
    name = " ".join(key for key in fault if key not in ("times", "hang_s", "body", "style"))
    return name, Fault.read({"operation": "upsert", **fault})
