"""The config file as values: what is read, what is filled in, and what is said of what does not hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.cli.check import check_file
from relay.config import CompanyStep, Config
from relay.errors import ConfigInvalid
from relay.rules.file.load import examine_config, load, load_config
from relay.rules.file.schema import json_schema
from tests.environ import WEAK
from tests.places import CONFIGS

BROKEN = sorted(path.name for path in CONFIGS.glob("*.yaml"))
MINIMAL = "planhat: {types: [Slack thread]}\nsources: {slack: {adapter: slack, secrets: [%s], type: Slack thread}}\ncompanies: [default: extid-a]\n"
FULL = """
planhat:
  types: [Slack thread]
  calls_per_minute: 120
  timeout: 30s
  lease: 15s
  batch: {max_items: 100, max_bytes: 1MiB, linger: 250ms}
  retry: {first: 1s, cap: 5m, rate_limited: 30s, probe: 10s, give_up_after: 2d, max_refusals: 1}
sources:
  own:
    adapter: generic
    secrets: [one, two]
    signature: {header: X-Sig, hash: sha256, encoding: hex, prefix: "sha256=", tolerance: 5m, timestamp_header: X-Time}
    keep: [bots]
    max_body_bytes: 2MB
    rate_limit: 50/s
    type: Slack thread
    fields: {thread: data.id}
  hook:
    adapter: generic
    api_key: {header: X-Key, values: [k]}
    type: Slack thread
companies:
  - table: {domain: {Example.com: extid-acme}, slack_channel: {C1: 5f0c0c0c0c0c0c0c0c0c0c0c}}
  - planhat: enduser_email
  - default: srcid-1
keep: {events: 24h, documents: 30d, dedupe: 12h, dead: 7d}
"""


def write(folder: Path, text: str) -> str:
    path = folder / "relay.yaml"
    path.write_text(text)
    return str(path)


def read(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    return load_config(write(folder, text), {**WEAK, **(environ or {})})


def messages(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigInvalid) as invalid:
        read(folder, text, environ)
    return str(invalid.value)


def test_every_key_becomes_its_value(tmp_path: Path) -> None:
    config = read(tmp_path, FULL)
    planhat = config.planhat
    assert (planhat.types, planhat.calls_per_minute, planhat.timeout_s, planhat.lease_s) == (
        ("Slack thread",),
        120,
        30,
        15,
    )
    assert (planhat.batch.max_items, planhat.batch.max_bytes, planhat.batch.linger_s) == (
        100,
        1_048_576,
        0.25,
    )
    assert (planhat.retry.first_s, planhat.retry.cap_s, planhat.retry.give_up_after_s) == (1, 300, 172_800)
    own = config.sources["own"]
    assert (own.max_body_bytes, own.rate_limit, own.type) == (2_000_000, 50, "Slack thread")
    assert list(own.options.secrets()) == ["one", "two"]
    assert own.options.keep == {"bots"}
    assert own.options.signature["header"] == "X-Sig"
    assert own.options.signature["tolerance"] == 300
    assert own.options.raw["fields"] == {"thread": "data.id"}
    hook = config.sources["hook"].options
    assert (hook.api_key_header, list(hook.api_keys())) == ("X-Key", ["k"])
    assert config.companies == (
        CompanyStep("table", key="domain", table={"example.com": "extid-acme"}),
        CompanyStep("table", key="slack_channel", table={"C1": "5f0c0c0c0c0c0c0c0c0c0c0c"}),
        CompanyStep("enduser_email"),
        CompanyStep("default", value="srcid-1"),
    )
    assert (config.keep.events_s, config.keep.dedupe_s) == (86_400, 43_200)


def test_what_is_not_said_has_the_contracts_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL % "s")
    assert (config.planhat.calls_per_minute, config.planhat.timeout_s, config.planhat.lease_s) == (
        150,
        60,
        20,
    )
    assert (config.planhat.retry.first_s, config.planhat.retry.cap_s, config.planhat.retry.max_refusals) == (
        5,
        900,
        2,
    )
    assert (config.keep.events_s, config.keep.documents_s) == (259_200, 7_776_000)


def test_variables_are_filled_in_and_secrets_show_nowhere(tmp_path: Path) -> None:
    config = read(
        tmp_path, MINIMAL % '"${TOP_SECRET}", "${OTHER:-fallback}", "$${PLAIN}"', {"TOP_SECRET": "hush-hush"}
    )
    assert list(config.sources["slack"].options.secrets()) == ["hush-hush", "fallback", "${PLAIN}"]
    assert "hush-hush" not in repr(config)


def test_a_value_cannot_break_out_of_its_place(tmp_path: Path) -> None:
    config = read(
        tmp_path, MINIMAL % '"${S}"', {"S": '"]}\nsources: {x: {adapter: generic, unauthenticated: true}}'}
    )
    assert list(config.sources) == ["slack"]


def test_a_secret_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old\n")
    config = read(tmp_path, MINIMAL % f'"${{file:{secret}}}"')
    assert list(config.sources["slack"].options.secrets()) == ["old"]
    secret.write_text("newer\n")
    assert list(config.sources["slack"].options.secrets()) == ["newer"]


def test_a_look_ups_token_shows_nowhere(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        "type: Slack thread}}", 'type: Slack thread, enrich: {token: "${TOKEN}", timeout: 2s}}}'
    )
    config = read(tmp_path, text % "s", {"TOKEN": "hush-hush"})
    enrich = config.sources["slack"].enrich
    assert (enrich["token"](), enrich["timeout"]) == ("hush-hush", "2s")
    assert "hush-hush" not in repr(config)


@pytest.mark.parametrize("around", ["%s\n", " %s", "%s\r\n", "\t%s "])
def test_white_space_around_a_variable_is_left_out_and_warned_of(around: str, tmp_path: Path) -> None:
    """`kubectl create secret --from-file` keeps the file's last newline, and every signature would be wrong."""
    file = tmp_path / "relay.yaml"
    file.write_text(MINIMAL % '"${SECRET}"')
    environ = {"SECRET": around % "not-a-real-secret"}
    assert list(load(str(file), environ)[0].sources["slack"].options.secrets()) == ["not-a-real-secret"]
    [mistake] = examine_config(str(file), environ).mistakes
    assert mistake.severity == "warning" and "SECRET begins or ends with white space" in str(mistake)
    assert "not-a-real" not in str(mistake)


def test_missing_variables_and_files_are_named(tmp_path: Path) -> None:
    said = messages(tmp_path, MINIMAL % '"${NOT_THERE}", "${file:/nowhere/at/all}", "${odd name}"')
    assert "relay.yaml:2: sources.slack.secrets[0]: the environment variable NOT_THERE is not set" in said
    assert "the file /nowhere/at/all cannot be read" in said
    assert "secrets[2]: ${...} takes NAME" in said


def test_only_true_and_false_are_booleans_and_dates_stay_texts(tmp_path: Path) -> None:
    text = MINIMAL % "s" + (
        'rules:\n  - name: r\n    conversation:\n      type: Slack thread\n      externalId: "{{ event.thread }}"\n'
        "      custom: {Country: NO, Since: 2026-01-02, Port: 0123, Open: true}\n"
    )
    rules = read(tmp_path, text).rules
    assert rules[0]["conversation"]["custom"] == {
        "Country": "NO",
        "Since": "2026-01-02",
        "Port": "0123",
        "Open": True,
    }


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "planhat: {types: [T]}\nsources:\n  a: &base {adapter: slack, secrets: [s], type: T}\n  b:\n    <<: *base\n    rate_limit: 5/s\n"
        "companies: [default: extid-a]\n",
    )
    assert config.sources["b"].adapter == "slack"
    assert config.sources["b"].rate_limit == 5


def test_a_billion_laughs_are_not_laughed(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "more than" in messages(tmp_path, "\n".join(lines))
    assert "alias inside itself" in messages(tmp_path, "a: &a [*a]")
    assert "not YAML" in messages(tmp_path, "a: " + "[" * 20_000)


def test_a_file_that_is_not_there_or_not_text_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load(str(tmp_path / "none.yaml"), WEAK)
    (tmp_path / "odd.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigInvalid, match="UTF-8"):
        load(str(tmp_path / "odd.yaml"), WEAK)
    assert "is empty" in messages(tmp_path, "# nothing\n")


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=12)
        | st.sampled_from(["{{ event.x }}", "{{", "${A}"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "planhat",
                        "sources",
                        "companies",
                        "rules",
                        "keep",
                        "types",
                        "adapter",
                        "slack",
                        "secrets",
                        "name",
                        "when",
                        "conversation",
                        "merge",
                        "custom",
                        "company",
                        "examples",
                        "event",
                        "expect",
                        "table",
                        "default",
                        "planhat",
                        "type",
                        "externalId",
                        "action",
                        "source",
                        "batch",
                        "retry",
                        "redact",
                        "spool",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_file_however_odd_makes_it_stumble(value: Any) -> None:
    text = yaml.safe_dump(value)
    try:
        for mistake in examine_config("odd.yaml", {}, text=text).mistakes:
            assert mistake.message
    except ConfigInvalid as error:
        assert error.mistakes  # noqa: PT017


# -- what is said ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_config_gets_its_messages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`configs/messages.txt` is what a person reads; it is checked in so that a change of words is seen."""
    monkeypatch.chdir(CONFIGS)
    wanted = {
        part.split("\n", 1)[0]: part.split("\n", 1)[1].strip().splitlines()
        for part in (CONFIGS / "messages.txt").read_text(encoding="utf-8").split("## ")[1:]
    }
    heads = {"warning": "warning: ", "example": "example: "}
    assert [f"{heads.get(m.severity, '')}{m}" for m in check_file(name, WEAK)] == wanted[
        name.removesuffix(".yaml")
    ]


@pytest.mark.parametrize("name", BROKEN)
def test_each_message_names_its_file_and_almost_always_its_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CONFIGS)
    mistakes = check_file(name, WEAK)
    assert mistakes
    lines = len((CONFIGS / name).read_text().splitlines())
    for mistake in mistakes:
        assert mistake.file == name
        assert mistake.line is None or 1 <= mistake.line <= lines
        assert mistake.line is not None or name.startswith("28")


# -- the schema and the shipped example ---------------------------------------------------------------------


def test_the_schema_is_one_and_takes_what_the_check_takes(tmp_path: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    example = (files("relay") / "examples" / "relay.yaml").read_text(encoding="utf-8")
    for text in (FULL, MINIMAL % "s", example):
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
    assert json.dumps(schema)


@pytest.mark.parametrize(
    "name",
    [
        "03_generated_field",
        "04_unknown_field",
        "15_unknown_adapter",
        "17_unknown_keys",
        "19_units",
        "29_wrong_kinds_of_values",
    ],
)
def test_the_schema_refuses_what_an_editor_can_see(name: str) -> None:
    value = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(value))


def test_the_shipped_schema_is_todays() -> None:
    """Written anew by `relay check --schema > relay/examples/relay.schema.json`."""
    shipped = (files("relay") / "examples" / "relay.schema.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == json_schema()


def test_every_key_of_the_schema_is_described() -> None:
    def bare(schema: Mapping[str, Any], path: str) -> list[str]:
        found = []
        for key, inner in schema.get("properties", {}).items():
            if "description" not in inner and path.rsplit(".", maxsplit=1)[-1] != "event":
                found.append(f"{path}.{key}")
            found += bare(inner, f"{path}.{key}")
        for word in ("items", "additionalProperties"):
            if isinstance(schema.get(word), dict):
                found += bare(schema[word], f"{path}.{word}")
        return found

    assert bare(json_schema(), "") == []


def test_the_shipped_example_holds() -> None:
    path = str(files("relay") / "examples" / "relay.yaml")
    environ = {**WEAK, "SLACK_SIGNING_SECRET": "a", "POSTMARK_HOOK_LOGIN": "a:b", "HELPDESK_SECRET": "c"}
    assert check_file(path, environ) == []


LANES = """
planhat: {types: [Thread], calls_per_minute: 100}
lanes:
  emea: {token: '${EMEA}'}
  us: {url: us4, token: '${US}', types: [Desk], calls_per_minute: 50, companies: [{default: extid-us}]}
sources:
  chat: {adapter: slack, secrets: ['${SECRET}'], type: Thread}
  desk: {adapter: slack, secrets: ['${SECRET}'], type: Desk, lane: us}
companies: [{default: extid-emea}]
"""
SECRETS = {"EMEA": "e" * 32, "US": "u" * 32, "SECRET": "0f3a9c71d2b84e65a1c7" * 2}


def told(tmp_path: Path, text: str, environ: Mapping[str, str] = SECRETS) -> list[str]:
    """What is wrong with a file, warnings too."""
    path = tmp_path / "relay.yaml"
    path.write_text(text, encoding="utf-8")
    return [str(mistake) for mistake in examine_config(str(path), environ).mistakes]


def test_each_lane_has_its_own_and_what_all_share(tmp_path: Path) -> None:
    assert told(tmp_path, LANES) == []
    config, book = load(str(tmp_path / "relay.yaml"), SECRETS)
    assert config.lane_names == ("emea", "us")
    emea, us = config.for_lane("emea"), config.for_lane("us")
    assert (emea.planhat.types, emea.planhat.calls_per_minute) == (("Thread",), 100)
    assert (us.planhat.types, us.planhat.calls_per_minute) == (("Desk",), 50)
    assert [step.value for step in (*emea.companies, *us.companies)] == ["extid-emea", "extid-us"]
    assert (
        config.lanes["us"].url == "https://api-us4.planhat.com"
        and (config.lanes["us"].token or str)() == "u" * 32
    )
    assert (config.sources["chat"].lane, config.sources["desk"].lane) == ("emea", "us")
    assert {rule.name for rule in book.rules_for("desk")}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("lane: us}", "lane: uss}"), "no lane is called 'uss'; did you mean 'us'?"),
        (("token: '${US}'", "token: '${EMEA}'"), ""),
        (("url: us4, token: '${US}'", "token: '${EMEA}'"), "has the same url and token as lane 'emea'"),
        (
            ("url: us4, token: '${US}'", "url: 'https://API.planhat.com/', token: '${EMEA}'"),
            "has the same url and token as lane 'emea'",
        ),
        (("token: '${EMEA}'", "calls_per_minute: 20"), "warning: has no token"),
        (("type: Desk, lane", "type: Thread, lane"), "the types of lane us"),
        (("  us: {", "  'u s': {"), "letters, digits, dashes and underscores"),
        (("lane: us}", "lane: us}\nrules: [{name: r, lane: nobody}]"), "no lane is called 'nobody'"),
        (
            (
                "lane: us}",
                "lane: us}\nrules: [{name: r, source: chat, lane: us, conversation: {type: Thread, externalId: x}}]",
            ),
            "Thread",
        ),
    ],
)
def test_a_lane_that_cannot_be_is_told(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    found = told(tmp_path, LANES.replace(*change))
    if not says:
        assert found == [], "another host is another tenant"
        return
    assert any(says.removeprefix("warning: ") in mistake for mistake in found), found
