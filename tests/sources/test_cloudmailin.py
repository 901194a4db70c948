"""CloudMailin: both its formats, and that a customer is never sent a bounce for a fault of ours."""

from __future__ import annotations

from relay.event import Attachment, Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parked
from relay.sources.providers.cloudmailin import CloudMailin
from tests.places import PAYLOADS

MINE = PAYLOADS / "cloudmailin"
NOW_S = 1_772_600_600.0


def cloudmailin() -> CloudMailin:
    return CloudMailin(SourceOptions(name="mail", adapter="cloudmailin", basic_auth=lambda: ["hook:pass"]))


def event(name: str, content_type: str) -> Event:
    inbound = Inbound((MINE / name).read_bytes(), {"content-type": content_type})
    (found,) = cloudmailin().parse(inbound, now_s=NOW_S)
    assert isinstance(found, Event)
    return found


def test_the_json_format_is_read() -> None:
    found = event("normalized.json", "application/json")
    assert found.subject == "Re: Seats für März"
    assert (found.sender.name, found.sender.email) == ("Omar Diaz", "omar@acme.example")
    assert (found.thread, found.message_id) == ("<q1-8841@mail.acme.example>", "<r1-8841@mail.acme.example>")
    assert [(r.name, r.email, r.role) for r in found.recipients] == [
        ("Help Desk", "help@vendor.example", "to"),
        ("", "help@in.vendor.example", "envelope"),
    ]
    assert (found.text, found.html) == ("25 is right.", "<p>25 is right.</p>")
    assert found.attachments == (Attachment("seats.csv", "text/csv", 4),)
    assert "bmFtZQ" not in str(found.payload)


def test_the_multipart_format_gives_the_same_event() -> None:
    json, form = (
        event("normalized.json", "application/json"),
        event("multipart.multipart", "multipart/form-data; boundary=zXq7Boundary"),
    )
    assert (json.id, json.thread, json.text, json.sender) == (form.id, form.thread, form.text, form.sender)
    assert form.attachments == (Attachment("seats.bin", "application/octet-stream", 7),)
    assert form.payload["headers"]["Received"] == ["by a.example", "by b.example"]


def test_no_answer_of_ours_bounces_a_customers_mail() -> None:
    answers = cloudmailin().answers
    assert all(code >= 500 for code in (answers.not_authentic, answers.malformed, answers.try_later))
    for body in (b"", b"[]", b'{"envelope":"x","headers":["y"]}'):
        (found,) = cloudmailin().parse(Inbound(body, {"content-type": "application/json"}), now_s=NOW_S)
        assert isinstance(found, Parked)
