"""The least that a door and a worker of these packages cost, beside ours: what remains when all of the relay's own code between the
libraries is taken away, on the same bytes.

The least door is one raw ASGI function under the same uvicorn. It compares the signature (hmac), reads the JSON (orjson), makes two identities,
compresses request and patch as one frame (zstandard), has `record.lua` write them with whatever waits beside, and answers. It knows no source,
rule, bound or name: its patch is written by a format string.

The least worker runs in this process: a claim, its patches read, a document made of each by one `orjson.dumps`, hashed and compressed, a bulk body
joined, a settlement. It folds nothing, and sends nothing.

A target below these cannot be had by making our code quicker.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import redis
import redis.asyncio
from starlette.types import Receive, Scope, Send

from bench.door import TURNS, WARM_UP, Side
from bench.figures import Cell, main, spin_ms
from bench.servers import UVICORN, Server, bare_server, free_port, redis_server, web_server
from bench.stages import CLAIM, SETTLE
from bench.traffic import SECRET, entries, fill, slack_requests, write_config
from bench.usage import redis_cpu_s
from relay.outbox import keys
from relay.outbox.items import Done, Entry, Item
from relay.outbox.outbox import Outbox
from relay.outbox.recorder import Recorder

PART = "least"
_PATCH = '{"v":1,"x":"%s","e":"%s","s":"slack","t":%d,"n":"slack-thread","f":{"type":"Slack thread","subject":%s,"description":%s}}'
_MEMORY = b',"h":"0000000000000000","i":"","c":"extid-acme","y":[]}'


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--events", type=int, default=20_000, help="of the worker")


def run(chosen: argparse.Namespace) -> list[Cell]:
    door, worker = Cell("the least door, and ours"), Cell("the least worker")
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = write_config(folder)
        for _ in range(chosen.runs):
            door.add({**_doors(folder, config, chosen), "spin_ms": spin_ms()})
            worker.add({**_worker(folder, config, chosen.events), "spin_ms": spin_ms()})
    return [door, worker]


def _doors(folder: Path, config: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """CPU us an event of the web process and of its Redis; both doors and the bare 202 take turns."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.least:app", "--port", str(port), *UVICORN]
    with redis_server(folder) as ours, redis_server(folder) as theirs:
        own = {"LEAST_REDIS_URL": theirs.url}
        with (
            web_server(config, ours.url) as web,
            Server(command, port, folder / "least.log", own) as least,
            bare_server(folder) as bare,
        ):
            sides = {"door": Side(web), "least": Side(least), "bare": Side(bare, 3)}
            clients = {"door": redis.Redis.from_url(ours.url), "least": redis.Redis.from_url(theirs.url)}
            for side in sides.values():
                side.measure(slack_requests(WARM_UP, start=10_000_000), chosen.connections)
                side.forget()
            before = {name: redis_cpu_s(client) for name, client in clients.items()}
            requests = slack_requests(chosen.requests)
            for number in range(TURNS):
                for side in list(sides.values())[:: 1 if number % 2 else -1]:
                    side.measure(requests[number::TURNS], chosen.connections)
            used = {name: redis_cpu_s(client) - before[name] for name, client in clients.items()}
    figures = {f"{name}_web_cpu_us": side.cpu_us for name, side in sides.items()}
    figures |= {f"{name}_per_s": side.per_s for name, side in sides.items()}
    return figures | {f"{name}_redis_cpu_us": s / len(requests) * 1e6 for name, s in used.items()}


def _worker(folder: Path, config: Path, events: int) -> dict[str, float]:
    """CPU us an item of the process and of Redis."""
    with redis_server(folder) as store:
        client = redis.Redis.from_url(store.url)
        outbox = Outbox(client)
        fill(outbox, entries(config, events), 500)
        generation = outbox.lane.hand_over(int(client.get(outbox.prefix + keys.WAKE) or 0))
        outbox.lane.own(generation, 600_000)
        used, began = redis_cpu_s(client), time.process_time()
        done = 0
        while claimed := outbox.lane.claim(generation, CLAIM, lease_ms=600_000, wake_ms=60_000).items:
            made = [_least_item(item) for item in claimed]
            b"[%b]" % b",".join([body for body, _ in made])
            settled = [each for _, each in made]
            for at in range(0, len(settled), SETTLE):
                outbox.lane.settle(settled[at : at + SETTLE])
            done += len(claimed)
        worker_s = time.process_time() - began
        if done != events:
            raise RuntimeError(f"{done} of {events} were claimed")
        return {
            "worker_cpu_us": worker_s / events * 1e6,
            "redis_cpu_us": (redis_cpu_s(client) - used) / events * 1e6,
        }


def _least_item(item: Item) -> tuple[bytes, Done]:
    patch = orjson.loads(item.pending[0].patch)
    body = orjson.dumps(patch["f"])
    hashlib.sha256(body).hexdigest()
    return body, Done(item, orjson.dumps(patch)[:-1] + _MEMORY, [(item.pending[0].event_id, "delivered")])


class _App:
    """The least door."""

    def __init__(self) -> None:
        self._recorder: Recorder | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        if self._recorder is None:
            client = redis.asyncio.Redis.from_url(os.environ["LEAST_REDIS_URL"])
            outbox = Outbox(redis.Redis.from_url(os.environ["LEAST_REDIS_URL"]))
            self._recorder = Recorder(client, outbox, rang=lambda _: None, wait_aof=False)
        body = (await receive())["body"]
        if not body:
            await _answer(send, 404, b"{}")
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        basis = b"v0:" + headers[b"x-slack-request-timestamp"] + b":" + body
        digest = "v0=" + hmac.new(SECRET.encode(), basis, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(digest, headers[b"x-slack-signature"].decode()):
            await _answer(send, 401, b"{}")
            return
        [recorded] = await self._recorder.record([(_least_entry(orjson.loads(body), body), 0)])
        await _answer(send, 202, orjson.dumps({"status": "accepted", "event_ids": [recorded.event_id]}))


def _least_entry(payload: dict[str, Any], body: bytes) -> Entry:
    event = payload["event"]
    identity = "evt_" + hashlib.sha256(payload["event_id"].encode()).hexdigest()[:32]
    thread = f"slack-{event['ts']}"
    text = orjson.dumps(event["text"]).decode()
    subject = orjson.dumps(event["text"][:80]).decode()
    patch = _PATCH % (thread, identity, payload["event_time"] * 1_000_000, subject, text)
    return Entry(identity, "slack", "pending", (identity,), body, external_id=thread, patch=patch.encode())


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app = _App()


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
