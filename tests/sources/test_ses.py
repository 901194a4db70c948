"""SES through SNS: whose signature, whose topic, which hosts are asked; and the mail in the message in the envelope."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.door.house import House, furnish
from relay.door.intake import Intake
from relay.errors import NotAuthentic, UserError, VerificationUnavailable
from relay.event import Attachment, Event
from relay.outbox.items import Entry, Recorded
from relay.rules.file.load import load
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parsed, Reply, Skipped
from relay.sources.proof.sns import (
    amazon_url,
    certificate_url,
    confirmation_url,
    private_key_of,
    sign_envelope,
)
from relay.sources.providers.ses import Ses
from tests.environ import WEAK
from tests.places import PAYLOADS
from tests.sns_certificate import TOPIC, certificate_file

MINE = PAYLOADS / "ses"
#: A minute after what the payloads say.
NOW_S = 1_772_534_473.0


def ses(*files: str, topic: str = TOPIC) -> Ses:
    adapter = Ses(SourceOptions(name="mail", adapter="ses", topics=(topic,), certificate_files=files))
    adapter.certificates.fetch = unreachable
    return adapter


def shop_with_ses(folder: Path) -> House:
    file = folder / "ses.yaml"
    file.write_text(
        "planhat: {types: [Support email]}\n"
        f"sources: {{mail: {{adapter: ses, topics: ['{TOPIC}'], type: Support email}}}}\n"
        "companies: [{default: extid-acme}]\n",
        encoding="utf-8",
    )
    return furnish(*load(str(file), WEAK))


class Kept:
    """Records nothing and says that all of it is durable."""

    async def record(self, entries: Sequence[tuple[Entry, float]]) -> list[Recorded]:
        return [Recorded(entry.event_id) for entry, _ in entries]


def unreachable(url: str) -> bytes:
    raise VerificationUnavailable("no network in tests")


def envelope(name: str, **changes: Any) -> dict[str, Any]:
    found = orjson.loads((MINE / f"{name}.json").read_bytes()) | changes
    return {key: value for key, value in found.items() if value is not None}


def inbound(message: dict[str, Any]) -> Inbound:
    return Inbound(orjson.dumps(message), {"content-type": "text/plain; charset=UTF-8"})


def signed(name: str, **changes: Any) -> dict[str, Any]:
    private = private_key_of([certificate_file()])
    assert private is not None
    return sign_envelope(envelope(name, **changes), private)


def parsed(name: str) -> Parsed:
    (found,) = ses().parse(inbound(envelope(name)), now_s=NOW_S)
    return found


def event(name: str) -> Event:
    found = parsed(name)
    assert isinstance(found, Event)
    return found


def test_an_inline_mail_is_read_in_both_encodings() -> None:
    text, encoded = event("received"), event("received_base64")
    assert (text.id, text.text, text.html) == (encoded.id, encoded.text, encoded.html)
    assert text.text == "Schön, 25 ist richtig."
    assert text.thread == "<q1-8841@mail.acme.example>"
    assert text.attachments == (Attachment("Plätze.pdf", "application/pdf", 11),)
    assert text.recipients[-1].role == "envelope"
    assert text.tags == ("spam",)
    assert "content" not in text.payload


def test_a_mail_that_lies_in_s3_is_an_event_of_what_is_known() -> None:
    found = event("received_s3")
    assert found.id == event("received").id
    assert (found.subject, found.text, found.url) == ("Re: Seats", "", "s3://mails/in/sesid0001")
    assert (found.sender.email, found.thread) == ("omar@acme.example", "<q1-8841@mail.acme.example>")


def test_other_notifications_are_skipped() -> None:
    assert parsed("bounce") == Skipped("bounce")
    assert parsed("plain") == Skipped("type")


def test_a_signature_of_a_trusted_certificate_holds() -> None:
    ses(certificate_file()).verify(inbound(signed("received")), now_s=NOW_S)


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "another"},
        {"Subject": "another"},
        {"Timestamp": "2026-03-03T10:40:14.000Z"},
        {"Signature": "AAAA"},
        {"Signature": "not base64 é"},
        {"SignatureVersion": "1"},
        {"SignatureVersion": "3"},
        {"SigningCertURL": "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem"},
        {"SigningCertURL": "http://sns.eu-central-1.amazonaws.com/a.pem"},
        {"SigningCertURL": None},
        {"Type": "SubscriptionConfirmation"},
        {"Type": "Other"},
        {"Message": 7},
    ],
    ids=str,
)
def test_what_was_changed_after_signing_is_refused(change: dict[str, Any]) -> None:
    changed = signed("received") | change
    with pytest.raises(NotAuthentic):
        ses(certificate_file()).verify(inbound(changed), now_s=NOW_S)


def test_another_topic_is_refused_before_anything_is_fetched() -> None:
    asked: list[str] = []
    adapter = ses(topic="arn:aws:sns:eu-central-1:111122223333:another")
    adapter.certificates.fetch = lambda url: asked.append(url) or b""  # type: ignore[func-returns-value]
    with pytest.raises(NotAuthentic):
        adapter.verify(inbound(signed("received")), now_s=NOW_S)
    assert asked == []


def test_raw_message_delivery_is_refused() -> None:
    with pytest.raises(NotAuthentic):
        ses().verify(Inbound(b'{"notificationType":"Received","content":"x"}', {}), now_s=NOW_S)


def test_a_certificate_is_fetched_once() -> None:
    asked: list[str] = []
    adapter = ses()

    def fetch(url: str) -> bytes:
        asked.append(url)
        return Path(certificate_file()).read_bytes()

    adapter.certificates.fetch = fetch
    for _ in range(3):
        adapter.verify(inbound(signed("received")), now_s=NOW_S)
    assert asked == ["https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a1b.pem"]


def test_a_certificate_is_fetched_beside_the_event_loop(tmp_path: Path) -> None:
    """Other requests go on meanwhile: the fetch here returns only after the loop has run on."""
    house = shop_with_ses(tmp_path)
    source = house.sources["mail"]
    assert isinstance(source.adapter, Ses)

    async def receive() -> Any:
        loop, went_on = asyncio.get_running_loop(), threading.Event()

        def fetch(url: str) -> bytes:
            loop.call_soon_threadsafe(went_on.set)
            assert went_on.wait(10), "the event loop was held"
            return Path(certificate_file()).read_bytes()

        source.adapter.certificates.fetch = fetch  # type: ignore[attr-defined]
        intake = Intake(house=house, records=Kept(), clock=lambda: NOW_S)
        return await intake.receive(source, inbound(signed("received")))

    assert asyncio.run(receive()).status == "accepted"


def test_a_certificate_that_cannot_be_fetched_means_later() -> None:
    asked: list[str] = []
    adapter = ses()

    def fetch(url: str) -> bytes:
        asked.append(url)
        return b"<html>no certificate</html>"

    adapter.certificates.fetch = fetch
    for _ in range(3):
        with pytest.raises(VerificationUnavailable):
            adapter.verify(inbound(signed("received")), now_s=NOW_S)
    # A flood of forgeries is no flood of fetches.
    assert len(asked) == 1


def test_a_subscription_is_confirmed_by_asking_for_its_url() -> None:
    asked: list[str] = []
    adapter = ses(certificate_file())
    adapter.certificates.fetch = lambda url: asked.append(url) or b"ok"  # type: ignore[func-returns-value]
    request = inbound(signed("subscription"))
    adapter.verify(request, now_s=NOW_S)
    reply = adapter.handshake(request, now_s=NOW_S)
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert asked == [envelope("subscription")["SubscribeURL"]]


def test_a_subscription_is_confirmed_later_if_amazon_is_away_and_nowhere_else() -> None:
    adapter = ses(certificate_file())
    with pytest.raises(VerificationUnavailable):
        adapter.handshake(inbound(signed("subscription")), now_s=NOW_S)
    elsewhere = signed("subscription", SubscribeURL="https://evil.example/?Action=ConfirmSubscription")
    with pytest.raises(NotAuthentic):
        adapter.handshake(inbound(elsewhere), now_s=NOW_S)


def test_the_end_of_a_subscription_is_not_answered_by_subscribing_again() -> None:
    request = inbound(signed("subscription", Type="UnsubscribeConfirmation"))
    adapter = ses(certificate_file())
    adapter.verify(request, now_s=NOW_S)
    assert adapter.handshake(request, now_s=NOW_S) is None
    assert adapter.parse(request, now_s=NOW_S) == [Skipped("lifecycle")]


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://sns.eu-central-1.amazonaws.com/a.pem", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/a.pem", True),
        ("https://sns.us-gov-west-1.amazonaws.com/a.pem", True),
        ("https://sns.eusc-de-east-1.amazonaws.eu/a.pem", True),
        ("https://sns.us-iso-east-1.c2s.ic.gov/a.pem", True),
        ("https://sns.us-isob-east-1.sc2s.sgov.gov/a.pem", True),
        ("https://sns.eu-isoe-west-1.cloud.adc-e.uk/a.pem", True),
        ("https://sns.us-isof-south-1.csp.hci.ic.gov/a.pem", True),
        ("https://sns.eu-central-1.api.aws/a.pem", True),
        ("https://sns.eusc-de-east-1.amazonaws.eu.evil.example/a.pem", False),
        ("https://sns.eu-central-1.amazonawsxeu/a.pem", False),
        ("https://sns.eu-central-1.amazonaws.com/a.pem?x=1", False),
        ("https://sns.eu-central-1.amazonaws.com:8443/a.pem", False),
        ("https://user@sns.eu-central-1.amazonaws.com/a.pem", False),
        ("https://sns.eu-central-1.amazonaws.com@evil.example/a.pem", False),
        ("https://sns.eu-central-1.amazonaws.com\\@evil.example/a.pem", False),
        ("https://sns.eu-central-1.amazonaws.com.evil.example/a.pem", False),
        ("https://sns.evil.example/sns.eu-central-1.amazonaws.com/a.pem", False),
        ("https://evil.s3.amazonaws.com/a.pem", False),
        ("https://snsxeu-central-1.amazonaws.com/a.pem", False),
        ("https://sns.eu-central-1.amazonaws.com/a.txt", False),
        ("https://sns.eu-central-1.amazonaws.com", False),
        ("http://sns.eu-central-1.amazonaws.com/a.pem", False),
        ("https://[/a.pem", False),
        ("", False),
    ],
)
def test_certificates_come_from_amazons_hosts_only(url: str, wanted: bool) -> None:
    assert certificate_url(url) is wanted


@given(st.text(max_size=60).map("https://sns.eu-central-1.amazonaws.com".__add__) | st.text(max_size=60))
def test_any_url_is_judged(url: str) -> None:
    if amazon_url(url):
        assert url.startswith("https://sns.eu-central-1.amazonaws.com")
        rest = url.removeprefix("https://sns.eu-central-1.amazonaws.com").removeprefix(".cn")
        assert rest[:1] in ("", "/", "?", "#")
    confirmation_url(url)


def test_a_sample_is_signed_with_a_certificate_of_ours_or_not_at_all() -> None:
    adapter = ses(certificate_file())
    sample = adapter.sign(adapter.sample(serial=1, now_s=NOW_S), now_s=NOW_S, url="")
    adapter.verify(Inbound(sample.body, sample.headers), now_s=NOW_S)
    with pytest.raises(UserError, match="Amazon alone"):
        ses().sign(sample, now_s=NOW_S, url="")


def test_a_missing_topic_or_an_unreadable_certificate_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="topics"):
        Ses(SourceOptions(name="mail", adapter="ses"))
    with pytest.raises(ValueError, match="cannot be read"):
        ses(str(tmp_path / "absent.pem"))
    (tmp_path / "odd.pem").write_text("x")
    with pytest.raises(ValueError, match="no RSA certificate"):
        ses(str(tmp_path / "odd.pem"))


@pytest.mark.parametrize("moved_s", [-7 * 3600, 3600])
def test_a_message_of_another_time_is_refused_however_well_it_is_signed(moved_s: float) -> None:
    adapter = ses(certificate_file())
    adapter.verify(inbound(signed("received")), now_s=NOW_S)
    with pytest.raises(NotAuthentic, match="authenticated") as refused:
        adapter.verify(inbound(signed("received")), now_s=NOW_S - moved_s)
    assert refused.value.reason == "stale"


def test_a_message_larger_than_any_of_sns_is_not_even_read() -> None:
    message = signed("received", Message="x" * 2_100_000)
    with pytest.raises(NotAuthentic):
        ses(certificate_file()).verify(inbound(message), now_s=NOW_S)
