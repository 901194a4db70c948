"""Microsoft Graph's notifications with resource data: encrypted here as Microsoft documents it, and decrypted by the adapter;
its tokens; what it tells of the subscription itself."""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event
from relay.operations.remarks import remarks_in_words
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound, Parked, Skipped
from relay.sources.foreign_json import Walk
from relay.sources.proof.resource_data import decrypt_resource
from relay.sources.providers.graph import PUBLISHER
from relay.sources.registry import build_adapter
from tests.sources.test_jwt import NOW_S, jwks, rsa_key, token

APP, TENANT = "app-1", "tenant-1"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
CHAT = "chats('19:c@thread.v2')/messages('1772600400123')"
CHANNEL = "teams('t-1')/channels('19:room@thread.tacv2')/messages('1772600400123')/replies('1772600460000')"

MESSAGE = {
    "@odata.context": "https://graph.microsoft.com/$metadata#chats('19%3Ac%40thread.v2')/messages/$entity",
    "id": "1772600400123",
    "etag": "1772600400123",
    "messageType": "message",
    "createdDateTime": "2026-03-04T05:00:00.123Z",
    "chatId": "19:c@thread.v2",
    "webUrl": "https://teams.microsoft.com/l/message/1",
    "from": {"user": {"id": "u-1", "displayName": "Ana Example"}},
    "body": {"contentType": "html", "content": "<p>The <b>export</b> fails.</p>"},
    "attachments": [],
}


def private_pem(number: int) -> str:
    text: bytes = rsa_key(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


def private_base64(number: int) -> str:
    return b64encode(
        rsa_key(number).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    ).decode()


def encrypted(resource: Any, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """As Graph does it: a key of its own for each notification, encrypted to the subscriber's certificate."""
    data_key = secrets.token_bytes(32)
    padder = PKCS7(128).padder()
    padded = padder.update(orjson.dumps(resource)) + padder.finalize()
    encryptor = Cipher(AES(data_key), CBC(data_key[:16])).encryptor()
    data = encryptor.update(padded) + encryptor.finalize()
    padding = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)
    return {
        "data": b64encode(data).decode(),
        "dataSignature": b64encode(hmac.digest(data_key, data, "sha256")).decode(),
        "dataKey": b64encode(key.public_key().encrypt(data_key, padding)).decode(),
        "encryptionCertificateId": "cert-1",
        "encryptionCertificateThumbprint": "THUMB",
    }


def notification(
    resource: Any = MESSAGE,
    *,
    key: int = 0,
    where: str = CHAT,
    change: str = "created",
    kind: str = "chatMessage",
) -> dict[str, Any]:
    return {
        "subscriptionId": "s-1",
        "changeType": change,
        "resource": where,
        "clientState": "the-state",
        "tenantId": TENANT,
        "resourceData": {
            "@odata.type": f"#Microsoft.Graph.{kind}",
            "@odata.id": where,
            "id": "1772600400123",
        },
        "encryptedContent": encrypted(resource, rsa_key(key)),
    }


def graph(*keys: int, **more: Any) -> Adapter:
    return build_adapter(
        SourceOptions(
            name="it",
            adapter="graph",
            secrets=lambda: ("the-state",),
            private_keys=lambda: tuple(private_pem(number) for number in keys),
            **more,
        )
    )


def parse(adapter: Adapter, *items: dict[str, Any]) -> list[Any]:
    body = orjson.dumps({"value": list(items), "validationTokens": ["x"]})
    return adapter.parse(Inbound(body, {"content-type": "application/json"}), now_s=NOW_S)


def event(adapter: Adapter, item: dict[str, Any]) -> Event:
    (found,) = parse(adapter, item)
    assert isinstance(found, Event), found
    return found


# ---- what was encrypted ------------------------------------------------------------------------------------


def test_a_chat_message_is_decrypted() -> None:
    found = event(graph(0), notification())
    assert (found.kind, found.thread, found.message_id) == (
        "message.created",
        "19:c@thread.v2",
        "1772600400123",
    )
    assert (found.text, found.html) == ("The export fails.", "<p>The <b>export</b> fails.</p>")
    assert (found.sender.id, found.sender.name) == ("u-1", "Ana Example")
    assert (found.time, found.empty) == ("2026-03-04T05:00:00.123Z", "")
    assert "encryptedContent" not in found.payload
    assert found.payload["resourceData"]["body"]["content"].startswith("<p>")


def test_a_reply_in_a_channel_belongs_to_its_root() -> None:
    reply = {**MESSAGE, "id": "1772600460000", "replyToId": "1772600400123", "chatId": None}
    item = notification(reply, where=CHANNEL)
    item["resourceData"]["id"] = "1772600460000"
    found = event(graph(0), item)
    assert (found.thread, found.message_id) == ("1772600400123", "1772600460000")
    slashes = notification(
        reply, where="teams/t-1/channels/19:r/messages/1772600400123/replies/1772600460000"
    )
    assert event(graph(0), slashes).thread == "1772600400123"


def test_the_old_key_counts_until_it_is_taken_away() -> None:
    for keys in ((0,), (1, 0), (0, 1)):
        assert event(graph(*keys), notification(key=0)).text


def test_a_key_that_does_not_fit_parks_the_message_and_names_the_certificate() -> None:
    (found,) = parse(graph(1), notification(key=0))
    assert isinstance(found, Parked)
    assert "cert-1" in found.cause
    assert "private_keys" in found.cause


@pytest.mark.parametrize("name", ["data", "dataSignature", "dataKey"])
@pytest.mark.parametrize("how", ["bit", "base64", "missing", "cut"])
def test_what_was_changed_on_its_way_is_parked_alone(name: str, how: str) -> None:
    bad, good = notification(), notification()
    held = bad["encryptedContent"]
    raw = bytearray(b64decode(held[name]))
    raw[-1] ^= 1
    held[name] = {
        "bit": b64encode(raw).decode(),
        "base64": "no base64!",
        "missing": None,
        "cut": b64encode(raw[:-9]).decode(),
    }[how]
    parked, event = parse(graph(0), bad, good)
    assert isinstance(parked, Parked)
    assert isinstance(event, Event)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=40) | st.booleans(), max_size=6))
def test_any_resource_comes_back_as_it_was(resource: dict[str, Any]) -> None:
    held = Walk(encrypted(resource, rsa_key(0)))
    assert orjson.loads(decrypt_resource(held, [private_pem(0)])) == resource


def test_a_key_may_be_its_base64_in_one_line() -> None:
    assert decrypt_resource(Walk(encrypted({}, rsa_key(0))), [private_base64(0)]) == b"{}"


def test_a_key_that_is_none_lets_nothing_in() -> None:
    with pytest.raises(PayloadInvalid):
        decrypt_resource(Walk(encrypted({}, rsa_key(0))), ["-----BEGIN PRIVATE KEY-----\nnone"])


def test_without_a_key_the_words_are_to_be_looked_up() -> None:
    found = event(graph(), notification())
    assert (found.kind, found.text, found.empty) == ("message.created", "", "look_up")


# ---- what a message is -------------------------------------------------------------------------------------


def test_an_edit_and_a_deletion_carry_the_message_that_they_change() -> None:
    edit = {**MESSAGE, "lastEditedDateTime": "2026-03-04T05:10:00Z", "etag": "2"}
    found = event(graph(0), notification(edit, change="updated"))
    assert (found.kind, found.message_id) == ("message.updated", "1772600400123")
    assert found.time == "2026-03-04T05:10:00.000Z"
    gone = {**MESSAGE, "deletedDateTime": "2026-03-04T05:11:00Z", "body": {"content": ""}, "etag": "3"}
    found = event(graph(0), notification(gone, change="updated"))
    assert (found.kind, found.text) == ("message.deleted", "")
    item = notification(change="deleted")
    del item["encryptedContent"]
    assert event(graph(0), item).kind == "message.deleted"


def test_what_nobody_said_is_skipped() -> None:
    joined = {**MESSAGE, "messageType": "systemEventMessage", "body": {"content": "<systemEventMessage/>"}}
    bot = {**MESSAGE, "from": {"application": {"id": "app-2", "displayName": "Builder"}}}
    assert parse(graph(0), notification(joined), notification(bot)) == [Skipped("type"), Skipped("bot")]
    kept = event(graph(0, keep=frozenset({"bots"})), notification(bot))
    assert (kept.sender.bot, kept.sender.name) == (True, "Builder")


def test_a_mail_has_its_people_and_its_conversation() -> None:
    mail = {
        "id": "AAMk=",
        "conversationId": "conv-1",
        "receivedDateTime": "2026-03-04T05:00:00Z",
        "subject": "Export fails",
        "body": {"contentType": "html", "content": "<p>Since this morning.</p>"},
        "from": {"emailAddress": {"name": "Ana Example", "address": "ana@example.com"}},
        "toRecipients": [{"emailAddress": {"name": "Help", "address": "help@example.org"}}],
        "ccRecipients": [{"emailAddress": {"address": "kim@example.com"}}],
        "webLink": "https://outlook.office365.com/owa/?ItemID=1",
    }
    found = event(graph(0), notification(mail, where="Users/u-1/Messages/AAMk=", kind="Message"))
    assert (found.kind, found.thread, found.subject) == ("email.received", "conv-1", "Export fails")
    assert (found.text, found.sender.email) == ("Since this morning.", "ana@example.com")
    assert [(one.email, one.role) for one in found.recipients] == [
        ("help@example.org", "to"),
        ("kim@example.com", "cc"),
    ]


# ---- who sends ---------------------------------------------------------------------------------------------


def tokens(**more: Any) -> Adapter:
    rules = {
        "jwks_file": lambda: jwks(k1=rsa_key(0)),
        "issuer": ISSUER,
        "audience": APP,
        **more,
    }
    return graph(0, jwt=rules)


def microsofts(**more: Any) -> str:
    """A validation token as Microsoft gives it, but for what is said otherwise."""
    key = more.pop("key", 0)
    claims = {"iss": ISSUER, "aud": APP, "azp": PUBLISHER, "tid": TENANT, **more}
    return token(rsa_key(key), headers={"kid": "k1"}, **claims)


def accepts(adapter: Adapter, *given: Any, items: list[dict[str, Any]] | None = None) -> bool:
    body: dict[str, Any] = {"value": [notification()] if items is None else items}
    if given != (None,):
        body["validationTokens"] = list(given)
    try:
        adapter.verify(Inbound(orjson.dumps(body), {}), now_s=NOW_S)
    except NotAuthentic:
        return False
    return True


def test_microsofts_tokens_prove_a_resource() -> None:
    assert accepts(tokens(), microsofts())
    # The older token names the publisher otherwise.
    assert accepts(tokens(), microsofts(azp=None, appid=PUBLISHER))
    assert accepts(tokens(), microsofts(), microsofts(iat=NOW_S - 30))


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "app-2"},
        {"iss": "https://login.microsoftonline.com/another/v2.0"},
        {"azp": "somebody"},
        {"azp": None},
        {"azp": 7},
        {"exp": NOW_S - 3600},
        {"nbf": NOW_S + 3600},
        {"key": 1},
    ],
)
def test_a_token_that_does_not_hold_refuses_all(wrong: dict[str, Any]) -> None:
    assert not accepts(tokens(), microsofts(**wrong))
    assert not accepts(tokens(), microsofts(), microsofts(**wrong))


def test_a_resource_without_a_token_is_refused_where_tokens_are_checked() -> None:
    for listed in ((), (None,), (7,), ("",), ("a.b.c",), tuple(microsofts() for _ in range(21))):
        assert not accepts(tokens(), *listed)
    # Notices of ids alone, and of the subscription, have none.
    thin = notification()
    del thin["encryptedContent"]
    assert accepts(tokens(), None, items=[thin])
    # Without `jwt` the clientState is the proof.
    assert accepts(graph(0), None)


def test_tokens_are_checked_for_whom_they_are_meant() -> None:
    with pytest.raises(ValueError, match="audience"):
        tokens(audience="")


# ---- what is told of the subscription itself ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("reauthorizationRequired", "reauthorization_required"),
        ("subscriptionRemoved", "subscription_removed"),
        ("missed", "missed"),
        ("somethingNew", "lifecycle"),
    ],
)
def test_a_lifecycle_notice_is_no_event_and_says_what_to_do(told: str, word: str) -> None:
    notice = {"subscriptionId": "s-1", "clientState": "the-state", "lifecycleEvent": told, "tenantId": TENANT}
    assert parse(graph(0), notice) == [Skipped(word)]
    assert accepts(graph(0), None, items=[notice])
    sentences = remarks_in_words({"teams-chats": {f"skipped:{word}": 2}})
    assert bool(sentences) == (word != "lifecycle")
    assert all("teams-chats" in one and "2 so far" in one for one in sentences)
