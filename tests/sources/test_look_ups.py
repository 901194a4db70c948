"""What each provider's look-up asks and adds, as pure functions: no answer breaks it, and nothing that is known is replaced."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.foreign_json import Walk
from relay.sources.registry import ADAPTERS, LOOKUPS, look_up_of

KEYS = (
    *("text", "html", "richText", "subject", "senders", "recipients", "deliveryIdentifier", "value", "name"),
    *("user", "profile", "email", "real_name", "_embedded", "threads", "type", "state", "body", "createdBy"),
    *(
        "data",
        "fields",
        "content",
        "transcript",
        "summary",
        "overview",
        "sentences",
        "meeting_attendees",
        "errors",
    ),
    *("messageType", "from", "attachments", "toRecipients", "emailAddress", "address", "properties", "code"),
)
ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("nora@example.com"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)

every_look_up = pytest.mark.parametrize("name", sorted(LOOKUPS))


def view(**more: Any) -> dict[str, Any]:
    known = {
        "kind": "message.created",
        "thread": "t 1",
        "message_id": "m/1",
        "subject": "",
        "text": "",
        "html": "",
        "sender": {"id": "u 1", "name": "", "email": "", "bot": False},
        "recipients": [],
        "attachments": [],
    }
    return {**known, **more}


def test_only_known_adapters_have_look_ups() -> None:
    assert set(LOOKUPS) <= set(ADAPTERS)
    assert look_up_of("generic") is None


@every_look_up
@given(answer=st.dictionaries(st.sampled_from(KEYS), ANSWERS, max_size=8))
def test_any_answer_is_taken_and_replaces_nothing(name: str, answer: dict[str, Any]) -> None:
    look_up = look_up_of(name)
    assert look_up is not None
    before = view(
        subject="Known",
        text="known",
        html="<p>known</p>",
        sender={"id": "u1", "name": "Nora", "email": "nora@example.com", "bot": False},
        recipients=[{"name": "", "email": "help@example.com", "role": "to"}],
    )
    after = deepcopy(before)
    look_up.fill(after, Walk(answer))
    # Help Scout's webhook brings a preview of the text only, which the thread replaces.
    fixed = {"subject", "sender", "recipients", *(() if name == "helpscout" else ("text", "html"))}
    assert {key: after[key] for key in fixed} == {key: before[key] for key in fixed}
    look_up.fill(view(), Walk(answer))
    assert look_up.busy is None or look_up.busy(Walk(answer)) in (True, False)


@every_look_up
def test_what_is_asked_is_one_path_with_its_ids_quoted(name: str) -> None:
    look_up = look_up_of(name)
    assert look_up is not None
    assert bool(look_up.api) != bool(look_up.example)
    contacts = {"item": {"contacts": {"contacts": [{"id": "u 1"}]}}, "email_id": "e/1"}
    action = {"bucketName": "mails", "objectKey": "m 1"}
    payload = Walk(
        {"data": contacts, "resource": "chats('t 1')/messages('1')", "receipt": {"action": action}}
    )
    kind = "ticket.created" if name == "helpscout" else "message.created"
    path = look_up.path(view(kind=kind), payload)
    assert path.startswith("/")
    assert " " not in path
    asked = path + (str(look_up.question(view(kind=kind), payload)) if look_up.question else "")
    assert any(id_ in asked for id_ in ("t%201", "m%2F1", "m%201", "u%201", "e%2F1", "'t 1'"))
