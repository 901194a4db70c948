"""Forged SNS messages, each naming another certificate of Amazon's that is not known here, while Amazon does not answer: what can be proven
with a certificate that is known is taken at once."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import orjson
import pytest

from relay.source_options import SourceOptions
from relay.sources.providers.ses import Ses
from tests.cli.test_up import free_port
from tests.environ import WEAK
from tests.outbox.servers import running
from tests.places import ROOT
from tests.sns_certificate import TOPIC, certificate_file
from tests.workers.test_workers import wait_until

pytestmark = pytest.mark.process

CONFIG = """
planhat: {{types: [Support email]}}
sources: {{mail: {{adapter: ses, topics: ['{topic}'], certificate_files: ['{file}'], type: Support email}}}}
companies: [{{default: extid-acme}}]
"""
FORGED = 40
#: Far below the five seconds of one fetch, of which ten rounds would have to pass first.
AT_ONCE_S = 3.0


def test_forgeries_that_ask_for_certificates_do_not_hold_what_is_proven_without(short_tmp: Path) -> None:
    config = CONFIG.format(topic=TOPIC, file=certificate_file())
    (short_tmp / "relay.yaml").write_text(config)
    port, answers = free_port(), Counter[int]()
    with ExitStack() as stack:
        server = stack.enter_context(running())
        mute = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        process = subprocess.Popen(
            [sys.executable, "-m", "relay.cli", "serve"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("RELAY_")},
                **WEAK,
                "RELAY_CONFIG": str(short_tmp / "relay.yaml"),
                "RELAY_REDIS_URL": server.url,
                "RELAY_PORT": str(port),
                # The way to Amazon: it takes connections, and says nothing.
                "HTTPS_PROXY": f"http://127.0.0.1:{mute.getsockname()[1]}",
            },
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        wait_until(lambda: _post(port, b"{}") in (400, 401), 30)

        def forge(number: int) -> None:
            answers[_post(port, _message(number, forged=True))] += 1

        threads = [threading.Thread(target=forge, args=(number,)) for number in range(FORGED)]
        for thread in threads:
            thread.start()
        # Some of them are being looked at by then.
        wait_until(lambda: sum(answers.values()) > 0 or _connected(mute), 10)
        began = time.monotonic()
        assert _post(port, _message(FORGED, forged=False)) == 202
        took_s = time.monotonic() - began
        for thread in threads:
            thread.join(60)

        assert took_s < AT_ONCE_S
        assert sum(answers.values()) == FORGED and 202 not in answers


def _connected(listener: socket.socket) -> bool:
    listener.settimeout(0.1)
    try:
        listener.accept()[0].detach()
    except TimeoutError:
        return False
    return True


def _message(number: int, *, forged: bool) -> bytes:
    """A mail of its own, signed with our certificate; forged: with the signature of nobody, under a certificate of its own."""
    adapter = Ses(
        SourceOptions(name="mail", adapter="ses", topics=(TOPIC,), certificate_files=(certificate_file(),))
    )
    now_s = time.time()
    [sample, *_] = adapter.sample_thread(serial=number, now_s=now_s)
    envelope = orjson.loads(adapter.sign(sample, now_s=now_s, url="").body)
    if forged:
        envelope["Signature"] = "AAAA"
        envelope["SigningCertURL"] = (
            f"https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{number:032x}.pem"
        )
    return orjson.dumps(envelope)


def _post(port: int, body: bytes) -> int:
    try:
        return httpx.post(
            f"http://127.0.0.1:{port}/hooks/mail",
            content=body,
            headers={"content-type": "text/plain; charset=UTF-8"},
            timeout=90,
            trust_env=False,
        ).status_code
    except (httpx.HTTPError, http.client.HTTPException):
        return 0
