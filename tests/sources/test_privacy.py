"""Private means private, in every spelling, at any depth; what says nothing of it is told apart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.event import Event
from relay.sources.base import Inbound, Parsed, Skipped
from relay.sources.read.privacy import UNSAID, audience
from relay.sources.registry import ADAPTERS
from tests.sources.test_every_source import NOW_S, build
from tests.sources.words import words

PRIVATE: tuple[dict[str, Any], ...] = (
    {"is_public": False},
    {"is_public": "false"},
    {"isPublic": "False"},
    {"Is Public": "no"},
    {"public": 0},
    {"public": "private"},
    {"comment_is_public": "0"},
    {"latest_comment_is_public": "false"},
    {"latestCommentIsPublic": False},
    {"ticket.latest_comment.is_public": "n"},
    {"jsdPublic": False},
    {"isPublished": "false"},
    {"IsPublished": False},
    {"published": "no"},
    {"visible_to_customer": False},
    {"isVisibleInSelfService": "false"},
    {"private": True},
    {"isPrivate": "yes"},
    {"is_private": 1},
    {"commentIsPrivate": "on"},
    {"internal": "true"},
    {"is_internal_note": True},
    {"confidential": True},
    {"visibility": "private"},
    {"visibility": "INTERNAL"},
    {"comment_visibility": "agents only"},
    {"visibility": {"type": "role", "value": "Administrators"}},
    {"note_type": "private"},
    {"channel": "internal-note"},
    {"type": "internal_note"},
    {"isPublic": "false"},
    {"is_public": "Not public"},
    {"public?": "No"},
    {"comment.public": "f"},
    {"private_note": True},
    {"internalNote": True},
    {"internal_only": True},
    {"is_note": "true"},
    {"note": True},
    {"whisper": True},
    {"is_hidden": 1},
    {"visible": "false"},
    {"publicly_visible": False},
    {"is_customer_visible": "no"},
    {"shared_with_customer": False},
    {"comment_type": "internal"},
    {"reply_type": "private"},
    {"source_type": "private_note"},
    {"conversation_part_type": "note"},
    {"part_type": "note"},
    {"element": "work_notes"},
    {"sys_visibility": "internal"},
    {"access_level": "private"},
    {"confidentiality": "internal"},
    {"sd.public.comment": {"internal": True}},
)
PUBLIC: tuple[dict[str, Any], ...] = (
    {"is_public": True},
    {"latest_comment_is_public": "true"},
    {"private": False},
    {"internal": "no"},
    {"visibility": "public"},
    {"IsPublished": "1"},
)
NOTHING: tuple[dict[str, Any], ...] = (
    {},
    {"is_public": ""},
    {"is_public": None},
    {"private_note": "the text of a note, under the name of its kind"},
    {"latest_public_comment": "yes we can do that for you"},
    {"type": "note"},
    {"note": "yes"},
    {"note": False, "hidden": False, "visible": True, "is_note": "false"},
    {"message_type": "group"},
    {"category": "internal"},
    {"channel": "private-customers"},
    {"repository": {"private": True, "visibility": "private"}},
    {"author": {"is_public": False}},
    {"files": [{"is_public": False, "public_url_shared": False}]},
    {"attachments": [{"private": True}]},
)


@pytest.mark.parametrize("said", PRIVATE, ids=str)
def test_every_spelling_of_not_public_is_private(said: dict[str, Any]) -> None:
    assert audience(said) == "private"


@pytest.mark.parametrize("said", PUBLIC, ids=str)
def test_every_spelling_of_public_is_public(said: dict[str, Any]) -> None:
    assert audience(said) == "public"


@pytest.mark.parametrize("said", NOTHING, ids=str)
def test_what_speaks_of_something_else_says_nothing(said: dict[str, Any]) -> None:
    assert audience(said) == ""


@given(
    st.sampled_from(PRIVATE),
    st.lists(st.sampled_from(["ticket", "comment", "data", "event", "x"]), max_size=8),
)
def test_private_is_found_at_any_depth_and_wins(said: dict[str, Any], way: list[str]) -> None:
    value: Any = said
    for step in way:
        value = {"is_public": True, step: value, "other": {"public": True}}
    assert audience(value) == "private"


def test_a_hostile_payload_takes_linear_time() -> None:
    wide = {f"key{n}": {"is_public": True} for n in range(50_000)}
    deep: dict[str, Any] = {}
    for _ in range(60):
        deep = {"comment": deep, "t" * 5000: 1}
    began = time.process_time()
    audience(wide)
    audience(deep)
    assert time.process_time() - began < 2


# ---- in the adapters ---------------------------------------------------------------------------------------


def parse(name: str, payload: Any, **options: Any) -> Parsed:
    (found,) = build(name, **options).parse(
        Inbound(orjson.dumps(payload), {"content-type": "application/json"}), now_s=NOW_S
    )
    return found


#: A message of each sender whose JSON is written by people, with room for what it says of its audience.
TEMPLATES: dict[str, dict[str, Any]] = {
    "zendesk": {"ticket_id": 7, "latest_comment": "he is a difficult one"},
    "freshdesk": {"ticket_id": 7, "latest_comment": "he is a difficult one"},
    "gorgias": {"ticket": {"id": 7}, "message": {"id": 1, "body_text": "he is a difficult one"}},
    "servicenow": {"sys_id": "7", "comments": "he is a difficult one"},
    "generic": {
        "type": "note.added",
        "ticket": {"id": 7},
        "note": {"id": 1, "text": "he is a difficult one"},
    },
    "jira": {"issue": {"id": "7", "fields": {}}, "comment": {"id": "1", "body": "he is a difficult one"}},
}


@pytest.mark.parametrize("said", PRIVATE, ids=str)
@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_private_comment_is_skipped_whichever_way_it_says_so(name: str, said: dict[str, Any]) -> None:
    place = {"gorgias": "message", "generic": "note", "jira": "comment"}.get(name)
    payload = orjson.loads(orjson.dumps(TEMPLATES[name]))
    (payload[place] if place else payload).update(said)
    assert parse(name, payload) == Skipped("private")
    kept = parse(name, payload, keep=frozenset({"private"}))
    assert isinstance(kept, Event)
    assert "difficult" in kept.text + kept.html


#: Their messages have no readers of their own: a mail, a chat of people, a call, a survey's answer; or only ids are told.
ONE_AUDIENCE = frozenset(
    {
        *(
            "sendgrid",
            "mailgun",
            "postmark",
            "ses",
            "cloudmailin",
            "resend",
            "mailersend",
            "brevo",
            "sparkpost",
        ),
        *("mandrill", "mailjet", "postal", "slack", "teams", "whatsapp", "ringcentral", "twilio", "dialpad"),
        *("zoom", "gong", "aircall", "fathom", "calendly", "typeform"),
        *("hubspot", "graph", "fireflies", "productboard"),
        "salesforce",  # XML: its own tests
    }
)


def holders(value: Any, said: str, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of the objects in which words of the event stand."""
    if isinstance(value, dict):
        if any(
            isinstance(one, str) and (w := words(one)) and len(w) > 8 and w in said for one in value.values()
        ):
            yield here
        for key, inner in value.items():
            if key != "last_message":  # of the conversation: another message
                yield from holders(inner, said, (*here, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from holders(inner, said, (*here, n))


@pytest.mark.parametrize("name", sorted(ADAPTERS.keys() - ONE_AUDIENCE))
def test_every_sender_is_believed_when_it_says_private_where_the_words_stand(name: str) -> None:
    adapter = build(name)
    sample = adapter.sample_thread(serial=1, now_s=NOW_S)[-1]
    headers = {key.lower(): value for key, value in sample.headers.items()}
    payload = orjson.loads(sample.body)
    (event,) = adapter.parse(Inbound(sample.body, headers), now_s=NOW_S)
    assert isinstance(event, Event)
    found = [path for path in holders(payload, words(event.text)) if path]
    assert found or list(holders(payload, words(event.text)))
    for path in found or [()]:
        for said in PRIVATE:
            if said.keys() & {"type", "channel"}:
                continue  # what the sample says there is how it is read at all
            body = orjson.dumps(merged(payload, path, said))
            told = adapter.parse(Inbound(body, headers), now_s=NOW_S)
            assert not any(isinstance(one, Event) and (one.text or one.html) for one in told), (path, said)


def merged(payload: Any, path: tuple[Any, ...], more: dict[str, Any]) -> Any:
    if not path:
        return {**payload, **more}
    changed = payload.copy()
    changed[path[0]] = merged(payload[path[0]], path[1:], more)
    return changed


@pytest.mark.parametrize("name", ["zendesk", "freshdesk"])
def test_the_latest_comment_of_either_kind_is_skipped_unless_it_says_that_it_is_public(name: str) -> None:
    template = TEMPLATES[name]
    assert parse(name, template) == Skipped(UNSAID)
    assert isinstance(parse(name, {**template, "is_public": "true"}), Event)
    told = parse(name, template, privacy="as_told")
    assert isinstance(told, Event)
    assert told.remarks == (UNSAID,)
    by_name = parse(name, {"ticket_id": 7, "latest_public_comment": "we send a new one"})
    assert isinstance(by_name, Event)
    assert by_name.remarks == ()
    nested = {"ticket": {"id": 7, "latest_comment": {"body": "x", "is_public": False}}}
    assert parse(name, nested) == Skipped("private")


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_strict_skips_what_says_nothing(name: str) -> None:
    assert parse(name, TEMPLATES[name], privacy="strict") == Skipped(UNSAID)


def test_freshdesks_latest_comment_is_private_where_it_is_the_latest_private_one() -> None:
    both = {"ticket_id": 7, "latest_comment": "<p>ask her boss</p>", "latest_private_comment": "ask her boss"}
    assert parse("freshdesk", both, privacy="as_told") == Skipped("private")
    public = {**both, "latest_comment": "On its way", "latest_public_comment": "On its way"}
    found = parse("freshdesk", public)
    assert isinstance(found, Event)
    assert found.text == "On its way"


@pytest.mark.parametrize("said", [{"internal": "true"}, {"comment_is_public": False}, {"jsdPublic": "false"}])
def test_a_jira_rule_may_say_it_beside_the_comment(said: dict[str, Any]) -> None:
    rule = {"issue": {"key": "EX-7"}, "comment": "he is a difficult one"}
    assert parse("jira", {**rule, **said}) == Skipped("private")
    assert isinstance(parse("jira", {**rule, "user": {"is_public": False}}), Event)


def test_issues_of_a_private_repository_are_relayed() -> None:
    payload = {
        "action": "opened",
        "issue": {"id": 1, "title": "It fails", "body": "every time"},
        "repository": {"private": True},
    }
    assert isinstance(parse("github", payload), Event)
