"""What the help-desk adapters make of payloads of their own shapes (invented here)."""

from __future__ import annotations

import time
from base64 import b64encode
from typing import Any

import orjson
import pytest

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound, Parked, Parsed, Skipped, hmac_bytes
from relay.sources.read.markup import clean_html, html_of_text, text_of_html
from relay.sources.registry import build_adapter
from tests.places import PAYLOADS

NOW_S = 1_772_700_000.5


def build(name: str, **more: Any) -> Adapter:
    more.setdefault("secrets", lambda: ("first-secret", "second-secret"))
    more.setdefault("public_url", f"https://hooks.example.com/hooks/{name}")
    return build_adapter(SourceOptions(name=name, adapter=name, **more))


def read(name: str, file: str, headers: dict[str, str] | None = None) -> Inbound:
    return Inbound(
        (PAYLOADS / name / file).read_bytes(), {"content-type": "application/json", **(headers or {})}
    )


def parse(name: str, file: str, headers: dict[str, str] | None = None, **more: Any) -> list[Parsed]:
    return build(name, **more).parse(read(name, file, headers), now_s=NOW_S)


def event(name: str, file: str, headers: dict[str, str] | None = None, **more: Any) -> Event:
    (found,) = parse(name, file, headers, **more)
    assert isinstance(found, Event), found
    return found


# ---- Zendesk -----------------------------------------------------------------------------------------------


def test_zendesk_a_new_ticket_is_told_with_its_nanosecond_time() -> None:
    found = event("zendesk", "ticket_created.json")
    assert (found.kind, found.thread, found.subject) == ("ticket.created", "7301", "Import fails on row 12")
    assert (found.time, found.version) == ("2026-03-04T08:00:00.123Z", 1_772_611_200_123_456)
    assert (found.ticket.status, found.ticket.priority, found.ticket.assignee) == ("OPEN", "NORMAL", "501")
    assert found.tags == ("import", "csv")
    assert found.sender.id == "500"


def test_zendesk_a_comment_is_escaped_and_ordered_by_its_sequence() -> None:
    found = event("zendesk", "comment_public.json")
    assert (found.kind, found.message_id) == ("ticket.commented", "88001")
    assert found.text == "Row 12 has <two> dates & no name."
    assert found.html == "Row 12 has &lt;two&gt; dates &amp; no name."
    assert found.version % 1_000_000 == 500_002
    assert (found.attachments[0].name, found.attachments[0].size) == ("row12.csv", 120)


def test_zendesk_a_private_comment_is_skipped_unless_it_is_to_be_kept() -> None:
    assert parse("zendesk", "comment_private.json") == [Skipped("private")]
    assert event("zendesk", "comment_private.json", keep=frozenset({"private"})).text == "Ask engineering."


def test_zendesk_the_answer_bot_is_skipped_unless_it_is_to_be_kept() -> None:
    assert parse("zendesk", "messaging_bot.json") == [Skipped("bot")]
    kept = event("zendesk", "messaging_bot.json", keep=frozenset({"bots"}))
    assert (kept.sender.bot, kept.thread, kept.message_id) == (True, "7301", "m-1")


def test_zendesk_what_a_trigger_of_the_messenger_writes_is_a_programs() -> None:
    body = orjson.loads((PAYLOADS / "zendesk" / "messaging_bot.json").read_bytes())
    for kind, name, wanted in (
        ("trigger", "Greeting", True),
        ("end_user", "Ana Example", False),
        ("agent", "Sam", False),
    ):
        body["event"]["actor"] = {"id": "3601", "name": name, "type": kind}
        (found,) = build("zendesk", keep=frozenset({"bots"})).parse(
            Inbound(orjson.dumps(body), {}), now_s=NOW_S
        )
        assert isinstance(found, Event)
        assert (found.sender.bot, found.sender.name) == (wanted, name)


def test_zendesk_solved_is_told_apart() -> None:
    assert event("zendesk", "status_solved.json").kind == "ticket.solved"


def test_zendesk_a_triggers_own_words_are_understood() -> None:
    found = event("zendesk", "trigger.json", {"x-zendesk-webhook-invocation-id": "inv-1"})
    assert (found.kind, found.thread, found.message_id) == ("ticket.commented", "7301", "88001")
    assert (found.subject, found.text) == ("Import fails on row 12", "Row 12 has two dates.")
    assert (found.recipients[0].email, found.tags) == ("kim@customer.example.com", ("import", "csv"))
    assert (found.time, found.delivery_id) == ("2026-03-04T08:05:00.000Z", "inv-1")


def test_zendesk_a_trigger_whose_json_broke_is_parked_for_the_administrator() -> None:
    (found,) = parse("zendesk", "trigger_broken.txt")
    assert isinstance(found, Parked)
    assert "placeholders are not escaped" in found.cause


def test_zendesk_a_trigger_without_a_body_is_skipped() -> None:
    assert build("zendesk").parse(Inbound(b"", {}), now_s=NOW_S) == [Skipped("empty")]


def test_zendesk_the_secret_is_the_key_verbatim_and_the_time_stands_before_the_body() -> None:
    body, secret = b'{"say":"hello"}', "c2VjcmV0LXRoYXQtbG9va3MtbGlrZS1iYXNlNjQ="
    adapter = build("zendesk", secrets=lambda: (secret,))
    good = b64encode(hmac_bytes(secret, b"2026-03-04T08:00:00Z" + body)).decode()
    turned = b64encode(hmac_bytes(secret, body + b"2026-03-04T08:00:00Z")).decode()
    stamp = {"x-zendesk-webhook-signature-timestamp": "2026-03-04T08:00:00Z"}
    then_s = 1_772_611_200.0
    adapter.verify(Inbound(body, {**stamp, "x-zendesk-webhook-signature": good}), now_s=then_s)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body, {**stamp, "x-zendesk-webhook-signature": turned}), now_s=then_s)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body, {"x-zendesk-webhook-signature": good}), now_s=then_s)


@pytest.mark.parametrize("name", ["zendesk", "freshdesk", "jira"])
def test_a_login_serves_where_nothing_else_is_asked_for(name: str) -> None:
    only_login = build(name, secrets=tuple, basic_auth=lambda: ("relay:pass",))
    login = {"authorization": "Basic " + b64encode(b"relay:pass").decode()}
    only_login.verify(Inbound(b"{}", login), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        only_login.verify(
            Inbound(b"{}", {"authorization": "Basic " + b64encode(b"relay:no").decode()}), now_s=NOW_S
        )


@pytest.mark.parametrize("moved_s", [-2 * 3600, 3600])
def test_zendesk_a_signature_of_another_time_is_refused(moved_s: float) -> None:
    adapter = build("zendesk")
    sample = adapter.sign(adapter.sample(serial=1, now_s=NOW_S), now_s=NOW_S + moved_s, url="")
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(sample.body, sample.headers), now_s=NOW_S)


@pytest.mark.parametrize("name", ["zendesk", "freshdesk", "intercom", "front", "helpscout"])
def test_unauthenticated_opens_only_what_has_no_secret(name: str) -> None:
    build(name, secrets=tuple, unauthenticated=True).verify(Inbound(b"{}", {}), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        build(name, unauthenticated=True).verify(Inbound(b"{}", {}), now_s=NOW_S)


# ---- Intercom ----------------------------------------------------------------------------------------------


def test_intercom_the_opening_message_stands_in_source() -> None:
    found = event("intercom", "user_created.json")
    assert (found.kind, found.thread, found.message_id) == ("message.created", "4400", "900")
    assert (found.subject, found.text) == ("Seats", "Can we have two seats more?")
    assert found.html == "<p>Can we have <b>two</b> seats more?</p>"
    assert (found.sender.name, found.sender.email) == ("Kim Example", "kim@customer.example.com")
    assert found.recipients[0].role == "participant"
    assert (found.ticket.status, found.ticket.assignee, found.tags) == ("open", "71", ("billing",))


def test_intercom_one_reply_under_two_topics_is_one_message() -> None:
    assigned = event("intercom", "admin_assigned_with_reply.json")
    replied = event("intercom", "admin_replied.json")
    assert assigned.id != replied.id
    assert assigned.also_seen == replied.also_seen != ()
    assert (assigned.message_id, assigned.version) == (replied.message_id, replied.version)
    assert "script" not in replied.html
    assert (replied.attachments[0].name, replied.attachments[0].size) == ("invoice.pdf", 1200)


def test_intercom_notes_are_skipped_unless_they_are_to_be_kept() -> None:
    assert parse("intercom", "admin_noted.json") == [Skipped("private")]
    assert event("intercom", "admin_noted.json", keep=frozenset({"private"})).text == "VIP"


def test_intercom_closing_is_a_solved_ticket_without_text() -> None:
    found = event("intercom", "admin_closed.json")
    assert (found.kind, found.text, found.ticket.status) == ("ticket.solved", "", "closed")


def test_intercom_every_new_part_is_an_event_and_the_later_is_newer() -> None:
    first, second = parse("intercom", "two_parts.json")
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.text, second.text) == ("one", "two")
    assert first.id != second.id
    assert first.time == second.time
    assert first.version < second.version


def test_intercom_a_redacted_part_replaces_its_message() -> None:
    found = event("intercom", "redacted.json")
    assert (found.kind, found.message_id) == ("message.updated", "9004")
    first = parse("intercom", "two_parts.json")[0]
    assert isinstance(first, Event)
    assert found.version > first.version


def test_intercom_a_deleted_conversation_names_itself() -> None:
    found = event("intercom", "deleted.json")
    assert (found.kind, found.thread, found.message_id) == ("message.deleted", "4400", "4400")


def test_intercom_a_ticket_is_no_conversation_of_the_same_number() -> None:
    found = event("intercom", "ticket_created.json")
    assert (found.kind, found.thread, found.ticket.id) == ("ticket.created", "ticket-4400", "4400")
    assert (found.subject, found.text, found.ticket.status) == (
        "Broken badge",
        "The badge is gone.",
        "Submitted",
    )


def test_intercom_the_shape_of_api_1_is_read_too() -> None:
    found = event("intercom", "v1_user_replied.json")
    assert (found.thread, found.message_id, found.text) == ("4401", "9010", "And again")
    assert (found.sender.name, found.sender.email) == ("Lee Lead", "lee@customer.example.com")
    assert found.url == "https://app.intercom.io/a/apps/appx/conversations/4401"


def test_intercom_asks_with_head_and_with_ping() -> None:
    adapter = build("intercom")
    head = adapter.handshake(Inbound(b"", {}, method="HEAD"), now_s=NOW_S)
    assert head is not None
    assert head.status == 200
    ping = read("intercom", "ping.json")
    answer = adapter.handshake(ping, now_s=NOW_S)
    assert answer is not None
    assert answer.status == 200
    assert adapter.parse(ping, now_s=NOW_S) == [Skipped("handshake")]


def test_intercom_only_sha1_is_its_signature() -> None:
    adapter, body = build("intercom"), b"{}"
    sha1, sha256 = hmac_bytes("second-secret", body, "sha1").hex(), hmac_bytes("second-secret", body).hex()
    adapter.verify(Inbound(body, {"x-hub-signature": f"sha1={sha1}"}), now_s=NOW_S)
    for given in (f"sha256={sha256}", sha1, f"sha1={sha256}", "sha1="):
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(body, {"x-hub-signature": given}), now_s=NOW_S)


# ---- HubSpot -----------------------------------------------------------------------------------------------


def test_hubspot_a_batch_gives_one_answer_per_item_in_its_order() -> None:
    found = parse("hubspot", "batch.json")
    kinds = [item.kind if isinstance(item, Event) else item for item in found]
    assert kinds == [
        "ticket.solved",
        "ticket.created",
        "message.created",
        Skipped("private"),
        Skipped("bot"),
        "message.deleted",
        Skipped("type"),
    ]
    events = [item for item in found if isinstance(item, Event)]
    assert {item.thread for item in events} == {"6100"}
    solved, created, message, erased = events
    # All three happened in the same millisecond; the creation is still the oldest.
    assert created.version < message.version < solved.version < erased.version
    assert (message.message_id, erased.message_id) == ("mm1", "6100")


def test_hubspot_a_bad_item_is_parked_alone() -> None:
    good, bad, worse = parse("hubspot", "one_bad_item.json")
    assert isinstance(good, Event)
    assert isinstance(bad, Parked)
    assert bad.cause == "objectId: wanted an id"
    assert isinstance(worse, Parked)


def test_hubspot_what_is_no_json_is_parked_since_a_400_would_lose_it() -> None:
    (found,) = build("hubspot").parse(Inbound(b"[{", {}), now_s=NOW_S)
    assert isinstance(found, Parked)


@pytest.mark.parametrize(
    "public_url", ["https://hooks.example.com", "https://hooks.example.com/hooks/hubspot"]
)
def test_hubspot_signs_the_public_url_decoded(public_url: str) -> None:
    adapter, body, sent_at = build("hubspot", public_url=public_url), b"[]", "1772700000000"
    target = "/hooks/hubspot?a=%3A%2F%40%20"
    signed = b"POSThttps://hooks.example.com/hooks/hubspot?a=:/@%20" + body + sent_at.encode()
    headers = {
        "x-hubspot-signature-v3": b64encode(hmac_bytes("first-secret", signed)).decode(),
        "x-hubspot-request-timestamp": sent_at,
    }
    adapter.verify(Inbound(body, headers, path_query=target), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body, headers, path_query=target + "1"), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body, headers, path_query=target), now_s=NOW_S + 301)


def test_hubspot_the_old_hashes_count_only_where_they_are_named() -> None:
    sample = build("hubspot").sample(serial=1, now_s=NOW_S)
    for version in ("v1", "v2"):
        old = build("hubspot", versions=(version,))
        signed = old.sign(sample, now_s=NOW_S, url="https://hooks.example.com/hooks/hubspot")
        request = Inbound(signed.body, signed.headers, path_query="/hooks/hubspot")
        old.verify(request, now_s=NOW_S)
        with pytest.raises(NotAuthentic):
            build("hubspot").verify(request, now_s=NOW_S)


def test_hubspot_needs_the_public_url() -> None:
    with pytest.raises(ValueError, match="public_url"):
        build("hubspot", public_url="")


# ---- Freshdesk ---------------------------------------------------------------------------------------------


def test_freshdesk_a_new_ticket_is_cleaned_and_read() -> None:
    found = event("freshdesk", "created.json")
    assert (found.kind, found.thread, found.subject) == ("ticket.created", "77", "Lost key ☃")
    assert found.text == "I lost the key."
    assert "<b>key</b>" in found.html
    assert "onerror" not in found.html
    assert (found.ticket.status, found.ticket.priority) == ("Open", "High")
    assert found.sender.email == "kim@customer.example.com"


def test_freshdesk_notes_changes_and_solutions_are_told_apart() -> None:
    assert parse("freshdesk", "private_note.json") == [Skipped("private")]
    assert event("freshdesk", "private_note.json", keep=frozenset({"private"})).kind == "ticket.commented"
    note = event("freshdesk", "public_note.json")
    assert (note.kind, note.text) == ("ticket.commented", "A new one is on its way.")
    solved = event("freshdesk", "resolved.json")
    assert (solved.kind, solved.text) == ("ticket.solved", "")


def test_freshdesk_an_administrators_template_is_understood_or_parked() -> None:
    found = event("freshdesk", "advanced.json")
    assert (found.kind, found.thread, found.text) == ("ticket.commented", "77", "Any news?")
    assert found.time == "2026-03-04T08:05:00.000Z"
    (broken,) = parse("freshdesk", "advanced_broken.txt")
    assert isinstance(broken, Parked)
    form = event(
        "freshdesk", "form.txt", {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    )
    assert (form.kind, form.thread, form.text) == ("ticket.created", "77", "I lost it.")
    (xml,) = build("freshdesk").parse(Inbound(b"<ticket/>", {"content-type": "application/xml"}), now_s=NOW_S)
    assert isinstance(xml, Parked)
    assert "choose JSON" in xml.cause


def test_freshdesk_a_secret_may_stand_in_the_url_or_a_header() -> None:
    adapter = build("freshdesk")
    adapter.verify(Inbound(b"{}", {}, query={"token": "second-secret"}), now_s=NOW_S)
    adapter.verify(Inbound(b"{}", {"x-webhook-token": "first-secret"}), now_s=NOW_S)
    for query, headers in (({"token": "no"}, {}), ({}, {"x-webhook-token": "no"}), ({}, {})):
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(b"{}", headers, query=query), now_s=NOW_S)


# ---- Front -------------------------------------------------------------------------------------------------


def test_front_an_applications_event_is_opened_from_its_envelope() -> None:
    found = event("front", "app_inbound.json")
    assert (found.kind, found.thread, found.message_id) == ("message.created", "cnv_1", "msg_1")
    assert (found.delivery_id, found.time) == ("evt_1", "2026-03-04T08:00:00.930Z")
    assert (found.sender.name, found.sender.email) == ("Kim Example", "kim@customer.example.com")
    assert [(one.email, one.role) for one in found.recipients] == [
        ("help@shop.example.com", "to"),
        ("boss@customer.example.com", "cc"),
    ]
    assert (found.ticket.assignee, found.tags) == ("sam@shop.example.com", ("parcel",))
    assert found.attachments[0].name == "a.pdf"


def test_front_a_rules_event_is_bare() -> None:
    found = event("front", "rule_reply.json", scheme="rule")
    assert (found.text, found.html) == ("Tomorrow.", "<p>Tomorrow.</p>")
    assert (found.sender.name, found.sender.email) == ("Sam Support", "sam@shop.example.com")
    archived = event("front", "rule_archive.json")
    assert (archived.kind, archived.text, archived.ticket.status) == ("ticket.solved", "", "archived")


def test_front_comments_and_drafts_are_skipped_unless_they_are_to_be_kept() -> None:
    assert parse("front", "rule_comment.json") == [Skipped("private")]
    kept = event("front", "rule_comment.json", keep=frozenset({"private"}))
    assert (kept.text, kept.html) == ("Is <this> ours?", "Is &lt;this&gt; ours?")
    assert parse("front", "app_draft.json") == [Skipped("draft")]
    assert event("front", "app_draft.json", keep=frozenset({"drafts"})).message_id == "msg_5"


def test_front_each_scheme_has_its_own_signature() -> None:
    adapter, body = build("front"), b'{"type":"sync"}'
    sent_at = "1772700000123"
    sha256 = b64encode(hmac_bytes("first-secret", sent_at.encode() + b":" + body)).decode()
    sha1 = b64encode(hmac_bytes("first-secret", body, "sha1")).decode()
    application = {"x-front-request-timestamp": sent_at, "x-front-signature": sha256}
    adapter.verify(Inbound(body, application), now_s=NOW_S)
    adapter.verify(Inbound(body, {"x-front-signature": sha1}), now_s=NOW_S)
    build("front", scheme="rule").verify(Inbound(body, {"x-front-signature": sha1}), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        build("front", scheme="application").verify(Inbound(body, {"x-front-signature": sha1}), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body, application), now_s=NOW_S + 301)
    with pytest.raises(ValueError, match="scheme"):
        build("front", scheme="other")


def test_front_gets_its_challenge_back() -> None:
    request = read("front", "app_sync.json", {"x-front-challenge": "abc-123"})
    answer = build("front").handshake(request, now_s=NOW_S)
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"abc-123")
    assert build("front").parse(request, now_s=NOW_S) == [Skipped("handshake")]


# ---- Help Scout --------------------------------------------------------------------------------------------


def helpscout(file: str, what: str, **more: Any) -> list[Parsed]:
    return parse("helpscout", file, {"x-helpscout-event": what}, **more)


def test_helpscout_a_new_conversation_is_its_first_message() -> None:
    (found,) = helpscout("created.json", "convo.created")
    assert isinstance(found, Event)
    assert (found.kind, found.thread, found.message_id) == ("ticket.created", "9100", "1")
    assert (found.text, found.html) == ("We need two seats.", "We need <b>two</b> seats.")
    assert (found.sender.email, found.sender.name) == ("kim@customer.example.com", "Kim Example")
    assert [one.role for one in found.recipients] == ["participant", "cc"]


def test_helpscout_a_reply_is_the_newest_message_of_its_kind() -> None:
    (found,) = helpscout("agent_reply.json", "convo.agent.reply.created")
    assert isinstance(found, Event)
    assert (found.kind, found.message_id, found.text) == ("ticket.commented", "3", "Done.")
    assert found.sender.email == "sam@example.com"
    assert found.attachments[0].url == "https://files.example.com/seats.pdf"


def test_helpscout_notes_are_skipped_unless_they_are_to_be_kept() -> None:
    assert helpscout("agent_reply.json", "convo.note.created") == [Skipped("private")]
    (kept,) = helpscout("agent_reply.json", "convo.note.created", keep=frozenset({"private"}))
    assert isinstance(kept, Event)
    assert kept.text == "internal"


def test_helpscout_without_threads_the_preview_serves() -> None:
    (found,) = helpscout("thin.json", "convo.customer.reply.created")
    assert isinstance(found, Event)
    assert found.text == "We need two seats."


def test_helpscout_tiny_events_of_two_names_are_two_events_and_delete_nothing() -> None:
    """The name stands in a header that nobody signs."""
    (deleted,) = helpscout("tiny.json", "convo.deleted")
    (moved,) = helpscout("tiny.json", "convo.moved")
    assert isinstance(deleted, Event)
    assert isinstance(moved, Event)
    assert deleted.id != moved.id
    assert (deleted.kind, moved.kind) == ("ticket.updated", "ticket.updated")
    (closed,) = helpscout("closed.json", "convo.status")
    assert isinstance(closed, Event)
    assert closed.kind == "ticket.solved"
    assert helpscout("tiny.json", "customer.created") == [Skipped("type")]


def test_helpscout_a_conversation_is_deleted_where_the_body_says_so() -> None:
    body = orjson.dumps({"id": 9100, "state": "deleted", "status": "closed", "subject": "Two seats more"})
    for what in ("convo.deleted", "convo.status"):
        (found,) = build("helpscout").parse(Inbound(body, {"x-helpscout-event": what}), now_s=NOW_S)
        assert isinstance(found, Event)
        assert (found.kind, found.message_id) == ("message.deleted", "9100")


def test_helpscout_a_notification_names_its_conversation_by_uri() -> None:
    body = b'{"uri":"https://api.helpscout.net/v2/conversations/9100"}'
    headers = {"x-helpscout-event": "convo.customer.reply.created"}
    (found,) = build("helpscout").parse(Inbound(body, headers), now_s=NOW_S)
    assert isinstance(found, Event)
    assert (found.thread, found.kind, found.text) == ("9100", "ticket.commented", "")


def test_helpscout_is_never_told_gone_and_its_test_is_answered() -> None:
    adapter = build("helpscout")
    answers = adapter.answers
    assert 410 not in (answers.accepted, answers.not_authentic, answers.malformed, answers.try_later)
    test = read("helpscout", "tiny.json", {"x-helpscout-event": "helpscout.test"})
    answer = adapter.handshake(test, now_s=NOW_S)
    assert answer is not None
    assert answer.status == 200


# ---- markup ------------------------------------------------------------------------------------------------


def test_html_is_made_harmless_and_text_is_escaped() -> None:
    assert "script" not in clean_html("<p onclick='x'>a<script>alert(1)</script></p>")
    assert clean_html("<a href='javascript:alert(1)'>x</a>") == '<a rel="noopener noreferrer">x</a>'
    assert clean_html("1 < 2 & 3") == "1 &lt; 2 &amp; 3"
    assert html_of_text("a\r\n<b>") == "a<br>&lt;b&gt;"
    assert text_of_html("<p>a</p><p>b &amp; c<br>d</p>") == "a\nb & c\nd"


@pytest.mark.parametrize(
    "evil",
    [
        "<div>" * 1_000,
        "<div></x>" * 2_000,
        "<" * 500_000,
        "<a " * 200_000,
        "<b><i></b>" * 2_000,
        "</p>" * 200_000,
    ],
)
def test_html_that_never_closes_takes_no_time(evil: str) -> None:
    began = time.process_time()
    clean_html(evil)
    text_of_html(evil)
    assert time.process_time() - began < 3


def test_what_a_source_never_sends_is_refused_with_its_place() -> None:
    with pytest.raises(PayloadInvalid, match=r"data\.item"):
        build("intercom").parse(
            Inbound(orjson.dumps({"topic": "conversation.user.created", "data": {}}), {}), now_s=NOW_S
        )
    with pytest.raises(PayloadInvalid, match="conversation"):
        build("front").parse(Inbound(b'{"type":"inbound","id":"evt_1"}', {}), now_s=NOW_S)


@pytest.mark.parametrize(
    ("name", "file"), [("intercom", "admin_replied.json"), ("front", "rule_reply_of_agent.json")]
)
def test_the_customer_is_among_the_participants_when_an_agent_writes(name: str, file: str) -> None:
    found = event(name, file)
    assert found.sender.email != "kim@customer.example.com"
    assert [one.email for one in found.recipients if one.role == "participant"] == [
        "kim@customer.example.com"
    ]


def test_freshdesk_a_note_is_not_put_into_the_requesters_mouth() -> None:
    found = event("freshdesk", "public_note.json")
    assert found.sender.email == ""
    assert [(one.email, one.role) for one in found.recipients] == [
        ("kim@customer.example.com", "participant")
    ]
