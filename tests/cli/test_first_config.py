"""A first config: `relay init`, `relay check --no-secrets`, all mistakes in one wave, completion."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from relay.cli import COMPLETE_VARIABLE, cli
from relay.cli.check import check_file
from relay.cli.init import config_text, env_text
from relay.cli.place import read_env_file
from relay.errors import UserError
from relay.rules.defaults import FAMILIES

MISTAKES = """\
planhat:
  types: [Slack thread]
sources:
  slack: {adapter: slack, type: Slack thread, secrets: ["${NOT_SET_A}"]}
  crm: {adapter: hubspot, type: Slack thread, secrets: ["${NOT_SET_B}"]}
  mail: {adapter: sendgrid, type: Slack thread, public_keys: ["${NOT_SET_C}"]}
rules:
  - name: threads
    source: slack
    conversation: {type: Slack thread, externalId: "{{ event.thread }}", subject: hello}
    company: {}
    companyId: extid-acme
    examples:
      - event: {kind: message.created, text: hello, thread: t1}
        expect: {externalId: t2}
"""


def test_what_init_writes_holds_for_every_sender(tmp_path: Path) -> None:
    types = {name: (family.types or ("note",))[0] for name, family in FAMILIES.items()}
    for name in FAMILIES:
        path = tmp_path / f"{name}.yaml"
        path.write_text(config_text([name], types, "extid-unsorted"), encoding="utf-8")
        (tmp_path / ".env").write_text(env_text(path.read_text(encoding="utf-8")), encoding="utf-8")
        found = check_file(str(path), read_env_file(str(tmp_path / ".env")))
        assert [mistake for mistake in found if mistake.severity != "warning"] == [], name
    text = config_text(list(FAMILIES), types, "")
    (tmp_path / "all.yaml").write_text(text, encoding="utf-8")
    (tmp_path / ".env").write_text(env_text(text), encoding="utf-8")
    everything = check_file(str(tmp_path / "all.yaml"), read_env_file(str(tmp_path / ".env")))
    assert [mistake for mistake in everything if mistake.severity == "error"] == []


def test_check_takes_what_init_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "init",
        "--from",
        "slack",
        "--from",
        "postmark",
        "--type",
        "Team chat",
        "--company",
        "extid-rest",
    ]
    made = CliRunner().invoke(cli, [*words, "--yes"])
    assert made.exit_code == 0, made.output
    assert "relay send --source slack" in made.output
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    text = (tmp_path / "relay.yaml").read_text(encoding="utf-8")
    assert "types: [Team chat, Support email]" in text
    assert "default: extid-rest" in text
    checked = CliRunner().invoke(cli, ["check"])
    assert (checked.exit_code, "2 sources" in checked.output) == (0, True), checked.output
    again = CliRunner().invoke(cli, [*words, "--yes"])
    assert isinstance(again.exception, UserError), "nothing is written over"
    assert (tmp_path / "relay.yaml").read_text(encoding="utf-8") == text


def test_init_refuses_what_would_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words, told in (
        (["--from", "slak", "--yes"], "did you mean 'slack'"),
        (["--from", "slack", "--company", "acme", "--yes"], "extid-"),
        (["--from", "slack", "--type", "a", "--type", "b", "--yes"], "2 --type for 1 sender"),
        ([], "--from"),
    ):
        refused = CliRunner().invoke(cli, ["init", *words])
        assert isinstance(refused.exception, UserError), words
        assert told in str(refused.exception)
    assert os.listdir(tmp_path) == []


def test_all_mistakes_come_in_one_wave_and_secrets_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(MISTAKES, encoding="utf-8")

    def told(*, secrets: bool) -> list[tuple[str, int | None]]:
        found = check_file(str(path), {}, secrets=secrets)
        return [(mistake.severity, mistake.line) for mistake in found if mistake.severity != "warning"]

    missing = [("error", 4), ("error", 5), ("error", 6)]
    others = told(secrets=False)
    assert ("error", 5) in others, "hubspot wants public_url, whatever its secret"
    assert ("error", 4) not in others
    assert sorted(told(secrets=True), key=str) == sorted([*others, *missing], key=str)


def test_an_example_is_tried_although_a_secret_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    lines = [line for line in MISTAKES.splitlines() if "crm:" not in line and "company: {}" not in line]
    path.write_text("\n".join(lines), encoding="utf-8")
    severities = [mistake.severity for mistake in check_file(str(path), {})]
    assert severities.count("error") == 2
    assert severities.count("example") == 1
    done = CliRunner().invoke(cli, ["check", str(path), "--no-secrets"])
    assert done.exit_code == 1, "an example does not come out"
    assert "NOT_SET" not in done.output + str(done.exception)


@pytest.mark.process
def test_the_shells_complete_commands_and_names() -> None:
    for shell in ("bash", "zsh", "fish"):
        script = CliRunner().invoke(cli, ["completion", shell])
        assert script.exit_code == 0
        assert COMPLETE_VARIABLE in script.output
    for line, at, wanted in (("relay co", 1, "completion"), ("relay rules show sla", 3, "slack")):
        environ = {COMPLETE_VARIABLE: "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(at)}
        asked = CliRunner(env=environ).invoke(cli, [], prog_name="relay", complete_var=COMPLETE_VARIABLE)
        assert wanted in asked.output, line
