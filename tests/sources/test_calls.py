"""What the adapters for calls, meetings, messages and Jira make of payloads of their own shapes."""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound, Parked, Parsed, Skipped, hmac_bytes
from relay.sources.registry import build_adapter
from tests.places import PAYLOADS

NOW_S = 1_772_700_000.5
FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}


def build(name: str, **more: Any) -> Adapter:
    more.setdefault("secrets", lambda: ("first-secret", "second-secret"))
    more.setdefault("public_url", f"https://hooks.example.com/hooks/{name}")
    return build_adapter(SourceOptions(name=name, adapter=name, **more))


def read(name: str, file: str, headers: dict[str, str] | None = None) -> Inbound:
    content = FORM if file.endswith(".form") else JSON
    return Inbound((PAYLOADS / name / file).read_bytes(), {**content, **(headers or {})})


def parse(name: str, file: str, headers: dict[str, str] | None = None, **more: Any) -> list[Parsed]:
    return build(name, **more).parse(read(name, file, headers), now_s=NOW_S)


def event(name: str, file: str, headers: dict[str, str] | None = None, **more: Any) -> Event:
    (found,) = parse(name, file, headers, **more)
    assert isinstance(found, Event), found
    return found


# ---- Zoom --------------------------------------------------------------------------------------------------


def test_zoom_a_meeting_its_summary_and_its_recording_are_one_thread() -> None:
    ended, summary, recording = (
        event("zoom", f"{n}.json") for n in ("meeting_ended", "summary", "recording")
    )
    assert {one.thread for one in (ended, summary, recording)} == {"/aBc+dEf=="}
    assert {one.kind for one in (ended, summary, recording)} == {"call.ended"}
    assert ended.version < summary.version < recording.version
    assert len({one.message_id for one in (ended, summary, recording)}) == 3
    assert ended.text == "2026-03-04 08:00 UTC, 31 min"
    assert summary.text == "Goals were set.\nScope: Two teams.\nNext steps:\n- Send the plan."
    assert (summary.sender.email, summary.subject) == ("sam@example.com", "Kick-off")
    assert (recording.attachments[0].name, recording.url) == ("shared_screen", "https://rec.example.com/s")


def test_zoom_what_only_begins_and_comings_and_goings_are_skipped() -> None:
    assert parse("zoom", "meeting_started.json") == [Skipped("type")]
    assert parse("zoom", "participant_joined.json") == [Skipped("type")]
    phone = event("zoom", "phone_ended.json")
    assert (phone.kind, phone.thread, phone.subject) == ("call.ended", "777", "+15550100123 -> +15550100199")


def test_zoom_the_url_is_validated_with_the_secret_that_signed() -> None:
    request = read("zoom", "url_validation.json")
    signed = hmac_bytes("second-secret", b"v0:1772700000:" + request.body).hex()
    headers = {"x-zm-request-timestamp": "1772700000", "x-zm-signature": f"v0={signed}"}
    answer = build("zoom").handshake(Inbound(request.body, headers), now_s=NOW_S)
    assert answer is not None
    assert orjson.loads(answer.body) == {
        "plainToken": "plain-token-1",
        "encryptedToken": hmac_bytes("second-secret", b"plain-token-1").hex(),
    }
    build("zoom").verify(Inbound(request.body, headers), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        build("zoom").verify(Inbound(request.body, headers), now_s=NOW_S + 400)


# ---- Gong --------------------------------------------------------------------------------------------------

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
BARE = "".join(PEM.splitlines()[1:-1])


def token(claims: dict[str, Any], *, algorithm: str = "RS256") -> str:
    def part(value: bytes) -> str:
        return urlsafe_b64encode(value).decode().rstrip("=")

    signed = part(orjson.dumps({"alg": algorithm, "typ": "JWT"})) + "." + part(orjson.dumps(claims))
    return f"{signed}.{part(KEY.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def claims(body: bytes, **more: Any) -> dict[str, Any]:
    return {
        "iss": "Gong",
        "webhook_url": "https://hooks.example.com/hooks/gong",
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "exp": int(NOW_S) + 120,
        **more,
    }


@pytest.mark.parametrize("key", [PEM, BARE])
@pytest.mark.parametrize("scheme", ["Bearer ", ""])
def test_gong_a_token_over_this_url_and_body_is_good(key: str, scheme: str) -> None:
    adapter = build("gong", secrets=tuple, public_keys=lambda: (key,))
    request = read("gong", "call.json")
    adapter.verify(
        Inbound(request.body, {"authorization": scheme + token(claims(request.body))}), now_s=NOW_S
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"webhook_url": "https://hooks.example.com/hooks/gongx"},
        {"webhook_url": None},
        {"body_sha256": "00" * 32},
        {"body_sha256": 7},
        {"exp": int(NOW_S) - 61},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": int(NOW_S) + 10 * 365 * 86_400},
    ],
)
def test_gong_a_token_with_other_claims_is_refused(bad: dict[str, Any]) -> None:
    adapter = build("gong", secrets=tuple, public_keys=lambda: (PEM,))
    with pytest.raises(NotAuthentic):
        adapter.verify(
            Inbound(b"{}", {"authorization": "Bearer " + token(claims(b"{}", **bad))}), now_s=NOW_S
        )


def test_gong_no_other_algorithm_and_no_other_key_is_accepted() -> None:
    adapter = build("gong", secrets=tuple, public_keys=lambda: (PEM,))
    good = token(claims(b"{}"))
    for given in (
        token(claims(b"{}"), algorithm="none"),
        token(claims(b"{}"), algorithm="HS256"),
        good[:-4] + "AAAA",
        good.rpartition(".")[0] + ".",
        "a.b.c",
        "..",
        "é.é.é",
        "",
    ):
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(b"{}", {"authorization": f"Bearer {given}"}), now_s=NOW_S)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(NotAuthentic):
        build("gong", secrets=tuple, public_keys=lambda: (pem,)).verify(
            Inbound(b"{}", {"authorization": f"Bearer {good}"}), now_s=NOW_S
        )
    with pytest.raises(ValueError, match="public_keys"):
        build("gong", secrets=tuple, public_keys=lambda: ("no key",))


def test_gong_a_call_names_its_people_and_its_points() -> None:
    found = event("gong", "call.json")
    assert (found.kind, found.thread, found.subject) == ("call.ended", "7555000000000000001", "Renewal")
    assert found.time == "2026-03-04T16:01:00.500Z"
    assert found.text == "They renew.\n- Ten seats\nOutcome: Won"
    assert found.sender.email == "sam@example.com"
    assert [(one.email, one.role) for one in found.recipients] == [
        ("sam@example.com", "internal"),
        ("kim@customer.example.com", "external"),
        ("", "participant"),
    ]
    assert parse("gong", "test_call.json") == [Skipped("test")]


# ---- Aircall -----------------------------------------------------------------------------------------------


def test_aircall_the_token_in_the_body_is_the_proof_and_goes_no_further() -> None:
    adapter = build("aircall", secrets=lambda: ("other", "body-token-1"))
    request = read("aircall", "call_ended.json")
    adapter.verify(request, now_s=NOW_S)
    for body in (b"{}", b'{"token":""}', b'{"token":["body-token-1"]}', b'{"token":"no"}', b"["):
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(body, {}), now_s=NOW_S)
    found = event("aircall", "call_ended.json")
    assert "token" not in found.payload


def test_aircall_a_calls_events_are_one_thread_in_order() -> None:
    names = ("call_created", "call_ended", "call_commented")
    created, ended, commented = (event("aircall", f"{name}.json") for name in names)
    assert {one.thread for one in (created, ended, commented)} == {"4100"}
    assert [created.kind, ended.kind, commented.kind] == ["custom", "call.ended", "message.created"]
    assert created.version < ended.version < commented.version
    assert (ended.subject, ended.text) == ("Call from Kim Example", "1 min 5 s")
    assert ended.sender.email == "kim@customer.example.com"
    assert (ended.attachments[0].name, ended.tags) == ("recording", ("billing",))
    assert (commented.text, commented.sender.email) == ("Wants a quote.", "sam@example.com")


def test_aircall_missed_anonymous_calls_and_messages_are_read() -> None:
    missed = event("aircall", "call_missed.json")
    assert (missed.subject, missed.text) == ("Call from anonymous", "Not answered (no available agent)")
    message = event("aircall", "message_received.json")
    assert (message.kind, message.thread, message.text) == (
        "message.created",
        "+15550100123:9",
        "Is it open?",
    )
    assert parse("aircall", "integration_deleted.json") == [Skipped("lifecycle")]
    (parked,) = build("aircall").parse(Inbound(b"{}", {}), now_s=NOW_S)
    assert isinstance(parked, Parked)


# ---- Twilio ------------------------------------------------------------------------------------------------


def twilio_headers(url: str, parameters: str) -> dict[str, str]:
    return {
        **FORM,
        "x-twilio-signature": b64encode(
            hmac_bytes("first-secret", (url + parameters).encode(), "sha1")
        ).decode(),
    }


def test_twilio_signs_the_url_and_the_sorted_parameters() -> None:
    adapter = build("twilio")
    body = urlencode([("To", "+1"), ("Body", "a b"), ("Body", "a b"), ("Body", "A"), ("Empty", "")]).encode()
    sorted_parameters = "BodyABodya bEmptyTo+1"
    for signed_url in (
        "https://hooks.example.com/hooks/twilio?x=1",
        "https://hooks.example.com:443/hooks/twilio?x=1",
    ):
        headers = twilio_headers(signed_url, sorted_parameters)
        adapter.verify(Inbound(body, headers, path_query="/hooks/twilio?x=1"), now_s=NOW_S)
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(body + b"&Extra=1", headers, path_query="/hooks/twilio?x=1"), now_s=NOW_S)
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(body, headers, path_query="/hooks/twilio?x=2"), now_s=NOW_S)


def test_twilio_a_json_body_counts_only_with_its_hash_in_the_signed_url() -> None:
    adapter, body = build("twilio"), b'{"EventType":"x"}'
    digest = hashlib.sha256(body).hexdigest()
    base = "https://hooks.example.com/hooks/twilio"
    good = f"?bodySHA256={digest}"
    headers = {**twilio_headers(base + good, ""), **JSON}
    adapter.verify(Inbound(body, headers, path_query="/hooks/twilio" + good), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body + b" ", headers, path_query="/hooks/twilio" + good), now_s=NOW_S)
    # A signature over the bare URL proves no JSON body at all.
    with pytest.raises(NotAuthentic):
        adapter.verify(
            Inbound(body, {**twilio_headers(base, ""), **JSON}, path_query="/hooks/twilio"), now_s=NOW_S
        )


def test_twilio_messages_calls_and_conversations_are_read() -> None:
    sms = event("twilio", "sms.form")
    assert (sms.thread, sms.message_id) == ("+15550100123:+15550100199", "SM0a")
    assert (sms.text, sms.html) == ("Is it <open>?", "Is it &lt;open&gt;?")
    whatsapp = event("twilio", "whatsapp_media.form")
    assert (whatsapp.sender.id, whatsapp.sender.name, whatsapp.channel.name) == (
        "+15550100123",
        "Kim",
        "whatsapp",
    )
    assert (whatsapp.attachments[0].type, whatsapp.attachments[0].url) == (
        "image/jpeg",
        "https://media.example.com/1",
    )
    assert parse("twilio", "status_callback.form") == [Skipped("status")]
    call = event("twilio", "call_completed.form")
    assert (call.kind, call.thread, call.text) == ("call.ended", "CA0d", "Call completed, 65 s")
    assert call.time == "2026-03-04T08:00:00.000Z"
    added, removed = (event("twilio", f"conversation_{what}.form") for what in ("added", "removed"))
    assert (added.kind, removed.kind) == ("message.created", "message.deleted")
    assert (added.thread, added.message_id) == (removed.thread, removed.message_id) == ("CH0e", "IM0e")
    assert added.version < removed.version
    assert removed.text == ""
    with pytest.raises(PayloadInvalid):
        build("twilio").parse(Inbound(b"a=b", FORM), now_s=NOW_S)


def test_twilio_is_answered_with_empty_twiml() -> None:
    answers = build("twilio").answers
    assert answers.accepted == 200
    assert answers.accepted_body is not None
    assert answers.accepted_body.endswith(b"<Response/>")


# ---- Jira --------------------------------------------------------------------------------------------------


def test_jira_a_new_issue_is_told_with_its_document_as_text() -> None:
    found = event("jira", "issue_created.json", {"x-atlassian-webhook-identifier": "delivery-1"})
    assert (found.kind, found.thread, found.ticket.id) == ("ticket.created", "10500", "SUP-5")
    assert found.text == "Sign-in is blank\n@Sam\n- in Firefox"
    assert (found.sender.email, found.ticket.assignee) == ("kim@customer.example.com", "sam@example.com")
    assert (found.url, found.tags) == ("https://acme.atlassian.example/browse/SUP-5", ("web",))
    assert (found.attachments[0].name, found.delivery_id) == ("page.png", "delivery-1")
    assert (
        event("jira", "issue_created.json", {"x-atlassian-webhook-identifier": "delivery-1"}).id == found.id
    )


def test_jira_only_the_change_into_done_is_a_solution() -> None:
    assert event("jira", "issue_done.json").kind == "ticket.solved"
    raw = orjson.loads((PAYLOADS / "jira" / "issue_done.json").read_bytes())
    raw["changelog"]["items"][0]["field"] = "priority"
    (other,) = build("jira").parse(Inbound(orjson.dumps(raw), JSON), now_s=NOW_S)
    assert isinstance(other, Event)
    assert other.kind == "ticket.updated"


def test_jira_a_comment_its_edit_and_its_deletion_are_one_message() -> None:
    created, edited, deleted = (
        event("jira", f"{name}.json")
        for name in ("comment_created", "comment_without_issue", "comment_deleted")
    )
    assert [created.kind, edited.kind, deleted.kind] == [
        "ticket.commented",
        "message.updated",
        "message.deleted",
    ]
    assert {one.message_id for one in (created, edited, deleted)} == {"20500"}
    assert {one.thread for one in (created, edited, deleted)} == {"10500"}
    assert created.version < edited.version < deleted.version
    assert created.html == "<p>Please <strong>try</strong> again &lt;now&gt;.</p>"


def test_jira_an_old_servers_comment_is_the_same_comment() -> None:
    old, new = event("jira", "old_comment.json"), event("jira", "comment_created.json")
    assert (old.kind, old.message_id, old.also_seen) == (new.kind, new.message_id, new.also_seen)


def test_jira_internal_comments_are_skipped_and_one_turned_internal_vanishes() -> None:
    assert parse("jira", "comment_internal.json") == [Skipped("private")]
    assert event("jira", "comment_internal.json", keep=frozenset({"private"})).kind == "ticket.commented"
    raw = orjson.loads((PAYLOADS / "jira" / "comment_internal.json").read_bytes())
    raw["webhookEvent"] = "comment_updated"
    (found,) = build("jira").parse(Inbound(orjson.dumps(raw), JSON), now_s=NOW_S)
    assert isinstance(found, Event)
    assert (found.kind, found.text) == ("message.deleted", "")


def test_jira_the_short_header_holds_sha256() -> None:
    adapter, body = build("jira"), b"{}"
    adapter.verify(
        Inbound(body, {"x-hub-signature": "sha256=" + hmac_bytes("second-secret", body).hex()}), now_s=NOW_S
    )
    sha1 = "sha1=" + hmac_bytes("second-secret", body, "sha1").hex()
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body, {"x-hub-signature": sha1}), now_s=NOW_S)
