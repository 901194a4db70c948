"""Plain templates are run without Jinja2: for every event they give just what Jinja2 gives, faults and costs included."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.event import Channel, Event, Person, Ticket
from relay.rules.language.sandbox import MAX_OUTPUT_CHARS, left
from relay.rules.language.template import Compiled, Context, TemplateFailed, new_context

FIELDS = (
    *("id", "source", "kind", "time", "version", "thread", "subject", "text", "html", "message_id", "url"),
    *("sender.id", "sender.name", "sender.email", "sender.bot", "channel.id", "channel.name"),
    *("ticket.status", "ticket.priority", "tags"),
)
LEAVES = st.one_of(
    st.sampled_from([f"event.{path}" for path in FIELDS]),
    st.sampled_from(['event["sender"]["email"]', "event['channel'].id", "event.sender['name']"]),
    st.sampled_from(
        ["payload.a", "payload.b.c", "payload.b['c'].d", "payload.none", "payload.list[0]", "payload.items"]
    ),
    st.sampled_from(["'x'", "''", "0", "7", "1.5", "true", "none", "[]", "['a', 'x']", "('a', 'x')"]),
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    filters = st.sampled_from(
        [
            *(
                "truncate(8)",
                "truncate(event.version)",
                "truncate('x')",
                "truncate(5, killwords=true)",
                "lower",
            ),
            *("upper", "trim", "escape", "nl2br", "plain", "mention", "domain", "email", "slug(5)", "date"),
            *("date('%Y')", "default('d')", "d(payload.a, false)", "join('-')", "replace('a', 'bb')"),
        ]
    )
    compared = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
    return st.one_of(
        st.builds("({} or {})".format, inner, inner),
        st.builds("({} and {})".format, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("({} {} {})".format, inner, compared, inner),
        st.builds("({} in ['a', 'x', 7])".format, inner),
        st.builds("({} | {})".format, inner, filters),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} ~ {})".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({}).name".format, inner),
        st.builds("({})['b']".format, inner),
        st.builds("({}).upper()".format, inner),
        st.builds("({} + {})".format, inner, inner),
    )


EXPRESSIONS = st.recursive(LEAVES, _grown, max_leaves=6)
PARTS = st.one_of(
    st.sampled_from(["", "a ", "\n", "<p>", "{# no #}", "{{ 'const' }}", "{{- event.id }}"]),
    st.builds("{{{{ {} }}}}".format, EXPRESSIONS),
    st.builds("{{% if {} %}}yes {{{{ {} }}}}{{% else %}}no{{% endif %}}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("{{% if {} %}}1{{% elif {} %}}\n2{{% endif %}}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("{{% for tag in event.tags %}}{{{{ tag }}}}{{{{ {} }}}}{{% endfor %}}".format, EXPRESSIONS),
)
TEXTS = st.lists(PARTS, min_size=1, max_size=4).map("".join)

WORDS = st.one_of(
    st.sampled_from(
        ["", " ", "a", "x", "Ann <Ann@Example.com>", "<b>hé & co</b>", "2026-03-04T05:06:07.089Z"]
    ),
    st.text(max_size=20),
)
VALUES = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-3, 10),
    st.floats(allow_nan=False),
    st.lists(WORDS, max_size=2),
)
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "a": VALUES,
        "b": st.one_of(
            VALUES, st.fixed_dictionaries({"c": st.one_of(VALUES, st.fixed_dictionaries({"d": VALUES}))})
        ),
        "none": st.none(),
        "list": st.lists(VALUES, max_size=2),
        "items": VALUES,
    },
)
EVENTS = st.builds(
    Event,
    id=WORDS,
    source=st.just("slack"),
    adapter=st.just("slack"),
    kind=st.sampled_from(["message.created", "message.deleted", "x"]),
    time=WORDS,
    version=st.integers(0, 20),
    thread=WORDS,
    subject=WORDS,
    text=WORDS,
    html=WORDS,
    sender=st.builds(Person, id=WORDS, name=WORDS, email=WORDS, bot=st.booleans()),
    channel=st.builds(Channel, id=WORDS, name=WORDS),
    ticket=st.builds(Ticket, status=WORDS, priority=WORDS),
    message_id=WORDS,
    url=WORDS,
    tags=st.lists(WORDS, max_size=2).map(tuple),
    payload=PAYLOADS,
)


def result(template: Compiled, context: Context) -> tuple[Any, ...]:
    """What it gives or fails with, and what it used up."""
    try:
        value = template(context)
    except TemplateFailed as error:
        return "failed", str(error), error.line, left()
    return type(value).__name__, value, left()


def both(
    source: str, event: Event, *, native: bool, key: bool = False
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    template = Compiled(source, native=native, key=key)
    quick = result(template, Context(event))
    by_jinja = result(template, new_context({"event": event.view(), "payload": event.payload}))
    return quick, by_jinja


@given(EXPRESSIONS, EVENTS)
@settings(max_examples=300, deadline=None)
def test_an_expression_gives_what_jinja_gives(source: str, event: Event) -> None:
    quick, by_jinja = both(source, event, native=True)
    assert quick == by_jinja


@given(TEXTS, EVENTS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_text_is_what_jinja_writes(source: str, event: Event, key: bool) -> None:
    quick, by_jinja = both(source, event, native=False, key=key)
    assert quick == by_jinja


@pytest.mark.parametrize(
    ("source", "native"),
    [
        ("event.kind in ['message.created', 'message.updated'] and not event.sender.bot", True),
        ("event.html or event.text", True),
        ("event.text | truncate(80)", True),
        ("event.tags", True),
        ("payload.account.id == 7", True),
        ("{{ event.source }}-{{ event.thread }}", False),
        ("#{{ event.channel.name or event.channel.id }}: {{ event.text | truncate(80) }}", False),
        ("{% if event.text %}<p>{{ event.html or event.text | nl2br }}</p>{% endif %}", False),
    ],
)
def test_what_most_rules_are_made_of_needs_no_jinja(source: str, native: bool) -> None:
    assert Compiled(source, native=native).quick is not None


@pytest.mark.parametrize(
    ("source", "native"),
    [
        ("event.sender", True),
        ("event.text.upper()", True),
        ("event.recipients | map(attribute='email') | list", True),
        ("1 + event.version", True),
        ("{% for tag in event.tags %}{{ tag }}{% endfor %}", False),
        ("{% set a = event.text %}{{ a }}", False),
        ("{{ 'constant' }}", False),
    ],
)
def test_everything_else_is_left_to_jinja(source: str, native: bool) -> None:
    assert Compiled(source, native=native).quick is None


def test_a_text_over_the_limit_fails_on_the_same_line_either_way() -> None:
    event = Event("1", "slack", "slack", "x", "", 1, "t", text="x" * (MAX_OUTPUT_CHARS // 2 + 1))
    quick, by_jinja = both("{{ event.id }}\n{{ event.text }}\n{{ event.text }}", event, native=False)
    assert quick == by_jinja
    assert quick[:3] == ("failed", f"makes more than {MAX_OUTPUT_CHARS:,} characters", 3)


def test_a_failing_quick_try_costs_the_event_nothing() -> None:
    event = Event("1", "slack", "slack", "x", "", 1, "t", text="x" * 100)
    context = Context(event)
    before = left()
    with pytest.raises(TemplateFailed) as failed:
        Compiled("{{ event.text }}\n{{ event.text | truncate('long') }}", native=False)(context)
    assert failed.value.line == 2
    assert before - left() == 100
