"""What chats and calls tell beside the text: tables, cards, pictures, files that are taken out, conversations that are removed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relay.sources.base import Inbound, Skipped
from tests.sources.test_every_source import NOW_S, build
from tests.sources.test_told_apart import one_conversation, told

# ---- Slack -------------------------------------------------------------------------------------------------


def slack(event: dict[str, Any], n: int = 1) -> dict[str, Any]:
    ts = f"177260040{n}.000100"
    return {
        "type": "event_callback",
        "team_id": "T7",
        "event_id": f"Ev{n}",
        "event": {"type": "message", "channel": "C7", "user": "U7ANA", "ts": ts, "event_ts": ts, **event},
    }


def cell(text: str) -> dict[str, Any]:
    return {"type": "raw_text", "text": text}


TABLE = {
    "type": "table",
    "rows": [[cell("Plan"), cell("Seats")], [cell("Pro"), {"type": "raw_number", "value": 12}]],
}
RICH = {
    "type": "rich_text",
    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "ours"}]}],
}


@pytest.mark.parametrize(
    "beside",
    [
        {"blocks": [RICH, TABLE]},
        {"attachments": [{"id": 1, "blocks": [TABLE], "fallback": "[no preview available]"}]},
        {"blocks": [RICH, {**TABLE, "type": "data_table", "caption": "Plan"}]},
    ],
    ids=["blocks", "attachment", "data_table"],
)
def test_a_table_that_a_person_pasted_stands_below_the_text(beside: dict[str, Any]) -> None:
    (found,) = told("slack", slack({"text": "ours", "client_msg_id": "m", **beside}))
    lines = found.text.split("\n")
    assert (lines[0], lines[-2:]) == ("ours", ["Plan | Seats", "Pro | 12"])
    assert "preview" not in found.text


def test_the_blocks_of_programs_say_what_they_hold() -> None:
    def text(words: str) -> dict[str, Any]:
        return {"type": "mrkdwn", "text": words}

    card = {"type": "card", "title": text("Case 7"), "subtitle": text("open"), "body": text("It fails.")}
    blocks = [
        {"type": "carousel", "elements": [card]},
        {
            "type": "plan",
            "title": "Steps",
            "tasks": [{"type": "task_card", "title": "Look", "details": RICH}],
        },
        {"type": "actions", "elements": [{"type": "button", "text": text("Press")}]},
    ]
    (found,) = told("slack", slack({"bot_id": "B1", "text": "", "blocks": blocks}), keep=frozenset({"bots"}))
    assert found.text.split("\n") == ["Case 7", "open", "It fails.", "Steps", "Look", "ours"]


def changed(message: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    base = {"type": "message", "user": "U7ANA", "ts": "1772600401.000100"}
    return slack(
        {
            "subtype": "message_changed",
            "message": {**base, **message},
            "previous_message": {**base, **before},
        },
        2,
    )


def test_a_file_that_is_taken_out_of_a_message_is_gone() -> None:
    log = {"id": "F1", "name": "log.txt", "permalink": "https://files.example.com/log.txt", "mode": "hosted"}
    sent = slack({"text": "see the log", "files": [log]})
    gone = changed(
        {"text": "see the log", "files": [{"id": "F1", "mode": "tombstone"}]},
        {"text": "see the log", "files": [log]},
    )
    assert "log.txt" in one_conversation("slack", sent)["description"]
    found = one_conversation("slack", sent, gone)["description"]
    assert "see the log" in found
    assert "log.txt" not in found


def test_words_that_changed_without_a_mark_are_an_edit_and_a_preview_is_none() -> None:
    (edit,) = told("slack", changed({"text": "two"}, {"text": "one"}))
    assert (edit.kind, edit.text) == ("message.updated", "two")
    preview = {"from_url": "https://x.example", "title": "X", "text": "x"}
    quoted = {"is_msg_unfurl": True, "author_name": "Sam", "text": "earlier"}
    for attachments in ([preview], [quoted]):
        assert told("slack", changed({"text": "one", "attachments": attachments}, {"text": "one"})) == [
            Skipped("unfurl")
        ]


# ---- Teams -------------------------------------------------------------------------------------------------


def teams(**more: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "id": "1772600400123",
        "timestamp": "2026-03-04T05:00:00.123Z",
        "from": {"id": "29:abc", "name": "Ana Example"},
        "conversation": {"id": "19:room@thread.tacv2;messageid=1"},
        **more,
    }


def test_a_pasted_picture_without_a_name_arrives_once() -> None:
    picture = {"contentType": "image/*", "contentUrl": "https://smba.example/v3/attachments/1/views/imgo"}
    (found,) = told("teams", teams(text="", attachments=[picture]))
    assert [(file.name, file.url) for file in found.attachments] == [("image", picture["contentUrl"])]
    html = {"contentType": "text/html", "content": '<p>see</p><img alt="image" src="https://g.example/1">'}
    (found,) = told("teams", teams(text="see", attachments=[picture, html]))
    assert (found.attachments, found.html.count("<img")) == ((), 1)


def test_cards_and_announcements_say_what_they_show() -> None:
    def attachment(form: str, content: dict[str, Any]) -> dict[str, Any]:
        return {"contentType": form, "content": orjson.dumps(content).decode()}

    rich = {"type": "RichTextBlock", "inlines": ["Due ", {"type": "TextRun", "text": "today"}]}
    cards = [
        attachment("application/vnd.microsoft.card.adaptive", {"type": "AdaptiveCard", "body": [rich]}),
        attachment(
            "application/vnd.microsoft.teams.card.o365connector",
            {"sections": [{"activityTitle": "Case 7", "facts": [{"name": "State", "value": "open"}]}]},
        ),
        attachment(
            "application/vnd.microsoft.teams.messaging-announcementBanner",
            {"title": "Outage", "subTitle": "since 9"},
        ),
    ]
    (found,) = told("teams", teams(text="hi", attachments=cards))
    assert found.text.split("\n") == ["hi", "Due today", "Case 7", "State", "open", "Outage", "since 9"]


def test_a_cards_code_stands_as_it_is_and_its_choices_as_they_are_read() -> None:
    body = [
        {"type": "TextBlock", "text": "Which plan?"},
        {"type": "CodeBlock", "language": "Html", "codeSnippet": "<p>one</p>\n  two < three\n"},
        {
            "type": "Input.ChoiceSet",
            "id": "plan",
            "label": "Pick one",
            "value": "p-2",
            "choices": [{"title": "Small", "value": "p-1"}, {"title": "Large", "value": "p-2"}, None],
        },
        {"type": "Input.Toggle", "title": "Yearly", "value": "true"},
        {"type": ["Input.Toggle"], "text": "odd"},
        {"type": "FactSet", "facts": [{"title": "Seats", "value": "12"}]},
    ]
    card = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": {"type": "AdaptiveCard", "body": body},
    }
    (found,) = told("teams", teams(text="hi", attachments=[card]))
    assert found.text.split("\n") == [
        *("hi", "Which plan?", "<p>one</p>", "  two < three", "Pick one", "Yearly", "odd"),
        *("Small", "Large", "Seats", "12"),
    ]
    assert "&lt;p&gt;one&lt;/p&gt;" in found.html


# ---- A conversation that is removed as a whole -------------------------------------------------------------


def test_a_removed_conversation_is_archived() -> None:
    said = build("crisp").sample(serial=1, now_s=NOW_S).body
    session = orjson.loads(said)["data"]["session_id"]
    removed = {
        "event": "session:removed",
        "data": {"session_id": session},
        "timestamp": int((NOW_S + 60) * 1000),
    }
    found = one_conversation("crisp", said, removed)
    assert found["archived"] is True
    form = {"content-type": "application/x-www-form-urlencoded"}
    added = b"EventType=onMessageAdded&ConversationSid=CH1&MessageSid=IM1&Author=ana&Body=hello&DateCreated=2026-03-04T05%3A00%3A00Z"
    gone = b"EventType=onConversationRemoved&ConversationSid=CH1&DateRemoved=2026-03-04T06%3A00%3A00Z"
    assert one_conversation("twilio", added, gone, headers=form)["archived"] is True
    message = (
        b"EventType=onMessageRemoved&ConversationSid=CH1&MessageSid=IM1&DateRemoved=2026-03-04T06%3A00%3A00Z"
    )
    other = added.replace(b"IM1", b"IM2").replace(b"hello", b"bye")
    kept = one_conversation("twilio", added, other, message, headers=form)
    assert (kept["archived"], "bye" in kept["description"], "hello" in kept["description"]) == (
        False,
        True,
        False,
    )


# ---- Calls -------------------------------------------------------------------------------------------------


def test_a_calls_outline_arrives() -> None:
    body = orjson.loads(build("gong").sample(serial=1, now_s=NOW_S).body)
    body["callData"]["content"] = {
        "outline": [{"section": "Plans", "items": [{"startTime": 1, "text": "A second team."}]}]
    }
    (found,) = told("gong", body)
    assert found.text == "Plans:\n- A second team."


def test_the_newest_comment_of_a_call_is_the_one_that_was_made() -> None:
    comments = [
        {"id": 2, "content": "second", "posted_at": 20},
        {"id": 1, "content": "first", "posted_at": 10},
    ]
    body = {
        "resource": "call",
        "event": "call.commented",
        "timestamp": 30,
        "data": {"id": 7, "comments": comments},
    }
    (found,) = told("aircall", body)
    assert (found.text, found.message_id) == ("second", "comment-2")


def aircall(event: str, **data: Any) -> dict[str, Any]:
    resource = "message" if "message" in event else event.partition(".")[0]
    return {"resource": resource, "event": event, "timestamp": 1772600400, "data": data}


def test_a_group_of_aircalls_is_one_conversation_whoever_writes_in_it() -> None:
    group = {"group_conversation_id": "G-1", "participants": ["15550101", "15550102"], "body": "hi"}
    line = {"id": 99, "digits": "+1 555 010 0199"}
    sent: list[tuple[str, dict[str, Any]]] = [
        ("group_message.received", {**group, "external_number": "+15550101"}),
        ("group_message.received", {**group, "external_number": "+15550102"}),
        ("group_message.sent", group),
        ("group_message.sent", {**group, "group_conversation_id": "G-2"}),
        ("message.received", {"body": "hi", "external_number": "+15550101"}),
    ]
    threads = [
        told("aircall", aircall(event, id=f"m-{n}", number=line, **held))[0].thread
        for n, (event, held) in enumerate(sent)
    ]
    assert threads == ["G-1", "G-1", "G-1", "G-2", "+15550101:99"]


@pytest.mark.parametrize(
    "answers",
    [
        {"question": ["Your name?", "Topic"], "answer": ["Ana Example", "Export"]},
        {"Your name?": "Ana Example", "Topic": "Export", "Left out": None},
    ],
)
def test_what_a_caller_answered_to_aircalls_voice_agent_arrives(answers: dict[str, Any]) -> None:
    (found,) = told("aircall", aircall("ai_voice_agent.summary", id=7, call_id=7, extracted_data=answers))
    assert (found.thread, found.kind) == ("7", "message.created")
    assert found.text == "Answers:\n- Your name? Ana Example\n- Topic: Export"


def test_a_voice_agents_comings_and_goings_are_skipped() -> None:
    adapter = build("aircall")
    told_of: list[tuple[str, dict[str, Any], str]] = [
        ("ai_voice_agent.ended", {"call_end_reason": "answered"}, "type"),
        ("ai_voice_agent.summary", {"extracted_data": ["odd"]}, "thin"),
    ]
    for event, held, why in told_of:
        body = orjson.dumps(aircall(event, id=7, call_id=7, **held))
        assert adapter.parse(Inbound(body, {}), now_s=NOW_S) == [Skipped(why)]


# ---- WhatsApp by Twilio ------------------------------------------------------------------------------------


def test_the_answers_of_a_whatsapp_form_arrive() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b"MessageSid=SM1&From=whatsapp:%2B1555&To=whatsapp:%2B1666&InteractiveData=%7B%22city%22%3A%22Rome%22%2C%22seats%22%3A3%7D"
    (found,) = told("twilio", body, headers=form)
    assert found.text == "city: Rome\nseats: 3"
    (broken,) = told("twilio", body.replace(b"3%7D", b"3"), headers=form)
    assert "Rome" in broken.text


# ---- WhatsApp ----------------------------------------------------------------------------------------------


def whatsapp(*messages: dict[str, Any]) -> dict[str, Any]:
    value = {
        "metadata": {"phone_number_id": "PN-1"},
        "contacts": [
            {"profile": {"name": "Ana Example"}, "wa_id": "15550101"},
            {"profile": {"name": "Kim Example"}, "wa_id": "15550102"},
        ],
        "messages": [
            {"from": "15550101", "id": f"wamid.{n}", "timestamp": "1772600775", **one}
            for n, one in enumerate(messages)
        ],
    }
    return {"entry": [{"changes": [{"field": "messages", "value": value}]}]}


def reply(form: str, **held: Any) -> dict[str, Any]:
    return {"type": "interactive", "interactive": {"type": form, form: held}}


def test_a_form_that_was_filled_in_says_what_was_answered() -> None:
    answers = {
        "flow_token": "f-1",
        "city": "Rome",
        "days": ["Mon", "Tue"],
        "seats": 3,
        "news": False,
        "x": None,
    }
    found = told(
        "whatsapp",
        whatsapp(
            reply("nfm_reply", name="flow", body="Sent", response_json=orjson.dumps(answers).decode()),
            reply("nfm_reply", name="flow", body="Sent", response_json='{"flow_token": "f-1"}'),
            reply("nfm_reply", name="flow", body="Sent", response_json='{"city": "Ro'),
            reply(
                "nfm_reply",
                name="address_message",
                body="Main street 1",
                response_json='{"values": {"zip": "1"}}',
            ),
            reply("call_permission_reply", response="accept", is_permanent=False),
        ),
    )
    assert [event.text for event in found] == [
        "city: Rome\ndays: Mon, Tue\nseats: 3\nnews: no",
        "Sent",
        '{"city": "Ro',
        "Main street 1",
        "Call permission: accept",
    ]


def test_a_group_is_one_conversation_whoever_writes_in_it() -> None:
    group = {"type": "text", "text": {"body": "hi"}, "group_id": "G-1"}
    alone = {"type": "text", "text": {"body": "hi"}}
    found = told("whatsapp", whatsapp(group, {**group, "from": "15550102"}, alone))
    assert [event.thread for event in found] == ["PN-1-G-1", "PN-1-G-1", "PN-1-15550101"]
    assert [event.sender.name for event in found] == ["Ana Example", "Kim Example", "Ana Example"]
