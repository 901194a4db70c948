"""Runs a module as `python -m` would, and notes where its main thread stands at every few milliseconds of CPU time.

    python -m bench.sampler OUT MODULE [ARGUMENTS...]

OUT gets one line a stack, "outermost;...;innermost count", when the module ends. Unlike a tracing profiler this hardly slows
what it looks at. Time within C (Redis's parser, JSON, a system call) counts for the Python function that called it; what an
event loop in C does between two callbacks counts for the next one.
"""

from __future__ import annotations

import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

#: Linux delivers at its own tick, mostly every 4 ms.
EVERY_S = 0.001


def sample(out: Path, module: str, arguments: list[str]) -> None:
    stacks: Counter[tuple[str, ...]] = Counter()

    def note(number: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            names.append(f"{frame.f_globals.get('__name__', 'template')}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        stacks[tuple(reversed(names))] += 1

    sys.argv = [module, *arguments]
    signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write_text("".join(f"{';'.join(stack)} {count}\n" for stack, count in stacks.items()))


if __name__ == "__main__":
    sample(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
