"""What no adapter has seen yet: a message in a shape of its own is kept for somebody to mend, never skipped and never refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relay.door.mapping import parse_or_park
from relay.errors import PayloadInvalid
from relay.event import Event
from relay.sources.base import Inbound, Parked, Parsed, Sample, Skipped
from relay.sources.read.unknown import is_worded
from relay.sources.registry import ADAPTERS
from tests.sources.test_every_source import NOW_S, build, paths

SAID = "The export fails since this morning."
SHAPES: tuple[Any, ...] = (
    {"something": {"odd": {"text": SAID}}},
    {"text": SAID, "who": "ana"},
    {"message": {"body": SAID, "id": "1"}},
    {"ticket_number": 7, "reply": {"content": SAID}},
    [{"message": {"body": SAID}}],
)
#: Known to be no message, although words stand in it.
NOISE: dict[str, tuple[Any, ...]] = {
    "discourse": ({"category": {"id": 1, "description": "What we sell"}}, {"user": {"id": 1, "title": "x"}}),
    "google_chat": (
        {"type": "ADDED_TO_SPACE", "message": {"text": "hi"}},
        {"chat": {"addedToSpacePayload": {"x": 1}}},
    ),
    "livechat": (
        {"action": "chat_deactivated", "payload": {"text": "x"}},
        {"action": "incoming_event", "payload": {"event": {"type": "system_message", "text": "left"}}},
    ),
    "dialpad": ({"state": "ringing", "call_id": 1},),
    "ringcentral": (
        {"event": "/presence", "body": {"presenceStatus": "Busy", "type": "x", "message": "At lunch"}},
        {"event": "/message-store", "body": {"changes": [{"type": "SMS", "newCount": 1}]}},
    ),
    "plain": (
        {"type": "thread.slack_message_updated", "payload": {"changeType": "REACTIONS_CHANGED", "text": "x"}},
    ),
    "postal": ({"event": "MessageSent", "payload": {"message": {"subject": "x"}}},),
    "sendgrid": ([{"event": "delivered", "subject": "x"}],),
    "mailgun": ({"event-data": {"event": "opened", "message": {"body": "x"}}},),
    "sparkpost": ([{"msys": {"message_event": {"subject": "x"}}}],),
}
#: Whose own sample holds nothing that a person wrote: ids to look words up by, calls.
WORDLESS = frozenset({"dialpad", "fireflies", "gong", "graph", "productboard", "zoom"})


def outcome(name: str, payload: Any) -> list[Parsed]:
    adapter = build(name)
    headers = {key.lower(): value for key, value in adapter.sample(serial=1, now_s=NOW_S).headers.items()}
    headers["content-type"] = "application/json"
    return list(parse_or_park(adapter, Inbound(orjson.dumps(payload), headers, "POST", "/hooks/x"), NOW_S))


def test_a_whatsapp_message_of_a_new_type_is_kept_where_it_holds_words() -> None:
    said = {"from": "2", "id": "m", "timestamp": "1795860000", "type": "poll"}
    for poll, kept in ({"question": "Which day?"}, True), ({"id": "p"}, False):
        value = {"metadata": {"phone_number_id": "1"}, "messages": [{**said, "poll": poll}]}
        (found,) = outcome("whatsapp", {"entry": [{"changes": [{"value": value}]}]})
        assert isinstance(found, Parked) if kept else (isinstance(found, Event) and found.empty == "no_text")


def test_what_a_token_holds_is_looked_into() -> None:
    adapter = build("dialpad")
    sample = adapter.sample(serial=1, now_s=NOW_S)
    for payload, kept in (
        ({"odd": {"text": SAID}}, True),
        ({"id": None, "text": SAID}, True),
        ({"odd": 1}, False),
    ):
        signed = adapter.sign(Sample(orjson.dumps(payload), sample.headers), now_s=NOW_S, url="https://x")
        inbound = Inbound(signed.body, dict(signed.headers), "POST", "/hooks/x")
        adapter.verify(inbound, now_s=NOW_S)
        (found,) = parse_or_park(adapter, inbound, NOW_S)
        assert isinstance(found, Parked if kept else Skipped), payload
        assert not kept or (isinstance(found, Parked) and "dialpad" in found.cause)


def overlooked(found: list[Parsed]) -> str:
    """What became of words that were neither kept, nor relayed, nor said to be missing; "" where all is well."""
    for one in found:
        if isinstance(one, Skipped):
            return f"skipped: {one.reason}"
        if isinstance(one, Event) and not (one.text or one.html or one.attachments or one.empty):
            return f"an event without them: {one.kind}"
    return "" if found else "nothing"


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_a_message_of_an_unknown_shape_is_kept(name: str) -> None:
    for payload in SHAPES:
        found = outcome(name, payload)
        assert overlooked(found) == "", payload
        assert all(
            isinstance(one, Parked) or one.text == SAID or one.empty
            for one in found
            if isinstance(one, (Parked, Event))
        )


@pytest.mark.parametrize("name", sorted(ADAPTERS.keys() - WORDLESS))
def test_the_samples_words_are_not_lost_whichever_key_has_another_name(name: str) -> None:
    for sample in build(name).sample_thread(serial=1, now_s=NOW_S):
        try:
            payload = orjson.loads(sample.body)
        except orjson.JSONDecodeError:
            return  # a form or XML
        for path in paths(payload):
            if not path or not isinstance(path[-1], str):
                continue
            other = renamed(payload, path)
            if is_worded(other):
                assert overlooked(outcome(name, other)) == "", path


def renamed(payload: Any, path: tuple[Any, ...]) -> Any:
    """The payload with another name for the key at this path."""
    changed = payload.copy()
    if len(path) > 1:
        changed[path[0]] = renamed(payload[path[0]], path[1:])
    else:
        changed["renamed_key"] = changed.pop(path[0])
    return changed


def test_what_is_known_to_be_no_message_is_skipped() -> None:
    for name, payloads in NOISE.items():
        for payload in payloads:
            assert all(isinstance(one, Skipped) for one in outcome(name, payload)), (name, payload)


def test_xml_with_words_is_kept_and_other_xml_is_refused() -> None:
    adapter = build("salesforce")
    envelope = "<e:Envelope xmlns:e='x'><e:Body><odd><{0}>The export fails.</{0}></odd></e:Body></e:Envelope>"
    worded, other = (
        Inbound(envelope.format(tag).encode(), {"content-type": "text/xml"}) for tag in ("message", "code")
    )
    (kept,) = parse_or_park(adapter, worded, NOW_S)
    assert isinstance(kept, Parked)
    with pytest.raises(PayloadInvalid):
        parse_or_park(adapter, other, NOW_S)


def test_a_jira_rules_template_that_broke_its_json_is_kept_and_jiras_own_is_refused() -> None:
    body = b'{"issue": {"key": "EX-7"}, "comment": "She said "no" twice."}'
    (kept,) = parse_or_park(build("jira"), Inbound(body, {}), NOW_S)
    assert isinstance(kept, Parked)
    assert "not escaped" in kept.cause
    mended = body.replace(b'"no"', b"'no'").replace(b" twice", b"\ntwice")
    (found,) = parse_or_park(build("jira"), Inbound(mended, {}), NOW_S)
    assert isinstance(found, Event)
    assert found.text == "She said 'no'\ntwice."
    with pytest.raises(PayloadInvalid):
        parse_or_park(build("jira"), Inbound(body, {"x-atlassian-webhook-identifier": "1"}), NOW_S)
