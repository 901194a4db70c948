#!/usr/bin/env bash
# Huey: a task that failed once and then succeeded has an error for its result
#
# Most would expect: the result of a task that may be tried again is that of its last try,
#   and whoever waits for the result waits for the end of the tries.
# Instead: each failed try stores its error as the result, and a later success replaces it
#   only if the task returns something. A task that returns None, as tasks that deliver
#   mostly do, stores nothing: the error of the first try stays, and get() raises
#   TaskException for what was delivered. Who waits gets the first error at once, while the
#   second try is still to come; and .error(...) is run for it, and .then(...) too.
# Seen with: huey 3.5.4 (Python), 2026-11-29. Source: huey/api.py, Huey._execute, which puts
#   the error before it looks at task.retries, and a value only if it is not None.
# Why it matters here: who asks the result whether to send again sends twice what has
#   arrived; the other task, which returns a text, passes each test of the same code.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check huey==3.5.4

cat >show.py <<'END'
import logging
from importlib.metadata import version

from huey import MemoryHuey
from huey.exceptions import TaskException

logging.disable(logging.CRITICAL)
huey = MemoryHuey("deliveries")
tries = []
heard = []


def once_down():
    """Raise at the first try, as a server does that is being restarted."""
    tries.append(len(tries))
    if len(tries) == 1:
        raise ConnectionError("503")


@huey.task(retries=1)
def deliver_and_tell():
    once_down()
    return "delivered"


@huey.task(retries=1)
def deliver():
    once_down()


@huey.task()
def note(what):
    heard.append(str(what))


def work(steps):
    """Do what the consumer does, so many times."""
    for _ in range(steps):
        huey.execute(huey.dequeue())


def outcome(result):
    try:
        return result.get()
    except TaskException as error:
        return f"TaskException: {error.metadata['error']}"


def run(task):
    tries.clear()
    result = task()
    work(2)
    return outcome(result), len(tries), huey.pending_count()


told = run(deliver_and_tell)
silent = run(deliver)
tries.clear()
waiting = deliver()
work(1)
early = outcome(waiting), huey.pending_count()
work(1)
tries.clear()
huey.enqueue(deliver_and_tell.s().then(note).error(note))
work(4)
print("expected:", ("delivered", 2, 0), "and", (None, 2, 0))
print(f"huey {version('huey')}: a task that returns a text:", told)
print(f"huey {version('huey')}: a task that returns nothing:", silent)
print(f"huey {version('huey')}: asked between the tries:", early[0], "-", early[1], "try to come")
print(f"huey {version('huey')}: callbacks of one task:", heard)
assert told == ("delivered", 2, 0), "the control failed"
assert silent == ("TaskException: ConnectionError('503')", 2, 0), "a success clears the error now"
assert early == ("TaskException: ConnectionError('503')", 1), "the result waits for the last try now"
assert heard == ["503", "delivered"], "the callbacks of a retried task have changed"
END
env/bin/python show.py
