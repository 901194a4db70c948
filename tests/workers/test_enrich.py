"""Looking up at a provider what its webhook left out: against a real HTTP server of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from relay.errors import TryLater
from workers.enrich.lookups import EnrichOptions, Lookups, enrich, read_enrich


def view(**more: Any) -> dict[str, Any]:
    base = {
        "kind": "message.created",
        "thread": "6100",
        "message_id": "mm 1",
        "subject": "",
        "text": "",
        "html": "",
    }
    return {**base, "sender": {"id": "", "name": "", "email": "", "bot": False}, "recipients": [], **more}


class Provider:
    """Answers by path; counts what was asked, with which proof."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any, dict[str, str]]] = {}
        self.asked: list[tuple[str, str]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append((self.path, self.headers.get("authorization", "")))
                status, body, headers = provider.answers.get(self.path, (404, {}, {}))
                content = body if isinstance(body, bytes) else orjson.dumps(body)
                self.send_response(status)
                for key, value in {"content-length": str(len(content)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def answer(self, path: str, body: Any, status: int = 200, **headers: str) -> None:
        self.answers[path] = (status, body, headers)


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


def lookups(provider: Provider, adapter: str, clock: list[float]) -> tuple[EnrichOptions, Lookups]:
    options = read_enrich(adapter, {"token": "t0ken", "url": provider.url, "timeout": "2s", "cache": "1m"})
    assert options is not None
    return options, Lookups(options, clock=lambda: clock[0])


def test_a_hubspot_message_gets_its_text_sender_and_recipients(
    provider: Provider, clock: list[float]
) -> None:
    provider.answer(
        "/conversations/v3/conversations/threads/6100/messages/mm%201",
        {
            "text": "Hello",
            "richText": "<p>Hello<script>x</script></p>",
            "senders": [
                {
                    "actorId": "V-1",
                    "name": "Kim Example",
                    "deliveryIdentifier": {"type": "HS_EMAIL_ADDRESS", "value": "kim@customer.example.com"},
                }
            ],
            "recipients": [{"recipientField": "TO", "deliveryIdentifier": {"value": "help@example.com"}}],
        },
    )
    options, ask = lookups(provider, "hubspot", clock)
    given = view()
    found = enrich(given, options, ask.fetch)
    assert (found["text"], found["html"]) == ("Hello", "<p>Hello</p>")
    assert found["sender"] == {
        "id": "V-1",
        "name": "Kim Example",
        "email": "kim@customer.example.com",
        "bot": False,
    }
    assert found["recipients"] == [{"name": "", "email": "help@example.com", "role": "to"}]
    assert given == view()
    assert provider.asked == [
        ("/conversations/v3/conversations/threads/6100/messages/mm%201", "Bearer t0ken")
    ]


def test_what_the_event_has_is_never_replaced_and_nothing_is_asked_for_it(
    provider: Provider, clock: list[float]
) -> None:
    options, ask = lookups(provider, "hubspot", clock)
    assert enrich(view(text="mine"), options, ask.fetch)["text"] == "mine"
    assert enrich(view(kind="message.deleted"), options, ask.fetch)["text"] == ""
    slack, ask = lookups(provider, "slack", clock)
    known = view(sender={"id": "U1", "name": "", "email": "a@example.com", "bot": False})
    assert enrich(known, slack, ask.fetch) == known
    assert provider.asked == []


def test_an_answer_is_remembered_for_its_time(provider: Provider, clock: list[float]) -> None:
    path = "/api/users.info?user=U%2F1"
    provider.answer(path, {"ok": True, "user": {"profile": {"real_name": "Kim", "email": "kim@example.com"}}})
    options, ask = lookups(provider, "slack", clock)
    given = view(sender={"id": "U/1", "name": "", "email": "", "bot": False})
    for _ in range(3):
        assert enrich(given, options, ask.fetch)["sender"]["email"] == "kim@example.com"
    assert len(provider.asked) == 1
    clock[0] += 61
    enrich(given, options, ask.fetch)
    assert len(provider.asked) == 2


def test_what_is_not_there_leaves_the_event_as_it_is(provider: Provider, clock: list[float]) -> None:
    options, ask = lookups(provider, "zendesk", clock)
    given = view(sender={"id": "501", "name": "", "email": "", "bot": False})
    assert enrich(given, options, ask.fetch) == given
    provider.answer("/api/v2/users/502.json", b"<html>not JSON")
    given = view(sender={"id": "502", "name": "", "email": "", "bot": False})
    assert enrich(given, options, ask.fetch) == given


@pytest.mark.parametrize("status", [302, 401, 403, 500, 503])
def test_a_provider_in_trouble_means_later(provider: Provider, clock: list[float], status: int) -> None:
    provider.answer("/api/v2/users/501.json", {}, status, location="https://elsewhere.example.com/")
    options, ask = lookups(provider, "zendesk", clock)
    with pytest.raises(TryLater):
        enrich(view(sender={"id": "501"}), options, ask.fetch)
    assert len(provider.asked) == 1


def test_after_a_429_nothing_is_asked_before_its_time_is_over(provider: Provider, clock: list[float]) -> None:
    path = "/api/v2/users/501.json"
    provider.answer(path, {}, 429, **{"retry-after": "7"})
    options, ask = lookups(provider, "zendesk", clock)
    for _ in range(2):
        with pytest.raises(TryLater) as caught:
            enrich(view(sender={"id": "501"}), options, ask.fetch)
        assert caught.value.retry_after_s == 7
    assert len(provider.asked) == 1
    provider.answer(path, {"user": {"name": "Kim", "email": "kim@example.com"}})
    clock[0] += 8
    assert enrich(view(sender={"id": "501"}), options, ask.fetch)["sender"]["name"] == "Kim"


def test_nobody_listening_means_later(clock: list[float]) -> None:
    options = read_enrich("zendesk", {"token": "t", "url": "http://127.0.0.1:9", "timeout": "1s"})
    assert options is not None
    with pytest.raises(TryLater):
        enrich(view(sender={"id": "1"}), options, Lookups(options).fetch)


def test_help_scout_resend_and_intercom_are_asked_for_what_they_left_out() -> None:
    answers: dict[str, Mapping[str, Any]] = {
        "https://api.helpscout.net/v2/conversations/9100/threads": {
            "_embedded": {
                "threads": [
                    {"id": 3, "type": "note", "body": "secret"},
                    {
                        "id": 2,
                        "type": "message",
                        "body": "<p>Done.</p>",
                        "createdBy": {"id": 7, "first": "Sam"},
                    },
                    {"id": 1, "type": "customer", "body": "Please."},
                ]
            }
        },
        "https://api.resend.com/emails/receiving/e-1": {"html": "<b>Hi</b>", "text": None},
        "https://api.intercom.io/contacts/u1": {"name": "Kim", "email": "kim@example.com"},
    }
    asked: list[str] = []

    def fetch(url: str) -> Mapping[str, Any]:
        asked.append(url)
        return answers[url]

    thin = view(kind="ticket.commented", thread="9100", text="a preview", html="a preview")
    done = enrich(thin, EnrichOptions("helpscout"), fetch, payload={"id": 9100})
    assert (done["text"], done["sender"]["name"]) == ("Done.", "Sam")
    mail = enrich(view(), EnrichOptions("resend"), fetch, payload={"data": {"email_id": "e-1"}})
    assert (mail["text"], mail["html"]) == ("Hi", "<b>Hi</b>")
    payload = {"data": {"item": {"contacts": {"contacts": [{"id": "u1"}]}}}}
    talk = enrich(view(sender={"id": "u1"}), EnrichOptions("intercom"), fetch, payload=payload)
    assert talk["sender"]["email"] == "kim@example.com"
    # An administrator is no contact.
    enrich(view(sender={"id": "71"}), EnrichOptions("intercom"), fetch, payload=payload)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("adapter", "raw", "word"),
    [
        ("slack", {"tokn": "x"}, "tokn"),
        ("slack", {"url": "https://slack.com"}, "token"),
        ("twilio", {"token": "x"}, "twilio"),
        ("zendesk", {"token": "x"}, "url"),
        ("zendesk", {"token": "x", "url": "http://acme.zendesk.com"}, "https"),
        ("slack", {"token": "x", "timeout": "soon"}, "duration"),
    ],
)
def test_options_that_do_not_hold_are_refused_with_a_sentence(
    adapter: str, raw: dict[str, Any], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        read_enrich(adapter, raw)
    assert read_enrich(adapter, {}) is None
