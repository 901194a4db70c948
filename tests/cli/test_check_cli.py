"""`relay check`, `explain` and `rules` as a person runs them: exit codes, streams, sentences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from relay.cli import cli
from relay.cli.check import check_file
from relay.errors import ConfigInvalid, NotFound, UserError
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from relay.rules.defaults import ADAPTERS_WITH_RULES
from tests.environ import WEAK
from tests.places import CONFIGS, ROOT

CONFIG = """
planhat: {types: [Slack thread]}
sources: {slack: {adapter: slack, secrets: [s]}, own: {adapter: generic, unauthenticated: true, type: Slack thread}}
companies:
  - table: {slack_channel: {C1: extid-acme}}
  - default: extid-rest
rules:
  - name: thread
    source: slack
    when: event.kind in ["message.created", "message.updated"]
    conversation: {type: Slack thread, externalId: "{{ event.thread }}", subject: "{{ event.text }}"}
    merge: {subject: first}
    company: {slack_channel: "{{ event.channel.id }}"}
    examples:
      - payload_file: message.json
        expect: {externalId: C1-1700000000.000100, subject: hello}
"""
MESSAGE = {
    "type": "event_callback",
    "event_id": "Ev1",
    "team_id": "T1",
    "event": {
        "type": "message",
        "channel": "C1",
        "user": "U1",
        "text": "hello",
        "ts": "1700000000.000100",
        "event_ts": "1700000000.000100",
    },
}
EDIT = {
    **MESSAGE,
    "event_id": "Ev2",
    "event": {
        "type": "message",
        "subtype": "message_changed",
        "channel": "C1",
        "event_ts": "1700000100.000200",
        "message": {
            "user": "U1",
            "text": "hello you",
            "ts": "1700000000.000100",
            "edited": {"user": "U1", "ts": "1700000100.000000"},
        },
        "previous_message": {"user": "U1", "text": "hello", "ts": "1700000000.000100"},
    },
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "message.json").write_text(json.dumps(MESSAGE))
    (tmp_path / "edit.json").write_text(json.dumps(EDIT))
    path = tmp_path / "relay.yaml"
    path.write_text(CONFIG)
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_a_config_that_holds_exits_with_0_and_says_what_it_has(config: Path) -> None:
    result = run("check", str(config))
    assert result.exit_code == 0
    assert "holds: 2 sources, 1 rule, 1 example" in result.stdout


def test_mistakes_go_to_standard_error_all_at_once_and_exit_with_2() -> None:
    result = run("check", str(CONFIGS / "13_unknown_event_field.yaml"))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("rule 'thread'") == 3
    assert "3 mistakes" in result.stderr


def test_a_failing_example_exits_with_1(config: Path) -> None:
    config.write_text(CONFIG.replace("subject: hello}", "subject: goodbye}"))
    result = run("check", str(config))
    assert result.exit_code == 1
    assert "examples[0]: subject: expected 'goodbye', came out as 'hello'" in result.stderr


def test_warnings_alone_hold() -> None:
    result = run("check", str(CONFIGS / "35_warnings_only.yaml"))
    assert result.exit_code == 0
    assert "with 5 warnings" in result.stdout


def test_check_answers_in_json(config: Path) -> None:
    good = json.loads(run("check", "--json", str(config)).stdout)
    assert (good["holds"], good["mistakes"]) == (True, [])
    bad = json.loads(run("check", "--json", str(CONFIGS / "01_reserved_type.yaml")).stdout)
    assert bad["mistakes"][0]["line"] == 10
    assert "reserved" in bad["mistakes"][0]["message"]


def test_a_missing_file_is_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    result = run("check", str(tmp_path / "none.yaml"))
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


def test_a_source_without_its_secret_is_found_before_it_runs(config: Path) -> None:
    config.write_text(CONFIG.replace("slack, secrets: [s]", "slack"))
    result = run("check", str(config))
    assert result.exit_code == 2
    assert "sources.slack" in result.stderr


def test_the_schema_is_printed_for_editors(config: Path) -> None:
    schema = json.loads(run("check", "--schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(CONFIG))) == []


def test_explain_tells_the_whole_story_of_an_edit(config: Path) -> None:
    result = run("explain", "--config", str(config), "--source", "slack", "edit.json")
    assert result.exit_code == 0
    for words in (
        "event 1: message.updated",
        "rule thread (upsert, line 8): matches",
        'subject (first) = "hello you"',
        "{{ event.text }}",
        "table slack_channel asked with C1: extid-acme",
        '"companyId": "extid-acme"',
    ):
        assert words in result.stdout


def test_explain_in_json_has_the_apis_shape(config: Path) -> None:
    told = json.loads(
        run("explain", "--config", str(config), "--source", "slack", "--json", "message.json").stdout
    )
    assert told["events"][0]["document"]["externalId"] == "C1-1700000000.000100"
    assert (told["source"], told["adapter"], told["skipped"], told["parked"]) == ("slack", "slack", [], [])


def test_explain_reads_headers_and_standard_input(config: Path) -> None:
    (config.parent / "headers.txt").write_text("Content-Type: application/json\nX-Other: 1\n")
    words = ["explain", "--config", str(config), "--source", "slack", "--headers", "headers.txt", "-"]
    result = CliRunner().invoke(cli, words, input=json.dumps(MESSAGE))
    assert "event 1: message.created" in result.stdout


def test_explain_of_what_it_cannot_read_is_the_users_mistake(config: Path) -> None:
    (config.parent / "odd.json").write_text("[]")
    refused = run("explain", "--config", str(config), "--source", "slack", "odd.json").exception
    assert isinstance(refused, UserError)
    assert str(refused).startswith("odd.json: ")
    assert isinstance(
        run("explain", "--config", str(config), "--source", "none", "edit.json").exception, NotFound
    )
    config.write_text("planhat: 1\n")
    assert isinstance(
        run("explain", "--config", str(config), "--source", "slack", "edit.json").exception, ConfigInvalid
    )


@pytest.mark.parametrize("adapter", ["slack", "postmark", "zendesk", "gong", "generic"])
def test_shown_default_rules_can_be_copied_as_they_are(adapter: str, config: Path) -> None:
    shown = run("rules", "show", adapter, "--source", "own", "--type", "Slack thread").stdout
    head = CONFIG.split("rules:", maxsplit=1)[0]
    indented = "".join(f"  {line}\n" for line in shown.splitlines())
    config.write_text(f"{head}rules:\n{indented}")
    result = run("check", str(config))
    assert (result.exit_code, "mistake" in result.stderr) == (0, False)


@pytest.mark.parametrize("adapter", ADAPTERS_WITH_RULES)
def test_a_whole_config_to_start_from_holds_once_its_secret_is_set(adapter: str, config: Path) -> None:
    config.write_text(run("rules", "show", adapter, "--whole").stdout)
    variable = adapter.upper()
    environ = {
        f"{variable}_SECRET": "c2VjcmV0c2VjcmV0c2VjcmV0",
        f"{variable}_LOGIN": "relay:1d9c7f0a3b52",
        f"{variable}_TOKEN": "c2VjcmV0c2VjcmV0c2VjcmV0",
        f"{variable}_TOPIC": "arn:aws:sns:eu-west-1:123456789012:mail",
    }
    mistakes = [str(one) for one in check_file(str(config), environ) if "PUBLIC_KEY" not in one.message]
    assert mistakes == []
    without = "\n".join(str(one) for one in check_file(str(config), WEAK))
    assert f"the environment variable {variable}_" in without


def test_rules_of_an_adapter_that_is_not_there_are_not_found() -> None:
    result = run("rules", "show", "slak")
    assert isinstance(result.exception, NotFound)
    assert "did you mean 'slack'" in str(result.exception)
    assert "slack" in run("rules", "list").stdout


@pytest.mark.parametrize(
    ("adapter", "says"), [("gong", "Gong sync"), ("zoom", "calendar sync"), ("slack", "")]
)
def test_what_planhat_may_have_by_itself_is_noted(adapter: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        f"planhat: {{types: [T]}}\nsources: {{src: {{adapter: {adapter}, secrets: [s], type: T}}}}\ncompanies: [default: extid-a]\n"
    )
    done = CliRunner().invoke(cli, ["check", str(path)], env=WEAK)
    assert done.exit_code == 0, done.output
    assert ("note: source src: " in done.stderr) == bool(says)
    assert says in done.stderr


# -- beside the tenant -----------------------------------------------------------------------------------------


def beside_the_tenant(
    folder: Path, url: str, *more: str, planhat: str = ""
) -> subprocess.CompletedProcess[str]:
    path = folder / "relay.yaml"
    path.write_text(
        f"planhat: {{types: [T]{planhat}}}\nsources: {{src: {{adapter: generic, secrets: [s]}}}}\ncompanies: [default: extid-a]\n"
        "rules:\n  - name: r\n    source: src\n    conversation:\n      type: T\n      externalId: '{{ event.thread }}'\n"
        "      custom: {Channel: '{{ event.channel.name }}', Plan: '{{ payload.plan }}', link: '{{ event.url }}'}\n"
    )
    environ = {**os.environ, **WEAK, "RELAY_PLANHAT_URL": url, "RELAY_PLANHAT_TOKEN": "t"}
    return subprocess.run(
        [sys.executable, "-m", "relay.cli", "check", str(path), "--planhat", *more],
        capture_output=True, text=True, env={**environ, "PYTHONPATH": str(ROOT)}, cwd=folder, check=False,
    )  # fmt: skip


@pytest.mark.process
def test_check_names_what_the_tenant_lacks_and_what_to_create(tmp_path: Path) -> None:
    with running(create_sandbox(quotas=NO_QUOTAS)) as url:
        done = beside_the_tenant(tmp_path, url)
        assert done.returncode == 0, done.stderr
        assert "warning: custom field Plan is not defined in Planhat" in done.stderr
        assert "called exactly 'Plan', type text" in done.stderr
        assert "custom field link is called 'Link' in Planhat: case counts" in done.stderr
        assert "Channel" not in done.stderr
        refused = beside_the_tenant(tmp_path, url, planhat=", undefined_fields: refuse")
        assert refused.returncode == 1
        assert "2 things that Planhat lacks" in refused.stderr
        told = json.loads(beside_the_tenant(tmp_path, url, "--json").stdout)
        assert told["holds"] is True
        assert [one["name"] for one in told["planhat"] if not one["ok"]] == [
            "custom field Plan",
            "custom field link",
        ]


@pytest.mark.process
def test_check_says_when_planhat_cannot_be_asked(tmp_path: Path) -> None:
    done = beside_the_tenant(tmp_path, "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    app = beside_the_tenant(tmp_path, "https://ws.planhat.com/acme")
    assert app.returncode == 1
    assert "https://api.planhat.com" in app.stderr
    assert "Traceback" not in app.stderr
