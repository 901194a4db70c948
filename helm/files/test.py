"""What `helm test` runs, in the relay's own image: is it ready, do its books balance, is a signed event delivered?

Exit 0 and one line a check, or 1 and the sentence that says what is wrong. Only the standard library, and the `relay`
command of the image: the sample is signed just as the provider would sign it, with the secret the relay itself has.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

Answer = tuple[int, bytes]


def ask(url: str, token: str = "") -> Answer:
    """Status and body; an unreachable server is status 0."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


def wait_for(what: str, url: str, deadline: float, token: str = "") -> bytes:
    while True:
        status, body = ask(url, token)
        if status == 200:
            print(f"ok    {what}", flush=True)
            return body
        if time.monotonic() > deadline:
            raise SystemExit(
                f"{what}: {url} answers {status or 'nothing'}: {body[:300].decode(errors='replace')}"
            )
        time.sleep(1)


def operator_token() -> str:
    path = os.environ.get("RELAY_OPERATOR_TOKEN_FILE", "")
    return Path(path).read_text().strip() if path else os.environ.get("RELAY_OPERATOR_TOKEN", "")


def send(source: str, public: str) -> list[str]:
    """Post the source's built-in sample; the ids of its events."""
    command = ["relay", "send", "--source", source, "--url", public, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise SystemExit(
            f"a signed event: `{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}"
        )
    ids = sorted({name for line in done.stdout.splitlines() for name in event_ids(json.loads(line))})
    if not ids:
        raise SystemExit(f"a signed event: no event id in the answer: {done.stdout.strip()[:300]}")
    print(f"ok    a signed event of {source} was accepted: {', '.join(ids)}", flush=True)
    return ids


def event_ids(answer: Any) -> list[str]:
    """Every id under `event_ids`, however deep it stands."""
    if isinstance(answer, dict):
        return [
            name
            for key, value in answer.items()
            for name in (value if key == "event_ids" else event_ids(value))
        ]
    return [name for value in answer for name in event_ids(value)] if isinstance(answer, list) else []


def wait_until_delivered(event: str, operators: str, token: str, deadline: float) -> None:
    """`unchanged` and `superseded` are deliveries too: the sample was there already."""
    while True:
        status, body = ask(f"{operators}/api/v1/events/{event}", token)
        state = json.loads(body).get("state", "") if status == 200 else f"answer {status or 'none'}"
        if state in ("delivered", "unchanged", "superseded"):
            print(f"ok    {event} is {state}", flush=True)
            return
        if state in ("dead", "discarded", "filtered") or status in (401, 403) or time.monotonic() > deadline:
            raise SystemExit(f"{event} was not delivered: {state}. `relay trace {event}` tells its story.")
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--public", required=True)
    parser.add_argument("--operators", required=True)
    parser.add_argument("--source", default="")
    parser.add_argument("--timeout", type=float, default=60)
    options = parser.parse_args()
    deadline = time.monotonic() + options.timeout

    wait_for("alive", f"{options.public}/healthz", deadline)
    wait_for("ready: Redis is there, writable and durable", f"{options.public}/readyz", deadline)
    for path in ("/metrics", "/api/v1/stats", "/console/"):
        status, _ = ask(options.public + path)
        if status != 404:
            raise SystemExit(
                f"the public port answers {status} on {path}; it should know only /hooks and the probes"
            )
    print("ok    console, API and metrics are not on the public port", flush=True)
    if b"relay_pending_items" not in wait_for("metrics", f"{options.operators}/metrics", deadline):
        raise SystemExit("metrics: relay_pending_items is not among them")
    token = operator_token()
    if token:
        stats = json.loads(wait_for("statistics", f"{options.operators}/api/v1/stats", deadline, token))
        if stats.get("balanced") is not True:
            raise SystemExit("the books do not balance; `relay stats` shows them")
    if options.source:
        if not token:
            raise SystemExit(
                "to follow an event the test needs the operator token: set operators.existingSecret"
            )
        for event in send(options.source, options.public):
            wait_until_delivered(event, options.operators, token, deadline)
    print("all is well", flush=True)


if __name__ == "__main__":
    sys.exit(main())
