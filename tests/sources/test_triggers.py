"""What an administrator's template may look like: names of the text, broken JSON, authors."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import PayloadInvalid
from relay.event import Event
from relay.sources.base import Inbound, Parked, Parsed, Skipped
from relay.sources.read.lenient import parse_lenient
from tests.growth import assert_in_step
from tests.sources.test_every_source import NOW_S, build

SAID = "Row 12 has two dates."


def parse(name: str, body: Any, **options: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    (found,) = build(name, privacy="as_told", **options).parse(
        Inbound(raw, {"content-type": "application/json"}), now_s=NOW_S
    )
    return found


def event(name: str, body: Any, **options: Any) -> Event:
    found = parse(name, body, **options)
    assert isinstance(found, Event), found
    return found


NAMES: tuple[dict[str, Any], ...] = (
    {"latest_comment": SAID},
    {"latest_public_comment": SAID},
    {"Latest Comment": SAID},
    {"ticket.latest_comment": SAID},
    {"latest_comment_html": f"<p>{SAID}</p>"},
    {"latest_comment_formatted": f"<div class='zd-comment'>{SAID}</div>"},
    {"latest_public_comment_html": f"<p>{SAID}</p>"},
    {"latest_public_comment_formatted": f"<p>{SAID}</p>"},
    {"latest_public_comment_rich": f"<p>{SAID}</p>"},
    {"ticket": {"comment": {"body": SAID}}},
    {"ticket": {"latest_comment": {"body": SAID}}},
    {"ticket": {"latest_comment": SAID}},
    {"ticket": {"latest_public_comment_html": f"<b>{SAID}</b>"}},
    {"comment": {"html_body": f"<p>{SAID}</p>"}},
    {"comment": {"body": SAID, "author": {"name": "Sam Support"}}},
    {"comment": {"value": SAID}},
    {"reply": {"body_text": SAID}},
    {"reply": SAID},
    {"note": {"body": SAID}},
    {"data": {"ticket": {"comment": {"body": SAID}}}},
    {"message": SAID},
    {"body": SAID},
    {"bodyHtml": f"<p>{SAID}</p>"},
)


@pytest.mark.parametrize("name", ["zendesk", "freshdesk"])
@pytest.mark.parametrize("said", NAMES, ids=str)
def test_the_text_is_found_under_any_name_two_levels_deep(name: str, said: dict[str, Any]) -> None:
    found = event(name, {"ticket_id": "7301", "title": "Import fails", **said})
    assert (found.kind, found.thread, found.text) == ("ticket.commented", "7301", SAID)
    assert SAID in found.html
    assert found.empty == ""


def test_a_trigger_without_any_text_says_so() -> None:
    assert event("zendesk", {"ticket_id": 7, "title": "x"}).empty == "trigger"
    assert event("freshdesk", {"ticket_id": 7, "triggered_event": "{note_type:public}"}).empty == "trigger"
    # A change of state has no words to miss.
    assert event("freshdesk", {"ticket_id": 7, "triggered_event": "{status:{from:2,to:4}}"}).empty == ""


def test_a_comment_of_a_picture_alone_is_one() -> None:
    picture = {
        "file_name": "row.png",
        "content_url": "https://z.example/row.png",
        "content_type": "image/png",
    }
    payload = {"ticket_id": 7, "latest_comment": "", "attachments": [picture]}
    found = event("zendesk", payload)
    assert (found.kind, [file.name for file in found.attachments]) == ("ticket.commented", ["row.png"])
    assert found.remarks
    strictly = build("zendesk").parse(Inbound(orjson.dumps(payload), {}), now_s=NOW_S)
    assert strictly == [Skipped("privacy_unsaid")], "the note that it belongs to may be private"


def test_a_flag_is_no_text_and_angle_brackets_are_no_tags() -> None:
    assert (
        event("zendesk", {"ticket_id": 7, "public_comment": "true", "body": "a <two> b"}).text == "a <two> b"
    )
    assert event("zendesk", {"ticket_id": 7, "body": "a <two> b"}).html == "a &lt;two&gt; b"


@pytest.mark.parametrize("name", ["zendesk", "freshdesk", "gorgias", "servicenow", "generic"])
def test_json_that_a_line_break_or_a_tab_broke_is_read(name: str) -> None:
    body = b'{"ticket_id": 7, "number": 7, "is_public": true, "comment": "first line\r\nsecond\tline", "priority": ,}'
    found = event(name, body)
    assert found.text.split() == ["first", "line", "second", "line"]
    assert "\n" in found.text


def test_json_that_may_be_meant_in_two_ways_is_parked() -> None:
    assert isinstance(parse("zendesk", b'{"ticket_id": 7, "comment": "she said "no" twice"}'), Parked)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_sound_json_is_read_as_it_stands(value: Any) -> None:
    assert parse_lenient(orjson.dumps(value)) == value


@given(JSON, st.sampled_from(["\n", "\r\n", "\t", "\x01"]))
def test_raw_control_characters_are_read_as_what_they_are(value: Any, mark: str) -> None:
    body = orjson.dumps({"a": f"x{mark}y", "b": value})
    escaped = orjson.dumps(f"x{mark}y")
    assert parse_lenient(body.replace(escaped, f'"x{mark}y"'.encode())) == {"a": f"x{mark}y", "b": value}


@given(st.binary(max_size=200))
def test_whatever_comes_is_json_or_refused(body: bytes) -> None:
    with suppress(PayloadInvalid):
        orjson.dumps(parse_lenient(body))


@pytest.mark.parametrize("unit", [b'"', b'{"a":"', b"\\", b", ", b": ", b'"\\'])
def test_mending_takes_linear_time(unit: bytes) -> None:
    def took_s(count: int) -> float:
        began = time.process_time()
        with pytest.raises(PayloadInvalid):
            parse_lenient(b'{"a": "' + unit * count)
        return time.process_time() - began

    assert_in_step(took_s, 40_000, slack_s=0.02)


# ---- authors -----------------------------------------------------------------------------------------------

REQUESTER = {"requester_name": "Kim Example", "requester_email": "kim@customer.example.com"}


def test_freshdesks_words_are_a_named_authors_or_nobodys() -> None:
    reply = {
        "freshdesk_webhook": {
            **REQUESTER,
            "triggered_event": "{reply_sent:1}",
            "ticket_id": "77",
            "ticket_agent_name": "Sam Support",
            "ticket_agent_email": "sam@example.com",
            "ticket_latest_public_comment": "It is still broken.",
        }
    }
    found = event("freshdesk", reply)
    assert (found.text, found.sender.name, found.sender.email) == ("It is still broken.", "", "")
    assert found.ticket.assignee == "sam@example.com"
    assert [(one.name, one.role) for one in found.recipients] == [("Kim Example", "participant")]
    reply["freshdesk_webhook"]["comment_author"] = "Kim Example"
    assert event("freshdesk", reply).sender.name == "Kim Example"


def test_zendesks_comment_is_not_put_into_the_requesters_mouth() -> None:
    comment = {"ticket_id": 7, "latest_public_comment": "We found it.", **REQUESTER}
    assert event("zendesk", comment).sender.name == ""
    assert event("zendesk", {**comment, "current_user_name": "Sam Support"}).sender.name == "Sam Support"
    assert event("zendesk", {**comment, "type": "End User Comment"}).sender.name == "Kim Example"
    assert (
        event("zendesk", {"ticket_id": 7, "description": "It fails", **REQUESTER}).sender.name
        == "Kim Example"
    )


def test_a_survey_is_a_line_with_its_remark() -> None:
    survey = {
        "ticket_id": 7,
        "triggered_event": "{feedback:103}",
        "survey_rating": "Happy",
        "feedback": "Quick!",
    }
    found = event("freshdesk", {**survey, **REQUESTER})
    assert (found.kind, found.text, found.sender.name) == (
        "ticket.commented",
        "Rating Happy: Quick!",
        "Kim Example",
    )
