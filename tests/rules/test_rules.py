"""From an event to a patch: which rule, which fields, and what fails how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.config import Config
from relay.errors import ConfigInvalid, MappingFailed
from relay.event import Event
from relay.planhat.fields import FIELDS, faults_of, value_fault
from relay.rules.build import RuleSurroundings, build_rule
from relay.rules.defaults import ADAPTERS_WITH_RULES, FAMILIES
from relay.rules.examples import document_of, example_event
from relay.rules.explain import explain
from relay.rules.file.load import load, load_rulebook
from relay.rules.file.yaml_file import YamlSource
from relay.rules.rule import Filtered, Mapped, RuleBook, fit_to_field, scope_of
from relay.sources.base import Inbound
from relay.sources.registry import ADAPTERS as REGISTERED
from relay.sources.registry import build_adapter
from tests.environ import WEAK
from tests.places import ROOT

BASE: dict[str, Any] = {
    "planhat": {"types": ["Slack thread", "Support email"]},
    "sources": {
        "slack": {"adapter": "slack", "secrets": ["s"]},
        "mail": {"adapter": "postmark", "basic_auth": ["a:b"], "type": "Support email"},
    },
    "companies": [
        {"table": {"slack_channel": {"C1": "extid-acme"}}},
        {"planhat": "enduser_email"},
        {"default": "extid-rest"},
    ],
}
THREAD: dict[str, Any] = {
    "name": "thread",
    "source": "slack",
    "when": 'event.kind in ["message.created", "message.updated"]',
    "conversation": {
        "type": "Slack thread",
        "externalId": "{{ event.source }}-{{ event.thread }}",
        "subject": "{{ event.text }}",
    },
}


def load_rules(folder: Path, *rules: Mapping[str, Any], **more: Any) -> tuple[Config, RuleBook]:
    path = folder / "relay.yaml"
    path.write_text(yaml.safe_dump({**BASE, **more, "rules": list(rules)}, sort_keys=False))
    return load(str(path), WEAK)


def rule(**changes: Any) -> dict[str, Any]:
    conversation = {**THREAD["conversation"], **changes.pop("conversation", {})}
    return {**THREAD, **changes, "conversation": conversation}


def event(source: str = "slack", payload: Any = None, **given: Any) -> Event:
    return example_event(given, source=source, adapter="slack", payload=payload)


def mapped(book: RuleBook, of: Event) -> Mapped:
    verdict = book.map(of)
    assert isinstance(verdict, Mapped)
    return verdict


def test_the_first_rule_that_matches_wins(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        rule(name="news", when='event.channel.name == "news"'),
        rule(name="rest", when="true"),
    )
    assert book.map(event(channel={"name": "news"})).rule == "news"
    assert book.map(event(channel={"name": "other"})).rule == "rest"


def test_an_event_that_no_rule_wants_is_filtered(tmp_path: Path) -> None:
    _, book = load_rules(tmp_path, THREAD)
    assert book.map(event(kind="call.ended")) == Filtered("no rule", None)


def test_drop_counts_the_event_as_filtered_by_its_rule(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path, {"name": "no-bots", "source": "slack", "when": "event.sender.bot", "action": "drop"}, THREAD
    )
    assert book.map(event(sender={"bot": True})) == Filtered("dropped", "no-bots")
    assert isinstance(book.map(event()), Mapped)


def test_a_patch_carries_the_events_time_version_and_message(tmp_path: Path) -> None:
    _, book = load_rules(tmp_path, THREAD)
    one = event(text="hello", thread="C1-1.5", message_id="C1-1.5")
    patch = mapped(book, one).patch
    assert (patch.external_id, patch.event_id, patch.version, patch.time) == (
        "slack-C1-1.5",
        one.id,
        one.version,
        one.time,
    )
    assert (patch.message_id, patch.action, patch.rule) == ("C1-1.5", "upsert", "thread")
    assert patch.fields == {"type": ("replace", "Slack thread"), "subject": ("replace", "hello")}
    assert mapped(book, one).patch.revision == 0
    again = book.map(one, revision=3)
    assert isinstance(again, Mapped)
    assert again.patch.revision == 3


def test_what_renders_to_nothing_is_left_out(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        rule(
            conversation={
                "subject": "{{ event.subject }}",
                "snippet": " {{ payload.none }} ",
                "activityTags": ["{{ event.url }}"],
                "custom": {"A": "{{ payload.a }}", "N": "{{ payload.n }}", "F": "{{ payload.f }}"},
            }
        ),
    )
    fields = mapped(book, event(payload={"n": 0, "f": False})).patch.fields
    assert fields == {
        "type": ("replace", "Slack thread"),
        "custom.N": ("replace", 0),
        "custom.F": ("replace", False),
    }


def test_values_fit_planhats_types(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        rule(
            conversation={
                "subject": "{{ payload.number }}",
                "date": "{{ payload.at }}",
                "starred": "{% if event.text %}true{% endif %}",
                "activityTags": "{{ event.tags }}",
                "users": [{"id": "{{ payload.owner }}"}],
                "custom": {"List": ["a", "{{ event.text }}"]},
            }
        ),
    )
    payload = {"number": 42, "at": "2026-03-04T05:06:07+02:00", "owner": "5f0c0c0c0c0c0c0c0c0c0c0c"}
    document = document_of(mapped(book, event(text="b", tags=["x"], payload=payload)).patch)
    assert document["subject"] == "42"
    assert document["date"] == "2026-03-04T03:06:07.000Z"
    assert document["starred"] is True
    assert document["activityTags"] == ["x"]
    assert document["users"] == [{"id": "5f0c0c0c0c0c0c0c0c0c0c0c"}]
    assert document["custom"] == {"List": ["a", "b"]}
    assert faults_of(document, partial=True) == ()


def test_merge_ways_stand_on_the_fields(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        rule(
            conversation={"description": "{{ event.text }}", "custom": {"A": "1", "B": "2"}},
            merge={"subject": "first", "description": "append", "custom": "first", "custom.B": "replace"},
        ),
    )
    fields = mapped(book, event(text="t")).patch.fields
    assert {name: way for name, (way, _) in fields.items()} == {
        "type": "replace",
        "subject": "first",
        "description": "append",
        "custom.A": "first",
        "custom.B": "replace",
    }


def test_an_appended_text_without_a_message_id_is_known_by_its_event(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path, rule(conversation={"description": "{{ event.text }}"}, merge={"description": "append"})
    )
    one = event(text="t", message_id="")
    assert mapped(book, one).patch.message_id == one.id


def test_a_deletion_borrows_the_external_id_of_the_first_upsert(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        {"name": "gone", "source": "slack", "when": 'event.kind == "message.deleted"', "action": "retract"},
        {"name": "closed", "source": "slack", "when": 'event.kind == "ticket.solved"', "action": "archive"},
        THREAD,
    )
    gone = mapped(book, event(kind="message.deleted", thread="T", message_id="M")).patch
    assert (gone.action, gone.external_id, gone.message_id, gone.fields) == ("retract", "slack-T", "M", {})
    assert mapped(book, event(kind="ticket.solved", thread="T")).patch.action == "archive"


def test_external_ids_are_made_safe_and_never_empty(tmp_path: Path) -> None:
    _, book = load_rules(tmp_path, rule(conversation={"externalId": "{{ payload.id }}"}))
    assert mapped(book, event(payload={"id": "a/b c"})).patch.external_id == "a_2fb_20c"
    assert mapped(book, event(payload={"id": 12})).patch.external_id == "12"
    assert len(mapped(book, event(payload={"id": "x" * 500})).patch.external_id) == 128
    for empty in ({}, {"id": ""}, {"id": None}, {"id": "  "}, {"id": [1]}):
        with pytest.raises(MappingFailed, match="externalId"):
            book.map(event(payload=empty))


def test_a_failing_template_names_rule_field_and_line_and_no_value(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        "planhat: {types: [Slack thread]}\nsources: {slack: {adapter: slack, secrets: [s]}}\ncompanies: [default: extid-a]\n"
        "rules:\n  - name: odd\n    conversation:\n      type: Slack thread\n      externalId: x-{{ event.thread }}\n"
        "      subject: |\n        Hello\n        {{ event.text + 1 }}\n"
    )
    _, book = load(str(path), WEAK)
    with pytest.raises(MappingFailed) as failed:
        book.map(event(text="a secret text"))
    assert (
        failed.value.cause
        == "rule 'odd', conversation.subject (line 11): does something that this type of value cannot do"
    )
    assert (failed.value.rule, failed.value.field, failed.value.line) == ("odd", "conversation.subject", 11)


def test_a_value_of_the_wrong_kind_is_a_dead_letter_not_a_wrong_conversation(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path, rule(conversation={"date": "{{ payload.at }}", "custom": {"M": "{{ payload.m }}"}})
    )
    with pytest.raises(MappingFailed, match="ISO format"):
        book.map(event(payload={"at": "soon"}))
    with pytest.raises(MappingFailed, match="custom"):
        book.map(event(payload={"m": {"a": 1}}))


def test_a_type_from_the_payload_must_be_one_that_the_tenant_has(tmp_path: Path) -> None:
    _, book = load_rules(tmp_path, rule(conversation={"type": "{{ payload.type }}"}))
    assert mapped(book, event(payload={"type": "Support email"})).patch.fields["type"] == (
        "replace",
        "Support email",
    )
    for odd in ({"type": "email"}, {"type": "Other"}, {}, {"type": ["Support email"]}):
        with pytest.raises(MappingFailed, match=r"conversation\.type"):
            book.map(event(payload=odd))


def test_what_json_cannot_hold_never_reaches_the_outbox(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        rule(
            conversation={"custom": {"N": "{{ payload.n * 10 ** 30 if payload.n else 1 }}"}},
            company={"email": "{{ event.text }}"},
        ),
    )
    patch = mapped(book, event(text="half \ud83d a character", payload={})).patch
    assert patch.fields["subject"][1] == "half ? a character"
    assert patch.encode()
    with pytest.raises(MappingFailed, match="too large"):
        book.map(event(payload={"n": 5}))
    with pytest.raises(MappingFailed, match="no number"):
        book.map(event(payload={"n": float("inf")}))


def test_a_failing_condition_is_no_silent_mismatch(tmp_path: Path) -> None:
    _, book = load_rules(tmp_path, rule(when="event.text + 1 == 2"))
    with pytest.raises(MappingFailed, match=r"when \(line"):
        book.map(event(text="t"))


def test_companies_are_asked_with_what_is_there(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        rule(company={"slack_channel": "{{ event.channel.id }}", "email": "{{ event.sender.email }}"}),
    )
    patch = mapped(book, event(sender={"email": "Ann@Example.COM"})).patch
    assert patch.company == {"email": "ann@example.com", "domain": "example.com"}
    assert patch.company_id == ""


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"email": "Ann B <Ann@Example.com>"}, {"email": "ann@example.com", "domain": "example.com"}),
        ({"email": '"B, Ann" <ann@example.com>'}, {"email": "ann@example.com", "domain": "example.com"}),
        ({"domain": "https://www.Example.com/about"}, {"domain": "example.com"}),
        ({"domain": "ann@example.com"}, {"domain": "example.com"}),
        ({"email": "nobody", "domain": "Example.com"}, {"email": "nobody", "domain": "example.com"}),
    ],
)
def test_a_company_is_asked_for_by_the_address_within_what_the_sender_wrote(
    tmp_path: Path, asked: dict[str, str], found: dict[str, str]
) -> None:
    _, book = load_rules(tmp_path, rule(company={key: f"{{{{ payload.{key} }}}}" for key in asked}))
    assert mapped(book, event(payload=asked)).patch.company == found


def test_a_person_is_the_address_within_what_the_sender_wrote(tmp_path: Path) -> None:
    people = [
        "{{ payload.a }}",
        {"email": "{{ payload.a }}", "name": "Ann"},
        {"id": "5f0000000000000000000001"},
    ]
    _, book = load_rules(tmp_path, rule(conversation={"endusers": people}))
    patch = mapped(book, event(payload={"a": "Ann <ann@example.com>"})).patch
    assert patch.fields["endusers"][1] == [
        {"email": "ann@example.com"},
        {"email": "ann@example.com", "name": "Ann"},
        {"id": "5f0000000000000000000001"},
    ]


def test_a_rule_may_name_the_company_itself(tmp_path: Path) -> None:
    _, book = load_rules(tmp_path, rule(companyId="extid-{{ payload.account }}"))
    assert mapped(book, event(payload={"account": "acme"})).patch.company_id == "extid-acme"
    with pytest.raises(MappingFailed, match="companyId"):
        book.map(event(payload={}))
    _, whole = load_rules(tmp_path, rule(companyId="{{ payload.id }}"))
    with pytest.raises(MappingFailed, match="extid"):
        whole.map(event(payload={"id": "acme"}))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                'event.kind == "message.created"',
                'event.kind in ["message.created", "call.ended"]',
                '"C1" == event.channel.id',
                "event.sender.bot == true",
                "event.sender.bot == 1",
                'event["channel"]["id"] in ("C1", "C2")',
                'event.channel.id != "C1"',
                'not (event.kind == "call.ended")',
                'event.text == "" or event.kind == "call.ended"',
                'payload.kind == "a"',
                "event.kind in event.tags",
            ]
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["message.created", "message.updated", "call.ended"]),
    st.sampled_from(["", "C1", "C2"]),
    st.booleans(),
    st.sampled_from([{}, {"kind": "a"}]),
)
def test_the_quick_look_at_single_fields_never_decides_otherwise(
    parts: list[str], kind: str, channel: str, bot: bool, payload: dict[str, str]
) -> None:
    text = " and ".join(parts)
    source = YamlSource("x.yaml", {"rules": [rule(when=text)]})
    built = build_rule(
        rule(when=text, source=("slack",)),
        0,
        RuleSurroundings(source, ("Slack thread",), ("slack",), frozenset()),
    )
    assert built is not None
    context = scope_of(
        event(kind=kind, channel={"id": channel}, sender={"bot": bot}, payload=payload, tags=["call.ended"])
    )
    assert built.matches(context) == replace(built, guards=()).matches(context)


def test_rules_for_all_sources_come_in_their_place(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        {"name": "spam", "source": "*", "when": '"unsubscribe" in event.text', "action": "drop"},
        THREAD,
    )
    assert book.map(event("mail", text="unsubscribe")) == Filtered("dropped", "spam")
    assert book.map(event("mail", kind="email.received", text="hi", subject="s")).rule == "mail-mail"


def test_default_rules_give_way_to_the_users(tmp_path: Path) -> None:
    _, book = load_rules(tmp_path, THREAD)
    assert [one.name for one in book.rules_for("slack")] == ["thread"]
    assert [one.is_default for one in book.rules_for("mail")] == [True, True]
    assert book.rules_for("unknown") == ()


def test_the_rules_version_is_the_files(tmp_path: Path) -> None:
    config, book = load_rules(tmp_path, THREAD)
    _, same = load_rules(tmp_path, THREAD)
    _, other = load_rules(tmp_path, rule(when="true"))
    assert book.version == config.version == same.version != other.version


def test_a_rulebook_can_be_made_from_a_loaded_config(tmp_path: Path) -> None:
    config, book = load_rules(tmp_path, THREAD)
    again = load_rulebook(config)
    assert again.map(event(text="x")) == book.map(event(text="x"))


# -- defaults ------------------------------------------------------------------------------------------------


def test_every_adapter_has_default_rules() -> None:
    assert set(ADAPTERS_WITH_RULES) == set(REGISTERED)
    files = {path.stem for path in (ROOT / "relay/rules/defaults").glob("*.yaml")}
    assert files == {family.file for family in FAMILIES.values()}


@pytest.mark.parametrize("adapter", ADAPTERS_WITH_RULES)
def test_default_rules_map_what_their_adapter_finds(adapter: str, tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        f"planhat: {{types: [Any thread]}}\nsources: {{src: {{adapter: {adapter}, unauthenticated: true, type: Any thread}}}}\n"
        "companies: [default: extid-a]\n"
    )
    _, book = load(str(path), WEAK)
    rich = {
        "text": "a <b>",
        "subject": "S",
        "html": "",
        "sender": {"name": "<Ann>", "email": "ann@example.com"},
        "ticket": {"id": "1", "status": "open"},
        "recipients": [{"name": "Bo"}],
        "tags": ["t"],
    }
    for kind in ("message.created", "email.received", "ticket.created", "call.ended", "custom"):
        patch = mapped(book, event("src", kind=kind, **rich)).patch
        document = document_of(patch)
        assert faults_of(document, partial=True) == ()
        assert document["type"] == "Any thread"
        assert document["subject"]
        assert patch.external_id == "src-example-thread"
        assert "<Ann>" not in document.get("description", "")
        assert patch.fields["date"][0] == ("first" if FAMILIES[adapter].file == "call" else "replace")
        assert patch.fields["source"] == ("first", "slack")  # as the event says
        assert patch.company["domain"] == "example.com"
        # Without people it stands on nobody's timeline.
        for people in ("users", "endusers"):
            way, named = patch.fields[people]
            assert (way, named[0]["email"]) == ("union", "ann@example.com")
    mapped(book, event("src", kind="message.created"))
    assert mapped(book, event("src", kind="message.deleted")).patch.action == "retract"


@pytest.mark.parametrize("adapter", ADAPTERS_WITH_RULES)
def test_default_rules_map_their_adapters_own_sample(adapter: str, tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        f"planhat: {{types: [T]}}\nsources: {{src: {{adapter: {adapter}, secrets: [c2VjcmV0c2VjcmV0c2VjcmV0], unauthenticated: true, "
        "public_url: https://relay.example.com/hooks/src, type: T}}\ncompanies: [default: extid-a]\n"
    )
    config, book = load(str(path), WEAK)
    built = build_adapter(config.sources["src"].options)
    sample = built.sample(serial=1, now_s=1_767_323_045.0)
    events = [
        one
        for one in built.parse(Inbound(sample.body, sample.headers), now_s=1_767_323_045.0)
        if isinstance(one, Event)
    ]
    assert events
    for one in events:
        document = document_of(mapped(book, one).patch)
        assert faults_of(document, partial=True) == ()
        assert document["subject"]
        assert document["type"] == "T"


@pytest.mark.parametrize("adapter", ["slack", "teams", "postmark", "zendesk", "generic"])
@pytest.mark.parametrize("resolve", [True, False])
def test_people_are_united_where_the_workers_look_them_up(
    adapter: str, resolve: bool, tmp_path: Path
) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        f"planhat: {{types: [T], resolve_people: {str(resolve).lower()}}}\n"
        f"sources: {{src: {{adapter: {adapter}, secrets: [s], type: T}}}}\ncompanies: [default: extid-a]\n"
    )
    _, book = load(str(path), WEAK)
    fields = mapped(book, event("src", sender={"email": "ann@example.com"})).patch.fields
    united = ("union", [{"email": "ann@example.com"}])
    assert (fields.get("endusers"), fields.get("users")) == ((united, united) if resolve else (None, None))
    nobody = mapped(book, event("src", sender={"name": "Ann"})).patch.fields
    assert "endusers" not in nobody
    assert "users" not in nobody


def test_a_call_is_on_the_timeline_of_everybody_who_took_part(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        "planhat: {types: [T]}\nsources: {src: {adapter: gong, bearer: [s], type: T}}\ncompanies: [default: extid-a]\n"
    )
    _, book = load(str(path), WEAK)
    took_part = [{"name": "Bo", "email": "bo@example.com"}, {"name": "Cy"}] + [
        {"email": f"p{n}@example.com"} for n in range(30)
    ]
    call = event("src", kind="call.ended", sender={"email": "ann@example.com"}, recipients=took_part)
    fields = mapped(book, call).patch.fields
    for people in ("users", "endusers"):
        emails = [person["email"] for person in fields[people][1]]
        assert emails[:3] == ["ann@example.com", "bo@example.com", "p0@example.com"]
        assert len(emails) == 19, "20 at most, and who has no address is nobody"
    assert (
        "endusers" not in mapped(book, event("src", kind="call.ended", sender={"name": "Ann"})).patch.fields
    )


def test_people_without_ids_are_left_out_with_a_warning_where_nobody_looks_them_up(tmp_path: Path) -> None:
    _, book = load_rules(
        tmp_path,
        rule(conversation={"endusers": [{"email": "{{ event.sender.email }}"}], "users": [{"id": "abc"}]}),
        planhat={**BASE["planhat"], "resolve_people": False},
    )
    assert [warning.message for warning in book.warnings if "resolve_people" in warning.message]
    fields = mapped(book, event(sender={"email": "ann@example.com"})).patch.fields
    assert "endusers" not in fields
    assert fields["users"] == ("replace", [{"id": "abc"}])


@pytest.mark.parametrize(
    ("written", "people"),
    [
        ("ann@example.com", [{"email": "ann@example.com"}]),
        (["5e0000000000000000000001", "bo@example.com"], [{"id": "5e0000000000000000000001"}, {"email": "bo@example.com"}]),
        ([{"name": "{{ event.sender.name }}", "email": "{{ event.sender.email }}"}], None),
    ],
)  # fmt: skip
def test_nobody_is_sent_as_a_bare_text_and_a_name_alone_is_nobody(
    written: Any, people: list[dict[str, str]] | None, tmp_path: Path
) -> None:
    """Planhat leaves such people out in silence."""
    _, book = load_rules(tmp_path, rule(conversation={"endusers": written}))
    fields = mapped(book, event(sender={"name": "Ann"})).patch.fields
    assert fields.get("endusers") == (None if people is None else ("replace", people))


def test_a_deleted_ticket_is_archived_and_a_deleted_comment_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        "planhat: {types: [T]}\nsources: {desk: {adapter: zendesk, secrets: [s], type: T}}\ncompanies: [default: extid-a]\n"
    )
    _, book = load(str(path), WEAK)
    assert (
        mapped(book, event("desk", kind="message.deleted", thread="7", message_id="7")).patch.action
        == "archive"
    )
    assert (
        mapped(book, event("desk", kind="message.deleted", thread="7", message_id="c1")).patch.action
        == "retract"
    )


# -- explain -------------------------------------------------------------------------------------------------


def test_explain_says_why_each_rule_did_not_match(tmp_path: Path) -> None:
    config, book = load_rules(
        tmp_path,
        rule(name="news", when='event.channel.name == "news" and not event.sender.bot'),
        rule(name="rest", when="event.text", company={"slack_channel": "{{ event.channel.id }}"}),
    )
    told = explain(config, book, event(text="hi", channel={"id": "C1", "name": "x"}, thread="T"))
    assert told["result"] == "mapped"
    assert told["rule"] == "rest"
    assert told["rules"][0]["why"] == "event.channel.name == \"news\" is false (event.channel.name is 'x')"
    assert [part["holds"] for part in told["rules"][0]["parts"]] == [False, True]
    subject = next(field for field in told["fields"] if field["field"] == "subject")
    assert (subject["template"], subject["inputs"], subject["value"], subject["way"]) == (
        "{{ event.text }}",
        {"event.text": "hi"},
        "hi",
        "replace",
    )
    assert told["document"] == {
        "externalId": "slack-T",
        "companyId": "extid-acme",
        "type": "Slack thread",
        "subject": "hi",
    }
    assert told["company"]["path"] == [{"step": "table slack_channel", "asked": "C1", "found": "extid-acme"}]


def test_explain_names_look_ups_without_making_them(tmp_path: Path) -> None:
    config, book = load_rules(tmp_path, rule(company={"email": "{{ event.sender.email }}"}))
    told = explain(config, book, event(text="hi", sender={"email": "ann@example.com"}))
    assert told["company"]["certain"] is False
    assert told["company"]["companyId"] == "extid-rest"
    assert told["company"]["path"][1]["note"] == "looked up in Planhat by the workers"


def test_explain_shows_what_fails_beside_what_does_not(tmp_path: Path) -> None:
    config, book = load_rules(tmp_path, rule(conversation={"snippet": "{{ 1 / 0 }}"}))
    told = explain(config, book, event(text="hi"))
    assert told["result"] == "failed"
    assert "divides by zero" in told["cause"]
    assert next(field for field in told["fields"] if field["field"] == "subject")["value"] == "hi"


def test_explain_tells_of_drops_and_of_no_rule(tmp_path: Path) -> None:
    config, book = load_rules(
        tmp_path, {"name": "none", "source": "slack", "when": "event.sender.bot", "action": "drop"}
    )
    assert explain(config, book, event(sender={"bot": True}))["result"] == "dropped"
    told = explain(config, book, event())
    assert (told["result"], told["document"]) == ("no rule", None)


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as invalid:
        load_rules(
            tmp_path,
            rule(conversation={"type": "email"}),
            rule(name="b", when="event.txt"),
            planhat={"lease": "5"},
        )
    assert len(invalid.value.mistakes) >= 4


@pytest.mark.parametrize(
    ("name", "value", "fitted"),
    [
        ("users", [None, "", {}, {"id": 5}, 7, " ann@x.example"], [{"id": "5"}, {"id": "7"}, {"email": "ann@x.example"}]),
        ("endusers", {"_id": 12, "email": "Ann <ann@x.example>"}, [{"_id": "12", "email": "ann@x.example"}]),
        ("endusers", [{"id": None, "email": "ann@x.example"}], [{"id": None, "email": "ann@x.example"}]),
        ("endusers", [None, {"name": "Ann"}], []),
        ("activityTags", ["a", None, "", 3, 0], ["a", "3", "0"]),
    ],
)  # fmt: skip
def test_a_list_of_a_template_is_without_what_is_nothing(name: str, value: Any, fitted: list[Any]) -> None:
    found = fit_to_field(FIELDS[name], value)
    assert found == fitted
    assert value_fault(FIELDS[name], found) is None


@pytest.mark.parametrize(
    ("text", "is_date"),
    [
        ("2026-12-31T23:59:59.999Z", True),
        ("2026-12-31", True),
        ("2026-02-28 10:00+02:00", True),
        ("2026-12-31T24:00:00Z", True),
        ("2026-13-01T10:00:00.000Z", False),
        ("2026-00-10", False),
        ("2026-12-32T10:00:00.000Z", False),
        ("2026-12-39T10:00:00.000Z", False),
        ("2026-12-31T25:00:00.000Z", False),
        ("2026-12-31T10:60:00.000Z", False),
        ("2026-12-31T24:00:01Z", False),
    ],
)
def test_a_date_is_a_moment_that_there_is(text: str, is_date: bool) -> None:
    assert (value_fault(FIELDS["date"], fit_to_field(FIELDS["date"], text)) is None) is is_date
