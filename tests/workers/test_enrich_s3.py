"""SES with an S3 action: the mail is read from the bucket, asked for with Amazon's signature, within its limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from relay.errors import TryLater
from relay.event import Event
from relay.sources.base import Inbound
from relay.sources.providers import ses_lookup
from relay.sources.registry import look_up_of
from tests.sources.test_every_source import NOW_S, build
from tests.workers.test_enrich import Provider, clock, provider  # noqa: F401 - fixtures
from workers.enrich.lookups import Lookups, Question, enrich, read_enrich

PAYLOADS = Path(__file__).parent.parent / "payloads" / "ses"
KEY = "AKID:se/cret"


def notified(**action: Any) -> Event:
    """The event of a notification whose mail lies in a bucket."""
    envelope = orjson.loads((PAYLOADS / "received_s3.json").read_bytes())
    message = orjson.loads(envelope["Message"])
    message["receipt"]["action"] |= {"bucketName": "my-mails", "objectKey": "in/a b+1.eml", **action}
    body = orjson.dumps({**envelope, "Message": orjson.dumps(message).decode()})
    [event] = build("ses").parse(Inbound(body, {}), now_s=NOW_S)
    assert isinstance(event, Event)
    return event


def test_the_mail_is_read_from_its_bucket(provider: Provider) -> None:  # noqa: F811
    event = notified()
    assert not event.text
    provider.answer(
        "/my-mails/in/a%20b%2B1.eml",
        b"From: Nora <nora@example.com>\r\nSubject: Export\r\nIn-Reply-To: <1@example.com>\r\n"
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n"
        b"It fails again.\r\n\r\nOn Mon, 2 Mar 2026 at 10:12, Sam <sam@example.org> wrote:\r\n> Mended.\r\n"
        b"--x\r\nContent-Type: application/pdf; name=log.pdf\r\nContent-Disposition: attachment\r\n\r\nabc\r\n--x--\r\n",
    )
    options = read_enrich("ses", {"login": KEY, "url": provider.url})
    assert options is not None
    found = enrich(event.view(), options, Lookups(options).fetch, payload=event.payload)
    assert found["text"] == "It fails again."
    assert "Mended." in found["quoted"]
    assert [file["name"] for file in found["attachments"]] == ["log.pdf"]
    [(path, proof)] = provider.asked
    assert path == "/my-mails/in/a%20b%2B1.eml"
    assert proof.startswith("AWS4-HMAC-SHA256 Credential=AKID/")


def test_a_request_is_signed_as_amazons_own_library_signs_it() -> None:
    # Made with botocore's S3SigV4Auth.
    url = "https://s3.eu-central-1.amazonaws.com/my-mails/in/a%20b%2B1.eml"
    sign = ses_lookup.SES_LOOKUP.sign
    assert sign is not None
    assert sign(url, KEY, 1772612000.0)["authorization"].endswith(
        "Signature=85bebcae19813b65b46849783ace885805adbb786816ae7aa25d48fc7b379d42"
    )
    with_session = sign("https://s3.eusc-de-east-1.amazonaws.eu/m/x", f"{KEY}:tok+/=", 1772612000.0)
    assert with_session["authorization"].endswith(
        "Signature=8a7a2a960845acf232ad0ef8c2c666e431d8c2047fa9a25fcaf342b818f55d7e"
    )


@pytest.mark.parametrize(
    ("action", "place"),
    [
        ({"topicArn": "arn:aws:sns:eu-west-1:1:t"}, "https://s3.eu-west-1.amazonaws.com"),
        ({"topicArn": "arn:aws-cn:sns:cn-north-1:1:t"}, "https://s3.cn-north-1.amazonaws.com.cn"),
        ({"topicArn": "arn:aws-eusc:sns:eusc-de-east-1:1:t"}, "https://s3.eusc-de-east-1.amazonaws.eu"),
        ({"topicArn": "arn:other:sns:eu-west-1:1:t"}, ""),
        ({"topicArn": "arn:aws:sns:evil.example/:1:t"}, ""),
        ({"topicArn": ""}, ""),
    ],
)
def test_the_bucket_is_asked_for_in_the_topics_region(action: dict[str, Any], place: str) -> None:
    asked: list[str] = []

    def fetch(question: Question) -> dict[str, Any]:
        asked.append(question.url)
        return {}

    options = read_enrich("ses", {"login": KEY})
    assert options is not None
    event = notified(**action)
    enrich(event.view(), options, fetch, payload=event.payload)
    assert asked == ([f"{place}/my-mails/in/a%20b%2B1.eml"] if place else [])


@pytest.mark.parametrize("action", [{"bucketName": "../x"}, {"objectKey": "a/../b"}, {"objectKey": ""}])
def test_a_notification_leads_to_no_other_place(action: dict[str, Any]) -> None:
    event = notified(**action)
    options = read_enrich("ses", {"login": KEY})
    assert options is not None
    assert enrich(event.view(), options, lambda _: pytest.fail("asked"), payload=event.payload)["text"] == ""


def test_a_mail_over_the_limit_or_unreadable_leaves_the_event_as_it_is(
    provider: Provider,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = notified(objectKey="m")
    options = read_enrich("ses", {"login": KEY, "url": provider.url})
    assert options is not None
    tool = Lookups(options)
    provider.answer("/my-mails/m", b"Subject: x\r\n\r\n" + b"a\r\n" * 1000)
    tool._look_up = replace(ses_lookup.SES_LOOKUP, max_bytes=100)
    assert enrich(event.view(), options, tool.fetch, payload=event.payload)["text"] == ""
    provider.answer("/my-mails/m", {}, status=403)
    with pytest.raises(TryLater):
        enrich(event.view(), options, tool.fetch, payload=event.payload)


def test_a_key_is_asked_for() -> None:
    assert look_up_of("ses") is ses_lookup.SES_LOOKUP
    with pytest.raises(ValueError, match="id:secret"):
        read_enrich("ses", {"token": "x"})
