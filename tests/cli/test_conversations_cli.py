"""`relay conversations` and `relay sandbox`, as a person and as a program use them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from relay.cli.conversations import conversations
from relay.planhat.sandbox import NO_QUOTAS, Fault, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running

RELAY = [sys.executable, "-c", "from relay.cli import main; main()"]


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    sandbox = create_sandbox(token="secret", quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def sandbox(shared: tuple[Sandbox, str], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("RELAY_PLANHAT_URL", shared[1])
    monkeypatch.setenv("RELAY_PLANHAT_TOKEN", "secret")
    monkeypatch.delenv("RELAY_PLANHAT_TOKEN_FILE", raising=False)
    shared[0].reset()
    return shared[0]


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(conversations, list(arguments), input=given)


def item(external_id: str, **more: Any) -> dict[str, Any]:
    return {"companyId": "extid-acme", "externalId": external_id, "type": "Slack thread", **more}


def lines(*items: object) -> str:
    return "\n".join(json.dumps(one) for one in items)


def test_all_six_operations_work_from_the_shell(sandbox: Sandbox) -> None:
    made = run(
        "create",
        "--set",
        "companyId=extid-acme",
        "--set",
        "externalId=a/b",
        "--set",
        "starred=true",
        "--json",
    )
    assert made.exit_code == 0
    key = json.loads(made.stdout)["_id"]
    assert json.loads(made.stdout)["starred"] is True
    changed = run(
        "update", "extid-a/b", "--set", "subject=Hello", "--set", 'custom={"Channel": "C1"}', "--json"
    )
    assert json.loads(changed.stdout)["custom"] == {"Channel": "C1"}
    more = run("update", "extid-a/b", "--set", "custom.Days open=5", "--set", "custom.Note=a = b", "--json")
    assert json.loads(more.stdout)["custom"] == {"Channel": "C1", "Days open": 5, "Note": "a = b"}
    assert "Hello" in run("get", key).stdout
    listed = run("list", "--company", "extid-acme", "--select", "subject", "--json")
    assert json.loads(listed.stdout) == [{"_id": key, "subject": "Hello"}]
    sent = run("upsert", given=lines(item("c"), {"externalId": "a/b", "subject": "Hello"}))
    assert sent.exit_code == 0
    assert sent.stdout.splitlines() == ["c: created", "a/b: unchanged", "1 created, 1 unchanged."]
    gone = run("delete", "extid-a/b", "--yes")
    assert gone.stdout == f"deleted {key}\n"
    assert run("get", key).exit_code == 1


def test_a_table_shows_what_a_conversation_holds_as_text_and_nothing_more(sandbox: Sandbox) -> None:
    sandbox.store.upsert([item("a", subject="[red]not markup[/red]\x1b[31m\nnext line")])
    shown = run("list").stdout
    assert "[red]not markup[/red] [31m next line" in shown
    assert "\x1b" not in shown
    assert run("list", "--company", "extid-globex").stdout == "No conversations.\n"


def test_listing_all_pages_to_the_end(sandbox: Sandbox) -> None:
    sandbox.store.upsert([item(f"x-{n}") for n in range(2050)])
    assert len(json.loads(run("list", "--all", "--json").stdout)) == 2050
    assert len(json.loads(run("list", "--json").stdout)) == 30
    assert len(json.loads(run("list", "--limit", "7", "--offset", "2045", "--json").stdout)) == 5


def test_what_get_and_list_print_can_be_sent_back(sandbox: Sandbox, tmp_path: Path) -> None:
    """Also by way of an editor that writes a mark before it."""
    sandbox.store.upsert([item("a", subject="Hello")])
    for printed in (run("get", "extid-a", "--json").stdout, run("list", "--json").stdout):
        for mark in (b"", b"\xef\xbb\xbf"):
            sent = run("upsert", given=mark + printed.replace("Hello", "Hi").encode())
            assert (sent.exit_code, sent.stdout.splitlines()[0][:3]) == (0, "a: "), sent.output
    file = tmp_path / "one.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps({"subject": "Bye"}).encode())
    assert run("update", "extid-a", str(file)).exit_code == 0
    assert json.loads(run("get", "extid-a", "--json").stdout)["subject"] == "Bye"
    broken = run("upsert", given='{\n "externalId": "a"\n')
    assert (broken.exit_code, broken.output[:17]) == (2, "standard input:1:")


@pytest.mark.parametrize("form", ["array", "lines", "file"])
def test_upsert_takes_an_array_or_lines_from_a_file_or_standard_input(
    sandbox: Sandbox, tmp_path: Path, form: str
) -> None:
    items = [item("a"), item("b")]
    if form == "file":
        file = tmp_path / "items.json"
        file.write_text(json.dumps(items))
        result = run("upsert", str(file))
    else:
        result = run(
            "upsert", "-", given=json.dumps(items, indent=1) if form == "array" else lines(*items) + "\n\n"
        )
    assert result.exit_code == 0
    assert result.stdout.endswith("2 created.\n")


def test_upsert_cuts_by_items_and_bytes(sandbox: Sandbox) -> None:
    given = lines(*(item(f"x-{n}", description="d" * 400) for n in range(100)))
    assert run("upsert", "--max-items", "40", given=given).exit_code == 0
    assert [call["items"] for call in sandbox.calls] == [40, 40, 20]
    sandbox.reset()
    assert run("upsert", "--max-bytes", "10KB", given=given).exit_code == 0
    assert sum(call["items"] for call in sandbox.calls) == 100
    assert max(call["bytes"] for call in sandbox.calls) <= 10_000


def test_every_item_has_a_result_and_one_failure_makes_the_exit_code_1(sandbox: Sandbox) -> None:
    given = lines(
        item("good"),
        item("bad", companyId="extid-nobody"),
        {**item("wrong"), "bogus": 1},
        7,
        item("email", type="email"),
    )
    result = run("upsert", "--json", given=given)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["created"], told["failed"]) == (1, 4)
    assert [entry["outcome"] for entry in told["items"]] == [
        "created",
        "failed",
        "failed",
        "failed",
        "failed",
    ]
    assert [entry["position"] for entry in told["items"]] == [0, 1, 2, 3, 4]
    assert "companyId not found" in told["items"][1]["message"]
    assert "bogus" in told["items"][2]["message"]
    assert "reserved" in told["items"][4]["message"]


def test_what_get_prints_can_be_sent_back(sandbox: Sandbox) -> None:
    sandbox.store.upsert([item("a", subject="s", custom={"A": 1}, source="slack")])
    printed = run("get", "extid-a", "--json").stdout
    assert {"source", "days", "__v"} <= json.loads(printed).keys()
    result = run("upsert", "--json", given=f"[{printed}]")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["failed"] == 0
    assert sandbox.store.get("extid-a") == json.loads(printed)
    assert "generates them itself" in result.stderr
    assert "days" in result.stderr
    assert " source" not in result.stderr, "that one is writable"


def test_every_result_tells_the_id_that_planhat_gave(sandbox: Sandbox) -> None:
    def sent(subject: str) -> list[Any]:
        given = [item("a", subject=subject), item("b", subject="x")]
        told: list[Any] = json.loads(run("upsert", "--json", given=json.dumps(given)).stdout)["items"]
        return told

    known = [one["_id"] for one in sent("one")]
    assert known == [sandbox.store.get(f"extid-{name}")["_id"] for name in "ab"]  # type: ignore[index]
    # Of a change the answer names Planhat's id alone: of several items nobody can say whose, and it is not guessed.
    assert [one["_id"] for one in sent("two")] == [None, None]
    alone = run("upsert", "--json", given=json.dumps([item("a", subject="three")]))
    assert json.loads(alone.stdout)["items"][0]["_id"] == known[0]


def test_with_a_tenants_name_there_are_links_to_the_records(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.store.upsert([item("a", subject="s")])
    key = sandbox.store.get("extid-a")["_id"]  # type: ignore[index]
    link = f"https://ws.planhat.com/acme-inc/home/data-explorer/conversation?preview=Conversation.{key}"
    assert "ws.planhat.com" not in run("get", "extid-a").stdout
    config = tmp_path / "relay.yaml"
    config.write_text("planhat: {tenant: acme-inc, types: [T]}\nsources: {}\n")
    monkeypatch.setenv("RELAY_CONFIG", str(config))
    assert link in run("get", "extid-a").stdout
    told = json.loads(run("upsert", "--json", given=lines(item("a", subject="t"))).stdout)
    assert told["items"][0]["planhat_link"] == link
    # What is printed as JSON is what can be sent back.
    assert "ws.planhat.com" not in run("get", "extid-a", "--json").stdout
    config.write_text("nonsense: [")
    assert run("get", "extid-a").exit_code == 0


def test_items_without_a_key_are_sent_with_a_warning(sandbox: Sandbox) -> None:
    result = run("upsert", given=json.dumps([{"companyId": "extid-acme", "subject": "no key"}]))
    assert result.exit_code == 0
    assert "new records" in result.stderr
    assert "1 created." in result.stdout


def test_a_passing_outage_is_waited_out(sandbox: Sandbox) -> None:
    sandbox.faults.all.append(Fault.parse("status=503,times=2,retry_after=0"))
    result = run("upsert", given=lines(item("a")))
    assert result.exit_code == 0
    assert "503" in result.stderr


def test_a_wrong_token_ends_with_a_sentence_and_every_item_failed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_PLANHAT_TOKEN", "wrong")
    result = run("upsert", "--json", "--max-items", "1", given=lines(item("a"), item("b")))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == 2
    assert "region" in result.stderr
    assert len(sandbox.calls) == 1
    assert run("list").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        (["upsert"], '{"a": 1}\n{', "standard input:2"),
        (["upsert"], "[1, 2", "standard input:1"),
        (["upsert", "/nowhere/items.json"], None, "/nowhere/items.json: cannot be read"),
        (["upsert", "--max-bytes", "many"], "[]", "--max-bytes"),
        (["create"], None, "nothing to send"),
        (["create", "-"], "[]", "one JSON object"),
        (["create", "--set", "subject"], None, "NAME=VALUE"),
        (["create", "--set", "starred=maybe"], None, "--set starred"),
        (["create", "--set", "subject=no company"], None, "companyId: required"),
        (["update", "extid-a", "--set", "isSeen=true"], None, "isSeen: Planhat generates"),
        (["update", "extid-a", "--set", "type=email"], None, "reserved"),
        (["update", "extid-a", "-"], '{"_id": "x"}', "_id"),
        (["delete", "extid-a"], None, "--yes"),
    ],
)
def test_a_mistake_is_said_in_a_sentence_with_exit_code_2(
    sandbox: Sandbox, arguments: list[str], given: str | None, told: str
) -> None:
    result = run(*arguments, given=given)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not sandbox.calls


def test_a_refusal_says_what_planhat_says(sandbox: Sandbox) -> None:
    result = run("create", "--set", "companyId=extid-nobody")
    assert result.exit_code == 1
    assert "Planhat says: companyId not found" in result.stderr


def test_deleting_several_goes_on_after_one_that_is_not_there(sandbox: Sandbox) -> None:
    sandbox.store.upsert([item("a"), item("b")])
    result = run("delete", "extid-a", "extid-nobody", "extid-b", "--yes")
    assert result.exit_code == 1
    assert "extid-nobody" in result.stderr
    assert len(sandbox.store) == 0


def test_nothing_to_upsert_is_no_failure(sandbox: Sandbox) -> None:
    result = run("upsert", given="")
    assert (result.exit_code, result.stdout) == (0, "Nothing to send.\n")
    assert not sandbox.calls


@pytest.mark.parametrize("command", ["list", "get", "create", "update", "delete", "upsert"])
def test_each_commands_help_has_a_sentence_its_options_and_an_example(command: str) -> None:
    text = run(command, "--help").stdout
    assert "Example" in text
    assert f"relay conversations {command}" in text
    assert "--json" in text


@pytest.mark.process
def test_the_sandbox_runs_alone_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [
        *RELAY,
        "sandbox",
        "--port",
        "0",
        "--state",
        str(tmp_path),
        "--fault",
        "operation=users,status=500",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert found is not None
        headers = {"Authorization": "Bearer t"}
        assert httpx.get(f"{found[0]}/companies", headers=headers, trust_env=False).status_code == 200
        assert httpx.get(f"{found[0]}/users", headers=headers, trust_env=False).status_code == 500
    finally:
        process.send_signal(signal.SIGTERM)
    # uvicorn passes the signal on once it has shut down.
    assert process.wait(timeout=10) in (0, -signal.SIGTERM)


@pytest.mark.process
@pytest.mark.parametrize("bad", [["--fault", "statsu=500"], ["--style", "loud"], ["--state", "/dev/null/x"]])
def test_the_sandbox_refuses_what_cannot_be_with_exit_code_2(bad: list[str]) -> None:
    done = subprocess.run(
        [*RELAY, "sandbox", "--port", "0", *bad], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
