"""Every string that a person wrote into a payload stands in the conversation that comes of it, or here, with a reason.

Run over our own payloads, and over those that lie beside the repository. `WHY` says by adapter which paths of a payload
are not looked for; a path that is looked for nowhere any more is no longer needed, and fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from relay.errors import PayloadInvalid
from relay.event import Event
from relay.rules.examples import read_headers
from relay.sources.base import Adapter, Inbound, Parked, Skipped
from relay.sources.registry import ADAPTERS
from tests.places import PAYLOADS
from tests.sources.test_every_source import KEEP_ALL, NOW_S, build
from tests.sources.test_fixtures import INDEX, adapter_name, adapter_of, inbound_of
from tests.sources.words import book_of, conversations, missing, outcome, payload_of

EARLIER = "told by an event of its own; here it only stands beside what happened"
QUOTED = "the quotation of an earlier mail is cut, and so is what the provider took it from"
TRANSPORT = "how the mail came, not what it says"
REPEATED = "a shorter copy of words that are there"
STATE = "the provider's own words for a state or a kind"
HIDDEN = "not for the customer's eyes"
GONE = "taken away or replaced by this very event"
RECIPIENTS = "recipients stand in the event; the default rules write the sender"

MAIL = {
    "*eaders*": TRANSPORT,
    "*Content-Type*": TRANSPORT,
    "*ContentType": TRANSPORT,
    "*spam_report": TRANSPORT,
    "*Content": TRANSPORT,
    "*Raw*": "the whole mail once more, as it came",
    "*text": QUOTED,
    "*html": QUOTED,
    "*plain": QUOTED,
    "*Body": QUOTED,
    "*StrippedTextReply": "the provider's cut of quotations is unreliable: ours is taken",
    "*Date": TRANSPORT,
    "To": RECIPIENTS,
    "Cc": RECIPIENTS,
    "Bcc": RECIPIENTS,
    "*[[]].to": RECIPIENTS,
    "to": RECIPIENTS,
    "cc": RECIPIENTS,
    "*recipients.*.raw": RECIPIENTS,
    "*msg.*[[]][[]]": RECIPIENTS,
    "*data.raw": "the whole mail once more, as it came",
    "*email_rfc822": "the whole mail once more, as it came",
    "message": "the whole mail, as it came",
    "*-part": QUOTED,
    "*_body": QUOTED,
    "items[[]].Subject": "the thread's first mail names the conversation",
}

#: adapter -> path of the payload (with * and ?) -> why its words are not looked for.
WHY: dict[str, dict[str, str]] = {
    **dict.fromkeys(("cloudmailin", "mailgun", "postmark", "sendgrid"), MAIL),
    **dict.fromkeys(("brevo", "mailersend", "mailjet", "mandrill", "postal", "sparkpost"), MAIL),
    "ses": {"Subject": "Amazon's own subject of each notification"},
    "aircall": {"data.comments[[]].content": "an earlier comment: each is told when it is made"},
    "freshdesk": {"freshdesk_webhook.ticket_description": EARLIER},
    "discourse": {"post.*": GONE, "chat_message.message.*": GONE, "chat_message.channel.title": GONE},
    "fireflies": {"eventType": STATE},
    "front": {
        "conversation.last_message.*": EARLIER,
        "source.data.actions[[]]": "what a rule of the help desk did",
    },
    "generic": {"[[]].data": "a link's markup within a sentence"},
    "gorgias": {
        "ticket.messages[[]].body_text": "the earlier messages of the ticket, an internal note among them"
    },
    "google_chat": {"*message.text": "the words without the mention of the app stand there"},
    "groove": {"summary": EARLIER, "last_message*": EARLIER},
    "helpscout": {
        "_embedded.threads[[]].body": EARLIER,
        "_embedded.threads[[]]._embedded.attachments[[]].filename": EARLIER,
        "preview": REPEATED,
        "customerWaitingSince.friendly": STATE,
    },
    "intercom": {"data.item.source.body": EARLIER, "data.item.conversation_message.body": EARLIER},
    "jira": {
        "*attachment[[]].filename": EARLIER,
        "issue.fields.description*": EARLIER,
        "issue.fields.comment.comments[[]].body": EARLIER,
        "issue.fields.*.description": STATE,
        "issue.fields.customfield_*": "fields of the tenant's own: a rule may write them",
        "changelog.items[[]].fromString": STATE,
        "comment.body": "a deleted comment's words, or the marks of a picture that is listed",
    },
    "linear": {"updatedFrom.*": GONE, "data.body": GONE, "data.description": EARLIER},
    "missive": {
        "rule.description": "the name of the rule that sends",
        "conversation.latest_message_subject": REPEATED,
    },
    "pipedrive": {"previous.*": GONE},
    "plain": {
        "payload.*hread.previewText": EARLIER,
        "payload.thread.title": "stands with the messages; a deletion writes nothing",
        "payload.slackMessage.text": "the same with its mentions resolved stands there",
    },
    "servicenow": {"work_notes": HIDDEN},
    "slack": {
        "event.previous_message.*": GONE,
        "event.message.text": "Slack's own words for a deleted message",
        "event.root.text": EARLIER,
        "event.attachments[[]].fallback": REPEATED,
        "event.attachments[[]].footer": "where the forwarded message stands",
        "event.attachments[[]].title": "a link's preview, not the writer's words",
        "event.attachments[[]].text": "a link's preview, not the writer's words",
        "event.blocks[[]].alt_text": "stands beside the picture's title",
        "event.text": "a group's id, where it is named",
    },
    "twilio": {"[[]].Body": GONE, "[[]].FromCity": STATE},
    "zendesk": {
        "subject": "the event's own path, zen:ticket:N",
        "detail.description": EARLIER,
        "type": "the trigger's own name for itself",
        "tags": "tags stand one by one",
    },
}

#: Requests whose events have neither text nor attachment, and why.
EMPTY: dict[str, str] = {
    "fireflies/first_version.json": "look_up",
    "fireflies/summarized.json": "look_up",
    "fireflies/transcribed.json": "look_up",
    "freshdesk/automation_public_note.json": "trigger",
    "generic/empty_message.json": "no_text",
    "graph/batch.json": "look_up",
    "helpscout/tiny.json": "look_up",
    "hubspot/batch.json": "look_up",
    "hubspot/object_tickets.json": "look_up",
    "hubspot/one_bad_item.json": "look_up",
    "hubspot/tickets.json": "look_up",
    "hubspot/conversation_new_message.json": "look_up",
    "msgraph/change_notification.json": "look_up",
    "productboard/created.json": "look_up",
    "productboard/updated.json": "look_up",
    "resend/email_received.json": "look_up",
    "resend/email_received_fields.json": "look_up",
    "ses/received_s3.json": "look_up",
    "ses_sns/received_s3_reference.json": "look_up",
    "email_mime/missing_body.eml": "no_text",
    "cloudevents/binary_mode.json": "no_text",
    "cloudevents/structured_json.json": "no_text",
    "zendesk/trigger_custom_json.json": "trigger",
    "zendesk/trigger_without_text.json": "trigger",
}


def ours() -> Iterator[tuple[str, str, Path]]:
    for name in sorted(ADAPTERS):
        for file in sorted((PAYLOADS / name).glob("*")):
            if file.suffix not in (".headers", ".eml"):
                yield name, f"{name}/{file.name}", file


OURS = list(ours())


def request_of(name: str, file: Path) -> tuple[Adapter, Inbound]:
    more: dict[str, Any] = {"keep": KEEP_ALL} if file.name.startswith("keep_") else {}
    if file.name.startswith("rule_"):
        more["scheme"] = "rule"
    adapter = build(name, **more)
    headers = dict(adapter.sample(serial=1, now_s=NOW_S).headers)
    if file.suffix == ".form":
        headers["content-type"] = "application/x-www-form-urlencoded"
    elif file.suffix == ".multipart":
        headers["content-type"] = ""
    beside = file.with_suffix(".headers")
    if beside.exists():
        headers |= read_headers(beside.read_text(encoding="utf-8"))
    headers = {key.lower(): value for key, value in headers.items()}
    return adapter, Inbound(file.read_bytes(), headers, "POST", f"/hooks/my-{name}")


@cache
def told_by(label: str) -> tuple[list[Event], Any, tuple[tuple[str, str], ...]]:
    """The events of a request, its payload, and what of it stands in no conversation."""
    if label.startswith("fixtures:"):
        item = next(one for one in INDEX if one["file"] == label.removeprefix("fixtures:"))
        name, adapter, request = adapter_name(item), adapter_of(item), inbound_of(item)
    else:
        name, _, file = next(one for one in OURS if one[1] == label)
        adapter, request = request_of(name, file)
    try:
        found = outcome(adapter, request)
    except PayloadInvalid:
        return [], None, ()
    if not isinstance(found, list):
        return [], None, ()
    events = [one for one in found if isinstance(one, Event)]
    assert all(isinstance(one, (Event, Skipped, Parked)) for one in found)
    payload = payload_of(request.body, found)
    lost = tuple(missing(payload, conversations(events, book_of(name)))) if events else ()
    return events, payload, lost


def reason(name: str, path: str) -> str:
    return next((pattern for pattern in WHY.get(name, {}) if fnmatchcase(path, pattern)), "")


def check(name: str, label: str) -> None:
    events, _, lost = told_by(label)
    unexplained = [(path, text[:80]) for path, text in lost if not reason(name, path)]
    assert not unexplained, f"{label}: words that do not arrive"
    empty = {event.empty for event in events if event.empty}
    assert empty == ({EMPTY[key]} if (key := label.removeprefix("fixtures:")) in EMPTY else set()), label


@pytest.mark.parametrize(
    ("name", "label"), [(name, label) for name, label, _ in OURS], ids=[one[1] for one in OURS]
)
def test_the_words_of_our_payloads_arrive(name: str, label: str) -> None:
    check(name, label)


@pytest.mark.skipif(not INDEX, reason="the payloads are not beside this repository")
@pytest.mark.parametrize("item", [pytest.param(item, id=item["file"]) for item in INDEX])
def test_the_words_of_others_payloads_arrive(item: dict[str, Any]) -> None:
    check(adapter_name(item), f"fixtures:{item['file']}")


@pytest.mark.parametrize("label", [one[1] for one in OURS])
def test_every_conversation_has_a_subject_of_one_plain_line(label: str) -> None:
    events, _, _ = told_by(label)
    spoken = [event for event in events if event.kind != "message.deleted"]
    for told in conversations(spoken, book_of(label.partition("/")[0])):
        assert told["subject"].strip(), told
        assert not set("\n\r`") & set(told["subject"]), told["subject"]
        assert "**" not in told["subject"]


def test_no_reason_stands_for_nothing() -> None:
    """A reason is needed by some payload, of ours or of others."""
    labels = [(name, label) for name, label, _ in OURS]
    labels += [(adapter_name(item), f"fixtures:{item['file']}") for item in INDEX]
    needed = {(name, reason(name, path)) for name, label in labels for path, _ in told_by(label)[2]}
    if INDEX:
        for name, table in WHY.items():
            if table is not MAIL:
                assert set(table) == {pattern for who, pattern in needed if who == name}, name
        assert set(MAIL) == {pattern for _, pattern in needed if pattern in MAIL}
