"""One trace from the sender's `traceparent` through door, outbox and call, as a collector gets it; off, nothing of it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.alerting import Posts, receiving_posts
from tests.cli.test_up import relay, running
from tests.places import ROOT

TRACE, SENDER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def spans(posts: Posts) -> list[tuple[str, Any]]:
    """(role of the process, span) of everything that was exported."""
    found = []
    for body in list(posts.bodies):
        for of in ExportTraceServiceRequest.FromString(body).resource_spans:
            facts = {pair.key: pair.value.string_value for pair in of.resource.attributes}
            assert facts["service.name"] == "planhat-relay"
            found += [(facts["relay.role"], span) for scope in of.scope_spans for span in scope.spans]
    return found


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


@pytest.mark.process
def test_one_trace_goes_from_the_sender_to_planhat(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving_posts() as posts:
        (short_tmp / "env").write_text("RELAY_TRACING=true\n")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", posts.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        with running(short_tmp, "--env-file", str(short_tmp / "env")) as (_, up):
            printed = relay(short_tmp, "send", "--source", "slack", "--print").stdout
            head, _, body = printed.partition("\n\n")
            headers = dict(
                line.split(": ", 1)
                for line in head.splitlines()
                if ": " in line and not line.startswith(("POST", "curl"))
            )
            body = body.split("\n\n", 1)[0]
            answer = httpx.post(
                f"{up['relay']}/hooks/slack",
                content=body.encode(),
                headers={**headers, "traceparent": f"00-{TRACE}-{SENDER}-01"},
                trust_env=False,
            )
            assert answer.status_code == 202, (printed, answer.text)
            httpx.post(f"{up['relay']}/hooks/slack", content=b"{}", trust_env=False)
            httpx.post(
                f"{up['relay']}/hooks/slack",
                content=b"{}",
                headers={"traceparent": f"00-{'ab' * 16}-{SENDER}-00"},
                trust_env=False,
            )
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                names = [span.name for _, span in spans(posts)]
                if "PUT /conversations" in names and names.count("POST /hooks/slack") >= 2:
                    break
                time.sleep(0.1)
    ours = {span.name: (role, span) for role, span in spans(posts) if span.trace_id.hex() == TRACE}
    assert set(ours) == {"POST /hooks/slack", "outbox", "PUT /conversations"}
    role, door = ours["POST /hooks/slack"]
    assert (role, door.parent_span_id.hex()) == ("web", SENDER)
    assert attributes(door)["http.response.status_code"] == 202
    role, waited = ours["outbox"]
    assert (role, waited.parent_span_id) == ("flush", door.span_id)
    role, call = ours["PUT /conversations"]
    assert (role, call.parent_span_id) == ("flush", waited.span_id)
    assert attributes(call)["relay.outcome"] == "delivered"
    assert attributes(call)["http.response.status_code"] == 200
    assert waited.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano
    # A sender that names no trace begins one here; one whose trace is not sampled is not traced.
    others = [span for _, span in spans(posts) if span.trace_id.hex() != TRACE]
    assert [attributes(span)["http.response.status_code"] for span in others] == [401]
    assert not others[0].parent_span_id


def in_a_process(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.process
def test_off_nothing_of_it_is_imported() -> None:
    """redis-py itself imports the API where it is installed; the SDK's spans and the exporter nobody does."""
    done = in_a_process(
        "import sys, relay.web.app, workers.process.context, workers.process.worker\n"
        "ours = ('opentelemetry.sdk.trace', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.process
def test_on_without_the_packages_is_a_sentence() -> None:
    done = in_a_process(
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from relay.tracing import Tracing\n"
        "from relay.errors import SettingsInvalid\n"
        "try: Tracing.open('web')\n"
        "except SettingsInvalid as error: print(error)"
    )
    assert done.stdout.strip() == (
        "RELAY_TRACING is set, and OpenTelemetry is not installed: pip install 'planhat-relay[otel]'"
    ), done.stderr
