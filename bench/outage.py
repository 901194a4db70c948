"""Redis gone while requests come: `python -m bench.outage [--seconds 15] [--rate 200]`.

A web process with a spool, Redis killed for `seconds`, kill -9 of the web process in the middle. Senders try again until they see 202. In the end
every accepted event stands in the ledger once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import redis

from bench.chaos.house import ROOT
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.outbox import Outbox

PORT = 18_099
CONFIG = """
planhat: {{types: [Help-desk ticket]}}
spool: {{dir: {folder}/spool, max_bytes: 100MB}}
sources:
  hook: {{adapter: generic, bearer: [outage], type: Help-desk ticket}}
companies: [{{default: extid-acme}}]
"""


def start(folder: Path, url: str) -> subprocess.Popen[bytes]:
    environ = {
        **os.environ,
        "RELAY_REDIS_URL": url,
        "RELAY_CONFIG": str(folder / "relay.yaml"),
        "RELAY_PORT": str(PORT),
        "RELAY_ALLOW_WEAK_SECRETS": "true",
        "RELAY_LOG_LEVEL": "warning",
    }
    with open(folder / "web.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "relay.cli", "serve"],
            env=environ,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rate", type=float, default=200)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="outage-"))
    (folder / "relay.yaml").write_text(CONFIG.format(folder=folder))
    server = EmbeddedServer(folder / "r").start()
    web = start(folder, server.url)
    accepted: dict[str, int] = {}
    refused = 0
    lock = threading.Lock()
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{PORT}",
        timeout=5,
        trust_env=False,
        headers={"authorization": "Bearer outage"},
    )

    def post(number: int) -> None:
        nonlocal refused
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            try:
                answer = client.post("/hooks/hook", json={"id": f"m{number}", "text": "x"})
                if answer.status_code == 202:
                    with lock:
                        for event_id in answer.json().get("event_ids", []):
                            accepted[event_id] = number
                    return
            except httpx.HTTPError:
                pass
            with lock:
                refused += 1
            time.sleep(0.3)

    try:
        for _ in range(200):
            try:
                if client.get("/readyz").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        total = int((given.seconds + 4) * given.rate)
        began = time.monotonic()
        killed = restarted = False
        with ThreadPoolExecutor(32) as pool:
            for number in range(total):
                time.sleep(max(0.0, began + number / given.rate - time.monotonic()))
                gone = time.monotonic() - began
                if not killed and gone > 2:
                    server.kill()
                    killed = True
                if not restarted and gone > 2 + given.seconds / 2:
                    web.kill()
                    web.wait()
                    web = start(folder, server.url)
                    restarted = True
                pool.submit(post, number)
            server.spawn()
        outbox = Outbox(redis.Redis.from_url(server.url))
        ends = time.monotonic() + 60
        while time.monotonic() < ends and sum(c["accepted"] for c in outbox.ledger().values()) < len(
            accepted
        ):
            time.sleep(0.2)
        counts = outbox.ledger()["hook"]
        lost = sum(outbox.events.get(event_id) is None for event_id in accepted)
        print(
            "| sent | 202 | tries refused (web killed) | in the ledger | duplicates seen | lost | twice |\n|---|---|---|---|---|---|---|"
        )
        print(
            f"| {total} | {len(accepted)} | {refused} | {counts['accepted']} | {counts['duplicate']} | {lost} | {counts['accepted'] - len(accepted)} |"
        )
    finally:
        web.terminate()
        try:
            web.wait(10)
        except subprocess.TimeoutExpired:
            web.kill()
        server.stop()


if __name__ == "__main__":
    main()
