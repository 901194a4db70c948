"""CloudEvents, Calendly, Teams, Graph, Crisp and Salesforce: what each sends becomes, and how each is answered."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound, Parked, Skipped
from relay.sources.registry import build_adapter
from tests.places import PAYLOADS

NOW_S = 1_772_600_600.0


def source(adapter: str, **more: Any) -> Adapter:
    for key in ("secrets", "basic_auth", "bearer"):
        if key in more:
            values = more[key]
            more[key] = lambda values=values: values
    return build_adapter(SourceOptions(name="it", adapter=adapter, **more))


def parse(adapter: Adapter, body: bytes, **headers: str) -> list[Any]:
    return adapter.parse(
        Inbound(body, {key.replace("_", "-"): value for key, value in headers.items()}), now_s=NOW_S
    )


def one(adapter: Adapter, body: bytes, **headers: str) -> Event:
    (found,) = parse(adapter, body, **headers)
    assert isinstance(found, Event), found
    return found


def payload(path: str) -> bytes:
    return (PAYLOADS / path).read_bytes()


# ---- CloudEvents -------------------------------------------------------------------------------------------

STRUCTURED = "application/cloudevents+json; charset=utf-8"


def cloudevents() -> Adapter:
    return source("cloudevents", bearer=["t-1"])


def test_a_structured_cloudevent_is_read_through_its_data() -> None:
    found = one(cloudevents(), payload("cloudevents/structured.json"), content_type=STRUCTURED)
    assert (found.kind, found.thread, found.subject) == ("ticket.solved", "42", "Export fails")
    assert (found.ticket.status, found.sender.email) == ("solved", "ana@example.com")
    assert found.time == "2026-03-04T05:00:00.000Z"


def test_a_binary_cloudevent_has_its_attributes_in_headers() -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "org.example.note",
        "ce-source": "/desk",
        "ce-id": "A-2",
        "ce-subject": "Euro%20%E2%82%AC",
        "ce-time": "2026-03-04T05:00:00Z",
        "content-type": "application/json",
    }
    (found,) = cloudevents().parse(Inbound(b'{"text": "hello"}', headers), now_s=NOW_S)
    assert isinstance(found, Event)
    assert (found.subject, found.thread, found.text) == ("Euro €", "Euro €", "hello")
    plain = {**headers, "content-type": "text/plain"}
    (found,) = cloudevents().parse(Inbound(b"just text", plain), now_s=NOW_S)
    assert isinstance(found, Event)
    assert found.text == "just text"


def test_the_same_id_of_another_source_is_another_event() -> None:
    body = payload("cloudevents/structured.json")
    first = one(cloudevents(), body, content_type=STRUCTURED)
    other = one(cloudevents(), body.replace(b"/desk/eu", b"/desk/us"), content_type=STRUCTURED)
    assert first.id != other.id


def test_one_bad_event_of_a_batch_is_parked_and_the_others_go_on() -> None:
    good = orjson.loads(payload("cloudevents/structured.json"))
    batch = [good, {**good, "id": ""}, 7, {**good, "id": "A-3"}]
    found = parse(cloudevents(), orjson.dumps(batch), content_type="application/cloudevents-batch+json")
    assert [type(item) for item in found] == [Event, Parked, Parked, Event]
    assert parse(cloudevents(), orjson.dumps(batch), content_type="application/json") == found


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion"])
def test_a_cloudevent_without_a_required_attribute_is_malformed(missing: str) -> None:
    body = orjson.loads(payload("cloudevents/structured.json"))
    del body[missing]
    with pytest.raises(PayloadInvalid, match=missing):
        parse(cloudevents(), orjson.dumps(body), content_type=STRUCTURED)


def test_the_abuse_protection_is_answered() -> None:
    asked = {"webhook-request-origin": "emitter.example.com", "webhook-request-rate": "120"}
    reply = cloudevents().handshake(Inbound(b"", asked, "OPTIONS"), now_s=NOW_S)
    assert reply is not None
    assert reply.status == 200
    assert reply.headers["webhook-allowed-origin"] == "emitter.example.com"
    assert reply.headers["webhook-allowed-rate"] == "120"
    split = Inbound(b"", {"webhook-request-origin": "a\r\nset-cookie: b"}, "OPTIONS")
    reply = cloudevents().handshake(split, now_s=NOW_S)
    assert reply is not None
    assert "webhook-allowed-origin" not in reply.headers
    assert cloudevents().handshake(Inbound(b"", asked, "POST"), now_s=NOW_S) is None


def test_a_cloudevents_token_may_stand_in_the_query() -> None:
    adapter = cloudevents()
    adapter.verify(Inbound(b"{}", {}, query={"access_token": "t-1"}), now_s=NOW_S)
    adapter.verify(Inbound(b"{}", {"authorization": "Bearer t-1"}), now_s=NOW_S)
    for query in ({"access_token": "t-2"}, {"access_token": ""}, {}):
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(b"{}", {}, query=query), now_s=NOW_S)


# ---- Calendly ----------------------------------------------------------------------------------------------


def test_a_cancellation_tells_who_and_why_and_belongs_to_its_booking() -> None:
    found = one(source("calendly", secrets=["s"]), payload("calendly/canceled_by_rescheduling.json"))
    assert (found.thread, found.message_id) == ("EV1/IN1", "invitee.canceled")
    assert found.subject == "Quarterly review"
    assert found.text.splitlines()[0] == "Canceled: Quarterly review"
    assert "2026-04-01 09:00 to 09:30 UTC" in found.text
    assert "Reason: On leave" in found.text
    assert (found.sender.name, found.sender.email) == ("Ana Example", "ana@example.com")


def test_other_calendly_events_are_skipped() -> None:
    body = b'{"event": "routing_form_submission.created", "payload": {}}'
    assert parse(source("calendly", secrets=["s"]), body) == [Skipped("type")]


# ---- Teams -------------------------------------------------------------------------------------------------


def teams(**more: Any) -> Adapter:
    return source("teams", secrets=["MDEyMzQ1Njc4OWFiY2RlZg=="], **more)


def test_a_teams_message_loses_its_mention_and_keeps_its_thread() -> None:
    found = one(teams(), payload("teams/message.json"))
    assert found.text == "can you check the renewal of Acme & Sons?"
    assert found.html == "can you check the renewal of <strong>Acme &amp; Sons</strong>?"
    assert found.thread == "19:room@thread.tacv2;messageid=1772600300000"
    assert (found.message_id, found.version) == ("1772600400123", 1_772_600_400_123_000)
    assert (found.sender.name, found.channel.name) == ("Ana Example", "Customer success")


def test_teams_own_bots_are_skipped_unless_kept() -> None:
    body = payload("teams/message.json").replace(b'"29:abc"', b'"28:bot"')
    assert parse(teams(), body) == [Skipped("bot")]
    assert one(teams(keep=frozenset({"bots"})), body).sender.bot


def test_teams_is_answered_with_a_message() -> None:
    answers = teams().answers
    assert answers.accepted == 200
    assert orjson.loads(answers.accepted_body or b"")["type"] == "message"


def test_a_teams_token_that_is_no_base64_is_refused_when_built() -> None:
    with pytest.raises(ValueError, match="base64"):
        source("teams", secrets=["not base64!"])


def test_a_hostile_teams_text_takes_linear_time() -> None:
    body = orjson.loads(payload("teams/message.json"))
    body["text"] = "<at" * 100_000
    body["attachments"][0]["content"] = "<span" * 50_000
    began = time.process_time()
    assert one(teams(), orjson.dumps(body)).thread
    assert time.process_time() - began < 2


# ---- Graph -------------------------------------------------------------------------------------------------


def test_a_graph_batch_becomes_one_event_each_and_hides_the_client_state() -> None:
    adapter = source("graph", secrets=["sample-state"])
    body = payload("graph/batch.json")
    adapter.verify(Inbound(body, {}), now_s=NOW_S)
    chat, mail, lifecycle = parse(adapter, body)
    assert (chat.kind, chat.thread, chat.message_id) == (
        "message.created",
        "19:chat@thread.v2",
        "1772600400123",
    )
    assert chat.time == "2026-03-04T05:00:00.123Z"
    assert (mail.kind, mail.thread) == ("message.updated", "AAMkSAMPLE")
    assert lifecycle == Skipped("reauthorization_required")
    assert "clientState" not in chat.payload


def test_one_wrong_client_state_spoils_the_batch() -> None:
    body = orjson.loads(payload("graph/batch.json"))
    body["value"][1]["clientState"] = "another"
    with pytest.raises(NotAuthentic):
        source("graph", secrets=["sample-state"]).verify(Inbound(orjson.dumps(body), {}), now_s=NOW_S)


@pytest.mark.parametrize("query", [{"validationToken": "a <b> & c"}, {}])
def test_a_new_graph_subscription_is_validated_as_plain_text(query: dict[str, str]) -> None:
    adapter = source("graph", secrets=["s"])
    assert adapter.handshake_before_verify
    asked = Inbound(b"", {}, "POST", "/hooks/it?validationToken=a%20%3Cb%3E+%26%20c", query)
    reply = adapter.handshake(asked, now_s=NOW_S)
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"a <b> & c")
    assert reply.content_type.startswith("text/plain")
    assert adapter.handshake(Inbound(b"", {}, "POST", "/hooks/it"), now_s=NOW_S) is None


# ---- Crisp -------------------------------------------------------------------------------------------------


def crisp(*keep: str) -> Adapter:
    return source("crisp", secrets=["s"], keep=frozenset(keep))


def test_a_crisp_message_belongs_to_its_session() -> None:
    found = one(crisp(), payload("crisp/text.json"))
    assert (found.thread, found.message_id) == ("session_sample-1", "177260040012301")
    assert (found.text, found.kind) == ("The export fails", "message.created")
    assert found.sender.name == "Ana Example"


def test_a_crisp_file_is_listed() -> None:
    (file,) = one(crisp(), payload("crisp/file.json")).attachments
    assert (file.name, file.type, file.url) == ("log.txt", "text/plain", "https://files.example.com/log.txt")


def test_crisps_notes_and_automated_messages_are_skipped_unless_kept() -> None:
    assert parse(crisp(), payload("crisp/note.json")) == [Skipped("private")]
    assert parse(crisp(), payload("crisp/picker.json")) == [Skipped("bot")]
    assert one(crisp("private"), payload("crisp/note.json")).text == "Called them"
    kept = one(crisp("bots"), payload("crisp/picker.json"))
    assert (kept.text, kept.sender.bot) == ("Which plan?\n- A", True)


def test_a_crisp_website_hook_proves_itself_by_a_key_in_the_url() -> None:
    crisp().verify(Inbound(b"{}", {}, query={"key": "s"}), now_s=NOW_S)
    for query in ({"key": "t"}, {"key": ""}, {}):
        with pytest.raises(NotAuthentic):
            crisp().verify(Inbound(b"{}", {}, query=query), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        crisp().verify(Inbound(b"{}", {"x-crisp-signature": "00"}, query={"key": "s"}), now_s=NOW_S)


# ---- Salesforce --------------------------------------------------------------------------------------------


def salesforce(**more: Any) -> Adapter:
    return source("salesforce", **(more or {"secrets": ["00D7ACME0000001EAA"]}))


def test_each_salesforce_notification_is_an_event() -> None:
    case, comment = parse(salesforce(), payload("salesforce/two_records.xml"))
    assert (case.kind, case.subject, case.text) == (
        "ticket.updated",
        "Export & import fail",
        "Since <this> morning",
    )
    assert (case.ticket.id, case.ticket.status, case.ticket.priority) == ("00004711", "New", "High")
    assert (case.delivery_id, case.time) == ("04l7ACME0000001AAA", "2026-03-04T05:00:00.000Z")
    assert case.url == "https://acme.my.salesforce.example.com/5007ACME0000001AAA"
    assert (comment.kind, comment.thread) == ("ticket.commented", case.thread)


def test_a_salesforce_session_goes_no_further() -> None:
    for event in parse(salesforce(), payload("salesforce/two_records.xml")):
        assert "must-not-travel" not in repr(event)


def test_salesforce_is_answered_with_its_ack() -> None:
    answers = salesforce().answers
    assert answers.accepted == 200
    assert b"<Ack>true</Ack>" in (answers.accepted_body or b"")
    assert answers.accepted_type.startswith("text/xml")


def test_salesforce_proves_itself_by_organization_by_token_or_by_login() -> None:
    body = payload("salesforce/two_records.xml")
    salesforce().verify(Inbound(body, {}), now_s=NOW_S)
    salesforce(secrets=["t-1"]).verify(Inbound(body, {}, query={"token": "t-1"}), now_s=NOW_S)
    for adapter, query in (
        (salesforce(secrets=["00DOTHER"]), {}),
        (salesforce(), {"token": "t-2"}),
        (salesforce(basic_auth=["a:b"]), {}),
    ):
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(body, {}, query=query), now_s=NOW_S)


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b'<?xml version="1.0" encoding="x-unknown"?><x/>',
        b"<x>" * 1_000,
        b"<x/>",
        b"",
        b"\xff\xfe",
        b"<a></b>",
        b"<e:Envelope/>",
    ],
)
def test_hostile_xml_is_malformed(body: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        parse(salesforce(), body)
    with pytest.raises(NotAuthentic):
        salesforce().verify(Inbound(body, {}), now_s=NOW_S)
