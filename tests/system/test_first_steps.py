"""The first steps with each adapter and preset: a config is printed, checked, and a sample of it is sent and delivered.

`relay rules show X --whole` -> `relay check` -> `relay send` -> the sandbox has the conversation.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from relay.cli.check import check
from relay.cli.rules import show
from relay.cli.send import send
from relay.planhat.sandbox import create_sandbox
from relay.planhat.sandbox.server import running
from relay.rules.defaults import ADAPTERS_WITH_RULES, FAMILIES
from relay.settings import Settings
from relay.web.app import WebSide
from tests.flushing import Kit
from tests.sns_certificate import certificate_file
from tests.web.test_hooks import serve

pytestmark = pytest.mark.process

#: What providers hand out: base64 serves those that decode theirs, too.
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def whole_config(adapter: str, folder: Path) -> dict[str, str]:
    """Writes the config that the command prints, and gives the environment that it asks for."""
    printed = CliRunner().invoke(show, [adapter, "--whole"])
    assert printed.exit_code == 0, printed.output
    # SES alone cannot be signed for: the printed comment says what a sample takes.
    text = printed.output.replace(
        "# certificate_files: [samples.pem]", f"certificate_files: [{certificate_file()}]"
    )
    (folder / "relay.yaml").write_text(text, encoding="utf-8")
    values = {"LOGIN": f"relay:{SECRET}"}
    names = re.findall(r"\$\{([A-Z0-9_]+)\}", text)
    assert names, text
    return {name: values.get(name.rpartition("_")[2], SECRET) for name in names}


@contextmanager
def at_home(folder: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folder)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    yield


def run(command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize("adapter", ADAPTERS_WITH_RULES)
def test_the_first_steps_lead_to_a_conversation(
    adapter: str, redis_url: str, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = whole_config(adapter, tmp_path)
    with at_home(tmp_path, environ, monkeypatch):
        checked = run(check, "relay.yaml", "--json")
        found = json.loads(checked.output)
        assert found["holds"], found
        assert [mistake for mistake in found["mistakes"] if mistake["severity"] != "warning"] == []

        side = WebSide(Settings(config="relay.yaml", redis_url=redis_url, require_durable=False), environ)
        for url in serve(side):
            sent = run(send, "--source", adapter, "--url", url, "--config", "relay.yaml")
            assert sent.exit_code == 0, sent.output
            to = ("--source", adapter, "--url", url, "--config", "relay.yaml")
            printed = json.loads(run(send, *to, "--print", "--json").output)
            line = ["bash", "-c", f"{printed['curl']} -o /dev/null -w '%{{http_code}}'"]
            curled = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
            assert curled.stdout in ("200", "202", "204"), curled

    sandbox = create_sandbox(types=FAMILIES[adapter].types or ("Slack thread",))
    with running(sandbox) as planhat:
        kit = Kit(redis_client, planhat, sandbox=sandbox, steps=side.house.config.companies)
        kit.run()
        books = kit.books()
        assert books["accepted"] == books.get("delivered", 0) + books.get("unchanged", 0) >= 2, books
        rows = sandbox.store.list_page({"limit": "100"})
        stored = [row for row in rows if str(row.get("externalId")).startswith(f"{adapter}-")]
        assert stored
        assert all(row["subject"] and "\n" not in row["subject"] for row in stored)


def test_the_printed_curl_line_sends_what_send_would_send(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = whole_config("slack", tmp_path)
    with at_home(tmp_path, environ, monkeypatch):
        side = WebSide(Settings(config="relay.yaml", redis_url=redis_url, require_durable=False), environ)
        for url in serve(side):
            shown = run(send, "--source", "slack", "--url", url, "--config", "relay.yaml", "--print")
            assert shown.exit_code == 0, shown.output
            lines = shown.output.rstrip("\n").split("\n")
            assert lines[0] == f"POST {url}/hooks/slack"
            assert any(line.startswith("x-slack-signature: v0=") for line in lines)
            assert side.outbox.ledger() == {}, "nothing was sent"

            done = subprocess.run(
                shlex.split(lines[-1]), capture_output=True, text=True, timeout=30, check=False
            )
            assert json.loads(done.stdout)["status"] == "accepted", done


def test_a_printed_request_is_json_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = whole_config("mailgun", tmp_path)
    with at_home(tmp_path, environ, monkeypatch):
        shown = run(
            send,
            "--source",
            "mailgun",
            "--url",
            "http://127.0.0.1:9",
            "--config",
            "relay.yaml",
            "--print",
            "--json",
        )
    told = json.loads(shown.output)
    assert (told["method"], told["url"]) == ("POST", "http://127.0.0.1:9/hooks/mailgun")
    assert told["curl"].startswith(("curl -sS -X POST", "echo "))
    assert SECRET not in shown.output
