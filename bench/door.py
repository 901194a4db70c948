"""(a) The door: signed Slack bodies of 1-2 KB through the full path (verify, parse, match, render, record with dedupe
and ledger, fsync on), against a bare Starlette 202 under the same uvicorn in the same run.

    python -m bench.door [--runs 5] [--requests 20000] [--json FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import uvloop

from bench.load import Result, post, run
from relay.embedded import EmbeddedServer

SECRET = "bench-secret"
CONFIG = f"""
planhat: {{types: [Slack thread]}}
sources:
  slack: {{adapter: slack, secrets: ["{SECRET}"], type: Slack thread}}
companies:
  - table: {{slack_channel: {{C024BE91L: extid-acme}}}}
  - default: extid-acme
rules:
  - name: slack-thread
    source: slack
    when: event.kind in ["message.created", "message.updated"] and not event.sender.bot
    conversation:
      type: Slack thread
      externalId: "slack-{{{{ event.thread }}}}"
      subject: "#{{{{ event.channel.name or event.channel.id }}}}: {{{{ event.text | truncate(80) }}}}"
      description: "{{{{ event.html or event.text }}}}"
      date: "{{{{ event.time }}}}"
      custom: {{Channel: "{{{{ event.channel.id }}}}"}}
    merge: {{subject: first, date: first, description: append}}
    company: {{slack_channel: "{{{{ event.channel.id }}}}", email: "{{{{ event.sender.email }}}}"}}
"""
WORDS = "the export of this morning fails again with a time-out on our side could you have a look please thank you "


def text_of(number: int) -> str:
    """700-1,200 characters, each message its own: Redis's Lua hashes a few characters of a long string only, so that texts
    all alike make it look slower than it is for people's."""
    words = WORDS.split()
    return " ".join(random.Random(number).choices(words, k=400))[: 700 + number % 500]


def slack_requests(count: int, *, start: int = 0, threads: int = 0) -> list[bytes]:
    """Signed requests of 1-2 KB; of `threads` conversations (0: each its own)."""
    now = int(time.time())
    requests = []
    for number in range(start, start + count):
        ts = f"{now}.{number % 1_000_000:06d}"
        event = {
            "type": "message",
            "channel": "C024BE91L",
            "user": f"U{number % 997:06d}",
            "ts": ts,
            "event_ts": ts,
            "channel_type": "channel",
            "team": "T024BE7LD",
            "text": text_of(number),
            "client_msg_id": f"{number:032x}",
            "blocks": [{"type": "rich_text", "block_id": f"b{number}", "elements": []}],
        }
        if threads:
            event["thread_ts"] = f"{now - 1000}.{number % threads:06d}"
        body = json.dumps(
            {
                "token": "x" * 24,
                "team_id": "T024BE7LD",
                "api_app_id": "A0",
                "event": event,
                "type": "event_callback",
                "event_id": f"Ev{now}{number}",
                "event_time": now,
                "authorizations": [{"team_id": "T024BE7LD", "user_id": "U0", "is_bot": True}],
            }
        ).encode()
        digest = hmac.new(SECRET.encode(), f"v0:{now}:".encode() + body, hashlib.sha256).hexdigest()
        requests.append(
            post(
                "/hooks/slack",
                body,
                {
                    "Content-Type": "application/json",
                    "User-Agent": "Slackbot 1.0",
                    "X-Slack-Request-Timestamp": str(now),
                    "X-Slack-Signature": f"v0={digest}",
                },
            )
        )
    return requests


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process; `ready` is the path that answers 200 (or anything at all) once it serves."""

    def __init__(
        self, command: list[str], port: int, environ: dict[str, str] | None = None, ready: str = "/healthz"
    ) -> None:
        self.port = port
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **(environ or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=1)
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the server did not start")

    def rss_mb(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def bare_server() -> Server:
    port = free_port()
    return Server(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "bench.bare:app",
            "--port",
            str(port),
            "--log-level",
            "warning",
            "--no-access-log",
            "--no-server-header",
            "--no-date-header",
            "--loop",
            "uvloop",
            "--http",
            "httptools",
        ],
        port,
    )


def relay_server(folder: Path, redis_url: str) -> Server:
    (folder / "relay.yaml").write_text(CONFIG)
    port = free_port()
    return Server(
        [sys.executable, "-m", "relay", "serve"],
        port,
        {
            "RELAY_CONFIG": str(folder / "relay.yaml"),
            "RELAY_REDIS_URL": redis_url,
            "RELAY_PORT": str(port),
            "RELAY_LOG_LEVEL": "warning",
        },
    )


def measure(port: int, requests: list[bytes], connections: int, rate: float = 0) -> Result:
    return uvloop.run(run("127.0.0.1", port, requests, connections=connections, rate=rate))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--json", dest="json_file")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        for turn in range(options.runs):
            bare = bare_server()
            base = measure(bare.port, slack_requests(options.requests), options.connections)
            bare.stop()
            redis = EmbeddedServer(folder / f"redis{turn}", appendfsync="always").start()
            relay = relay_server(folder, redis.url)
            measure(relay.port, slack_requests(500, start=10_000_000), 16)
            full = measure(relay.port, slack_requests(options.requests), options.connections)
            rss_mb = relay.rss_mb()
            steady = measure(relay.port, slack_requests(4_000, start=20_000_000), 64, rate=500)
            relay.stop()
            redis.stop()
            assert set(full.statuses) == {202}, full.statuses
            rows.append(
                {
                    "bare_per_s": base.per_s,
                    "door_per_s": full.per_s,
                    "ratio": full.per_s / base.per_s,
                    "p50_ms": full.percentile_ms(0.5),
                    "p99_ms": full.percentile_ms(0.99),
                    "rss_mb": rss_mb,
                    "at500_p50_ms": steady.percentile_ms(0.5),
                    "at500_p99_ms": steady.percentile_ms(0.99),
                    "at500_p999_ms": steady.percentile_ms(0.999),
                }
            )
            print(json.dumps({key: round(value, 3) for key, value in rows[-1].items()}), flush=True)
    print("\n| figure | median | min | max |\n|---|---|---|---|")
    for key in rows[0]:
        values = [row[key] for row in rows]
        print(f"| {key} | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} |")
    if options.json_file:
        Path(options.json_file).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
