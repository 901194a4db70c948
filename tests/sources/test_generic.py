"""The generic source and what it stands on: logins, Standard Webhooks, described signatures, found fields."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parked, Skipped
from relay.sources.proof.signature import read_signature
from relay.sources.proof.standard import sign_standard_webhooks, verify_standard_webhooks
from relay.sources.providers.generic import Generic
from relay.sources.read.moment import moment_us
from tests.places import PAYLOADS

NOW_S = 1_772_600_600.0
BODY = b'{"type": "note.added", "ticket_id": 7, "text": "hello"}'


def generic(adapter: str = "generic", **more: Any) -> Generic:
    for key in ("secrets", "basic_auth", "bearer", "api_keys", "public_keys"):
        if key in more:
            values = more[key]
            more[key] = lambda values=values: values
    return Generic(SourceOptions(name="it", adapter=adapter, **more))


def accepts(adapter: Generic, headers: Mapping[str, str], body: bytes = BODY, now_s: float = NOW_S) -> bool:
    try:
        adapter.verify(Inbound(body, headers), now_s=now_s)
    except NotAuthentic:
        return False
    return True


def only(
    body: bytes, adapter: str = "generic", headers: Mapping[str, str] | None = None, **more: Any
) -> Event:
    source = generic(adapter, unauthenticated=True, **more)
    (found,) = source.parse(Inbound(body, headers or {"content-type": "application/json"}), now_s=NOW_S)
    assert isinstance(found, Event), found
    return found


def payload(path: str) -> bytes:
    return (PAYLOADS / f"{path}.json").read_bytes()


# ---- proofs ------------------------------------------------------------------------------------------------


def basic(login: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def test_basic_auth_takes_any_configured_login_and_nothing_else() -> None:
    adapter = generic(basic_auth=["relay:one", "relay:zwölf:12"])
    assert accepts(adapter, basic("relay:one"))
    assert accepts(adapter, basic("relay:zwölf:12"))
    for wrong in ("relay:two", "relay:", ":", "", "relay:one ", "RELAY:one"):
        assert not accepts(adapter, basic(wrong))
    for broken in ("Basic", "Basic !!!", "Basic é", "Bearer cmVsYXk6b25l", "cmVsYXk6b25l"):
        assert not accepts(adapter, {"authorization": broken})
    assert accepts(adapter, {"authorization": basic("relay:one")["authorization"].replace("Basic", "bAsIc")})


def test_a_bearer_token_or_a_key_in_a_header_lets_in() -> None:
    adapter = generic(bearer=["t-1", "t-2"], api_key_header="X-Api-Key", api_keys=["k-1"])
    assert accepts(adapter, {"authorization": "Bearer t-2"})
    assert accepts(adapter, {"x-api-key": "k-1"})
    assert not accepts(adapter, {"authorization": "Bearer t-3"})
    assert not accepts(adapter, {"authorization": "Bearer "})
    assert not accepts(adapter, {"x-api-key": ""})
    assert not accepts(adapter, {})


def test_an_empty_configured_value_matches_nothing() -> None:
    adapter = generic(bearer=["t-1", ""])
    assert not accepts(adapter, {"authorization": "Bearer "})
    with pytest.raises(ValueError, match="needs secrets"):
        generic(bearer=[""])
    with pytest.raises(ValueError, match="needs secrets"):
        generic(basic_auth=[":"])


def test_a_login_beside_a_signature_is_wanted_too() -> None:
    adapter = generic("github", secrets=["s"], basic_auth=["relay:one"])
    digest = "sha256=" + hmac.new(b"s", BODY, "sha256").hexdigest()
    assert not accepts(adapter, {"x-hub-signature-256": digest})
    assert not accepts(adapter, basic("relay:one"))
    assert accepts(adapter, {"x-hub-signature-256": digest, **basic("relay:one")})


def test_unauthenticated_is_the_one_way_to_let_everyone_in() -> None:
    with pytest.raises(ValueError, match="unauthenticated"):
        generic()
    assert accepts(generic(unauthenticated=True), {})
    assert not accepts(generic(unauthenticated=True, bearer=["t"]), {})


def test_secrets_alone_mean_standard_webhooks() -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    headers = sign_standard_webhooks(BODY, secret, message_id="m-1", now_s=NOW_S)
    assert accepts(generic(secrets=[secret]), headers)
    assert not accepts(generic(secrets=[secret]), headers, body=BODY + b" ")
    assert not accepts(generic(secrets=[secret]), headers, now_s=NOW_S + 301)
    assert not accepts(generic(secrets=[secret]), headers, now_s=NOW_S - 301)
    found = generic(secrets=[secret]).parse(Inbound(BODY, headers), now_s=NOW_S)[0]
    assert isinstance(found, Event)
    assert found.delivery_id == "m-1"


def test_svix_may_use_either_spelling_of_the_headers() -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    for prefix in ("svix", "webhook"):
        headers = sign_standard_webhooks(BODY, secret, message_id="m-1", now_s=NOW_S, prefix=prefix)
        assert accepts(generic("svix", secrets=[secret]), headers)


def test_an_ed25519_key_pair_signs_and_verifies() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    seed = private.private_bytes_raw()
    headers = sign_standard_webhooks(
        BODY, "whsk_" + base64.b64encode(seed + public).decode(), message_id="m-1", now_s=NOW_S
    )
    keys = ["whpk_" + base64.b64encode(public).decode()]
    verify_standard_webhooks(Inbound(BODY, headers), [], keys, NOW_S)
    for broken in (["whpk_!!"], ["whpk_AAAA"], []):
        with pytest.raises(NotAuthentic):
            verify_standard_webhooks(Inbound(BODY, headers), [], broken, NOW_S)


def test_an_empty_whsec_is_no_key() -> None:
    forged = base64.b64encode(hmac.digest(b"", b"m-1.1772600600." + BODY, "sha256")).decode()
    headers = {"webhook-id": "m-1", "webhook-timestamp": "1772600600", "webhook-signature": f"v1,{forged}"}
    assert not accepts(generic(secrets=["whsec_"]), headers)


@pytest.mark.parametrize("hash_name", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
@pytest.mark.parametrize("stamped", [False, True])
def test_a_described_signature_is_checked_as_described(hash_name: str, encoding: str, stamped: bool) -> None:
    described: dict[str, Any] = {
        "header": "X-Acme-Sig",
        "hash": hash_name,
        "encoding": encoding,
        "prefix": "v9=",
    }
    signed = BODY
    headers = {}
    if stamped:
        described |= {
            "timestamp_header": "X-Acme-Time",
            "signed": "v9:{timestamp}:{body}!",
            "tolerance": "60s",
        }
        signed = b"v9:1772600600:" + BODY + b"!"
        headers["x-acme-time"] = "1772600600"
    digest = hmac.digest(b"s-2", signed, hash_name)
    written = {
        "hex": digest.hex(),
        "base64": base64.b64encode(digest).decode(),
        "base64url": base64.urlsafe_b64encode(digest).decode(),
    }[encoding]
    adapter = generic(secrets=["s-1", "s-2"], signature=described)
    headers["x-acme-sig"] = f"v9={written}"
    assert accepts(adapter, headers)
    assert not accepts(adapter, headers, body=BODY + b" ")
    assert not accepts(adapter, {**headers, "x-acme-sig": written})
    assert not accepts(adapter, {**headers, "x-acme-sig": f"v9={written[2:]}"})
    assert not accepts(generic(secrets=["s-3"], signature=described), headers)
    assert accepts(adapter, headers, now_s=NOW_S + 61) is not stamped


def test_a_timestamp_may_count_milliseconds() -> None:
    described = {"header": "x-sig", "timestamp_header": "x-time"}
    digest = hmac.new(b"s", b"1772600600123." + BODY, hashlib.sha256).hexdigest()
    headers = {"x-sig": digest, "x-time": "1772600600123"}
    assert accepts(generic(secrets=["s"], signature=described), headers)
    assert not accepts(generic(secrets=["s"], signature=described), headers, now_s=NOW_S + 400)


def test_a_delivery_id_may_be_signed_with_the_body() -> None:
    described = {"header": "x-sig", "id_header": "x-id", "signed": "{id}|{body}"}
    adapter = generic(secrets=["s"], signature=described)
    headers = {"x-sig": hmac.new(b"s", b"d-9|" + BODY, "sha256").hexdigest(), "x-id": "d-9"}
    assert accepts(adapter, headers)
    assert not accepts(adapter, {**headers, "x-id": "d-8"})
    (found,) = adapter.parse(Inbound(BODY, headers), now_s=NOW_S)
    assert isinstance(found, Event)
    assert found.delivery_id == "d-9"


def test_a_token_in_the_body_is_compared() -> None:
    adapter = generic(secrets=["tok-1", "tok-2"], signature={"body_token": "auth.token"})
    assert accepts(adapter, {}, body=b'{"auth": {"token": "tok-2"}, "text": "x"}')
    (found,) = adapter.parse(Inbound(b'{"auth": {"token": "tok-2"}, "text": "x"}', {}), now_s=NOW_S)
    assert isinstance(found, Event)
    assert "tok-2" not in repr(found)
    for body in (
        b'{"auth": {"token": "tok-3"}}',
        b'{"auth": {"token": ""}}',
        b'{"auth": 1}',
        b"{",
        b"[]",
        b"{}",
    ):
        assert not accepts(adapter, {}, body=body)


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        ({}, "needs header"),
        ({"header": "x", "hash": "md5"}, "hash must be"),
        ({"header": "x", "encoding": "rot13"}, "encoding must be"),
        ({"header": "x", "signed": "{timestamp}"}, "must contain {body}"),
        ({"header": "x", "signed": "{timestamp}.{body}"}, "timestamp_header"),
        ({"header": "x", "signed": "{id}.{body}"}, "id_header"),
        ({"header": "x", "tolerance": "soon"}, "tolerance"),
        ({"header": "x", "algorithm": "sha256"}, "unknown key 'algorithm'"),
        ({"header": "x", "key": "morse"}, "key must be"),
    ],
)
def test_a_signature_that_cannot_work_is_refused_with_a_sentence(
    described: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_signature(described)


def test_a_scheme_that_nobody_knows_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="scheme must be one of"):
        generic(secrets=["s"], scheme="morse")


def test_fields_that_nobody_knows_are_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="unknown key 'threat'"):
        generic(unauthenticated=True, raw={"fields": {"threat": "a"}})
    with pytest.raises(ValueError, match="dotted path"):
        generic(unauthenticated=True, raw={"fields": {"thread": 7}})
    with pytest.raises(ValueError, match="mapping"):
        generic(unauthenticated=True, raw={"fields": ["thread"]})


# ---- what is found -----------------------------------------------------------------------------------------


def test_an_envelope_with_its_own_id_is_found_by_the_usual_names() -> None:
    found = only(payload("generic/nps_answer"))
    assert found.delivery_id == "sv-2026-000042"
    assert found.thread == "5435"
    assert found.text == "Fast and friendly"
    assert (found.subject, found.label) == ("", "survey.answered")
    assert (found.sender.id, found.sender.name, found.sender.email) == (
        "59",
        "Ana Example",
        "ana@example.com",
    )
    assert found.url == "https://nps.example.com/r/5435"
    assert found.time == "2026-03-04T05:00:00.000Z"
    assert found.kind == "custom"


def test_a_flat_ticket_is_found_and_an_object_id_is_no_delivery_id() -> None:
    body = payload("generic/ticket_widget")
    found = only(body)
    assert found.subject == "Export fails"
    assert (found.ticket.status, found.ticket.priority) == ("opened", "low")
    assert found.tags == ("vip",)
    assert found.thread == "9"
    assert found.time == "2026-03-04T05:00:00.000Z"
    assert only(body).id == found.id
    assert only(body.replace(b"opened", b"closed")).id != found.id


def test_html_is_cleaned_and_kinds_of_the_contract_are_taken() -> None:
    found = only(payload("generic/conversation_html"))
    assert found.kind == "message.created"
    assert found.html == "<p>Hello <b>there</b></p>"
    assert (found.thread, found.message_id, found.subject) == ("77", "m-1", "Renewal")
    assert found.sender.bot
    assert found.channel.id == "chat"


def test_a_ticket_may_be_named_by_a_link() -> None:
    body = b'{"id": "5308", "links": {"ticket": {"href": "https://api.example.com/v1/tickets/776"}}, "body": "hi"}'
    assert only(body).thread == "776"


def test_names_are_found_in_any_spelling() -> None:
    body = b'{"Items": [{"MessageId": "<m-1@example.com>", "From": {"Name": "Ana", "Address": "ana@example.com"}}]}'
    found = only(body)
    assert found.message_id == "<m-1@example.com>"
    assert (found.sender.name, found.sender.email) == ("Ana", "ana@example.com")


def test_a_list_of_objects_is_a_batch() -> None:
    found = generic(unauthenticated=True).parse(Inbound(payload("generic/batch"), {}), now_s=NOW_S)
    assert [event.thread for event in found if isinstance(event, Event)] == ["1", "2"]
    assert len({event.id for event in found if isinstance(event, Event)}) == 2


@pytest.mark.parametrize(
    "body", [b"[]", b"[1]", b"[{},1]", b"1", b'"x"', b"null", b"[" + b"{}," * 1000 + b"{}]"]
)
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        generic(unauthenticated=True).parse(Inbound(body, {}), now_s=NOW_S)


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("Hej, exporten går inte.\nAnna", "", "Hej, exporten går inte.\nAnna"),
        ("Hej, exporten går inte.", "; charset=ISO-8859-1", "Hej, exporten går inte."),
        ('  {"text": "JSON that is called a text"}', "; charset=utf-8", "JSON that is called a text"),
    ],
)
def test_a_plain_text_is_what_was_said(body: str, charset: str, text: str) -> None:
    headers = {"content-type": f"text/plain{charset}"}
    raw = body.encode("latin-1" if "8859" in charset else "utf-8")
    (event,) = generic(unauthenticated=True).parse(Inbound(raw, headers), now_s=NOW_S)
    assert isinstance(event, Event)
    assert event.text == text


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"cut \ude00 here", "cut \ufffd here"),
        (r"\uD83D\uDE00 whole, \ud83d\ud83d\ude00", "😀 whole, \ufffd😀"),
        (r"C:\\ud83d is a path", r"C:\ud83d is a path"),
        (r"C:\\ud83d and \ud83d", "C:\\ud83d and \ufffd"),
    ],
)
def test_half_a_character_costs_one_character(escaped: str, text: str) -> None:
    """JavaScript cuts texts by UTF-16 units, and the grammar of JSON takes what is left."""
    body = f'{{"id": "1", "text": "{escaped}"}}'.encode()
    (event,) = generic(unauthenticated=True).parse(Inbound(body, {}), now_s=NOW_S)
    assert isinstance(event, Event)
    assert event.text == text


@pytest.mark.parametrize("size", [999_990, 1_000_000, 1_040_000])
def test_a_text_of_a_megabyte_is_there(size: int) -> None:
    body = b'{"id": "1", "text": "%s"}' % (b"word " * (size // 5))
    (event,) = generic(unauthenticated=True).parse(Inbound(body, {}), now_s=NOW_S)
    assert isinstance(event, Event)
    assert event.text.startswith("word word")
    assert len(event.text) >= 999_990


@pytest.mark.parametrize("body", [b"", b"  ", b"{", b"[1", b"null", b'"x'])
def test_broken_json_is_no_plain_text(body: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        generic(unauthenticated=True).parse(Inbound(body, {"content-type": "text/plain"}), now_s=NOW_S)


def test_an_empty_object_is_skipped() -> None:
    assert generic(unauthenticated=True).parse(Inbound(b"{}", {}), now_s=NOW_S) == [Skipped("empty")]


def test_configured_paths_go_over_what_was_found() -> None:
    fields = {
        "id": "meta.uid",
        "thread": "meta.refs.0.key",
        "kind": "meta.kind",
        "time": "meta.at",
        "sender.email": "meta.who",
        "ticket.status": "meta.state",
        "html": "meta.markup",
        "tags": "meta.labels",
        "subject": "meta.absent",
    }
    body = orjson.dumps(
        {
            "type": "x",
            "subject": "stays",
            "meta": {
                "uid": 9007199254740993,
                "refs": [{"key": "R-1"}],
                "kind": "ticket.solved",
                "at": 1_772_600_400,
                "who": "ana@example.com",
                "state": "done",
                "markup": "<i>a</i><script>b</script>",
                "labels": ["a", 1, "b"],
            },
        }
    )
    found = only(body, raw={"fields": fields})
    assert found.delivery_id == "9007199254740993"
    assert (found.thread, found.kind, found.time) == ("R-1", "ticket.solved", "2026-03-04T05:00:00.000Z")
    assert (found.sender.email, found.ticket.status, found.html) == ("ana@example.com", "done", "<i>a</i>")
    assert (found.tags, found.subject) == (("a", "b"), "stays")


def test_a_form_is_read_as_fields_and_a_form_of_one_json_field_as_that_json() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    found = only(b"ticket_id=7&subject=Export+fails&text=h%C3%A9llo&email=ana%40example.com", headers=form)
    assert (found.thread, found.subject, found.text) == ("7", "Export fails", "héllo")
    assert found.sender.email == "ana@example.com"
    assert only(b"payload=%7B%22ticket_id%22%3A8%7D", headers=form).thread == "8"
    batch = generic(unauthenticated=True).parse(
        Inbound(b"events=%5B%7B%22ticket_id%22%3A1%7D%2C%7B%22ticket_id%22%3A2%7D%5D", form), now_s=NOW_S
    )
    assert [event.thread for event in batch if isinstance(event, Event)] == ["1", "2"]


def test_a_multipart_form_is_read_as_fields() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="ticket_id"\r\n\r\n7\r\n--b--\r\n'
    assert only(body, headers={"content-type": "multipart/form-data; boundary=b"}).thread == "7"


def test_githubs_ping_is_a_handshake_and_its_delivery_id_is_kept() -> None:
    adapter = generic("github", secrets=["s"])
    assert adapter.parse(Inbound(b'{"zen":"x"}', {"x-github-event": "ping"}), now_s=NOW_S) == [
        Skipped("handshake")
    ]
    headers = {"x-github-event": "issue_comment", "x-github-delivery": "d-1"}
    (found,) = adapter.parse(Inbound(payload("github/issue_comment"), headers), now_s=NOW_S)
    assert isinstance(found, Event)
    assert (found.delivery_id, found.adapter, found.thread) == ("d-1", "github", "1001")
    assert found.subject


def test_stripes_event_id_is_the_delivery() -> None:
    found = only(payload("stripe/invoice_failed"), "stripe")
    assert (found.delivery_id, found.thread) == ("evt_SAMPLE42", "in_SAMPLE7")
    assert found.sender.email == "ana@example.com"


@pytest.mark.parametrize("adapter", ["gorgias", "servicenow"])
def test_a_template_that_broke_its_json_is_parked_and_not_lost(adapter: str) -> None:
    source = generic(adapter, basic_auth=["relay:one"])
    body = b'{"subject": "he said "no"", "ticket_id": 7}'
    (found,) = source.parse(Inbound(body, {}), now_s=NOW_S)
    assert isinstance(found, Parked)
    assert found == source.parse(Inbound(body, {}), now_s=NOW_S + 9)[0]


def test_gorgias_and_servicenow_bodies_are_found() -> None:
    gorgias = only(payload("gorgias/ticket_message"), "gorgias")
    assert (gorgias.thread, gorgias.subject, gorgias.ticket.status) == (
        "4711",
        "Where is my invoice?",
        "open",
    )
    assert gorgias.text == "I cannot find the invoice of March."
    incident = only(payload("servicenow/incident"), "servicenow")
    assert incident.thread == "0123456789abcdef0123456789abcdef"
    assert (incident.subject, incident.sender.email) == ("Export fails", "ana@example.com")
    row = {
        "element": "comments",
        "element_id": incident.thread,
        "sys_id": "j1",
        "value": "It works again.",
        "sys_created_by": "ana",
        "sys_created_on": "2026-03-04 05:00:00",
    }
    journal = only(orjson.dumps(row), "servicenow")
    assert (journal.thread, journal.text, journal.message_id) == (incident.thread, "It works again.", "j1")
    assert (journal.sender.name, journal.time) == ("ana", "2026-03-04T05:00:00.000Z")


# ---- moments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        *(
            1_772_600_400,
            1_772_600_400_000,
            1_772_600_400_000_000,
            1_772_600_400_000_000_000,
            1_772_600_400.0,
        ),
        *("1772600400", "1772600400000", "1772600400.000000", "2026-03-04T05:00:00Z", "2026-03-04 05:00:00"),
        *("2026-03-04T06:00:00+01:00", "2026-03-04 05:00:00 UTC", "2026-03-04 10:30:00 +0530"),
        *("2026-03-04T05:00:00.000000000Z", "Wed, 04 Mar 2026 06:00:00 +0100", "20260304T050000Z"),
        *("4 Mar 2026 06:00:00 +0100", "04 Mar 2026 05:00 GMT", "4 Mar 2026 05:00"),
    ],
)
def test_a_moment_is_read_in_every_common_spelling(written: Any) -> None:
    assert moment_us(written) == 1_772_600_400_000_000


@pytest.mark.parametrize(
    "written", [None, True, -1, 1e300, float("nan"), "", "soon", "9" * 40, "٣٣٣٣", [], "0000-00-00"]
)
def test_what_is_no_moment_is_none(written: Any) -> None:
    assert moment_us(written) is None


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.datetimes().map(str)))
def test_a_moment_is_never_outside_of_what_can_be_written(written: Any) -> None:
    found = moment_us(written)
    assert found is None or 0 <= found <= 253_402_300_799_999_999
