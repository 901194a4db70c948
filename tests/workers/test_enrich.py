"""Looking up at a provider what its webhook left out: against a real HTTP server of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from relay.errors import TryLater
from workers.enrich.lookups import EnrichOptions, Lookups, Question, enrich, read_enrich


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
        self.posted: list[bytes] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                provider.posted.append(self.rfile.read(int(self.headers["content-length"])))
                self.do_GET()

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


def test_a_hubspot_message_that_is_a_file_has_the_file(provider: Provider, clock: list[float]) -> None:
    """A picture or a voice note by WhatsApp or Messenger comes without a text."""
    voice = {
        "type": "FILE",
        "fileId": "7",
        "fileUsageType": "AUDIO",
        "name": "voice.ogg",
        "url": "https://f.example/7",
    }
    unnamed = {"type": "FILE", "fileId": "8", "fileUsageType": "IMAGE"}
    provider.answer(
        "/conversations/v3/conversations/threads/6100/messages/mm%201",
        {"type": "MESSAGE", "text": "", "attachments": [voice, unnamed, {"type": "QUICK_REPLIES"}, None]},
    )
    options, ask = lookups(provider, "hubspot", clock)
    files = enrich(view(), options, ask.fetch)["attachments"]
    assert [(file["name"], file["type"], file["url"]) for file in files] == [
        ("voice.ogg", "audio", "https://f.example/7"),
        ("image", "image", ""),
    ]
    known = [{"name": "known", "type": "", "size": None, "url": ""}]
    assert enrich(view(attachments=known), options, ask.fetch)["attachments"] == known


def test_a_hubspot_comment_is_not_read_unless_its_source_keeps_it(
    provider: Provider, clock: list[float]
) -> None:
    """Older notices do not say what kind of message they are of."""
    provider.answer(
        "/conversations/v3/conversations/threads/6100/messages/mm%201",
        {"type": "COMMENT", "text": "He pays late", "senders": [{"actorId": "A-1", "name": "Sam"}]},
    )
    options, ask = lookups(provider, "hubspot", clock)
    found = enrich(view(), options, ask.fetch, payload={"objectId": 6100})
    assert (found["text"], found["sender"]) == ("", view()["sender"])
    assert enrich(view(), options, ask.fetch, payload={"messageType": "COMMENT"})["text"] == "He pays late"


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

    def fetch(question: Question) -> Mapping[str, Any]:
        asked.append(question.url)
        return answers[question.url]

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


def graph(provider: Provider, clock: list[float]) -> tuple[EnrichOptions, Lookups]:
    options = read_enrich(
        "graph", {"login": "app-1:s3cret&x", "token_url": f"{provider.url}/token", "url": provider.url}
    )
    assert options is not None
    return options, Lookups(options, clock=lambda: clock[0])


CHAT = "chats('19:c@thread.v2')/messages('1772600400123')"
CHAT_PATH = "/chats('19:c@thread.v2')/messages('1772600400123')"
CHAT_MESSAGE = {
    "id": "1772600400123",
    "messageType": "message",
    "createdDateTime": "2026-03-04T05:00:00.123Z",
    "from": {"user": {"id": "u-1", "displayName": "Ana Example"}},
    "body": {"contentType": "html", "content": "<p>Is the <b>export</b> up again?</p>"},
    "attachments": [
        {"contentType": "reference", "name": "log.txt", "contentUrl": "https://example.com/log.txt"}
    ],
}


def test_a_teams_message_is_asked_for_with_a_token_for_the_app(
    provider: Provider, clock: list[float]
) -> None:
    provider.answer("/token", {"access_token": "lent-1", "expires_in": 3600, "token_type": "Bearer"})
    provider.answer(CHAT_PATH, CHAT_MESSAGE)
    options, ask = graph(provider, clock)
    found = enrich(view(id="evt_1"), options, ask.fetch, payload={"resource": CHAT})
    assert (found["text"], found["sender"]["name"]) == ("Is the export up again?", "Ana Example")
    assert [one["name"] for one in found["attachments"]] == ["log.txt"]
    assert provider.posted == [
        b"grant_type=client_credentials&client_id=app-1&client_secret=s3cret%26x"
        b"&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
    ]
    # An edit is asked for anew, with the token that still holds; the same event is not asked for twice.
    provider.answer(CHAT_PATH, {**CHAT_MESSAGE, "body": {"contentType": "text", "content": "It is."}})
    for event, text in (("evt_1", "Is the export up again?"), ("evt_2", "It is.")):
        again = enrich(view(id=event), options, ask.fetch, payload={"resource": CHAT})
        assert again["text"] == text
    assert [path for path, _ in provider.asked] == ["/token", CHAT_PATH, CHAT_PATH]
    assert {proof for path, proof in provider.asked if path == CHAT_PATH} == {"Bearer lent-1"}


def test_a_token_that_ends_or_is_refused_is_replaced(provider: Provider, clock: list[float]) -> None:
    provider.answer("/token", {"access_token": "lent-1", "expires_in": 3600})
    provider.answer(CHAT_PATH, CHAT_MESSAGE)
    options, ask = graph(provider, clock)
    enrich(view(id="evt_1"), options, ask.fetch, payload={"resource": CHAT})
    clock[0] += 3541
    provider.answer("/token", {"access_token": "lent-2", "expires_in": 3600})
    enrich(view(id="evt_2"), options, ask.fetch, payload={"resource": CHAT})
    provider.answer(CHAT_PATH, {}, 401)
    with pytest.raises(TryLater):
        enrich(view(id="evt_3"), options, ask.fetch, payload={"resource": CHAT})
    provider.answer("/token", {"access_token": "lent-3", "expires_in": 3600})
    provider.answer(CHAT_PATH, CHAT_MESSAGE)
    enrich(view(id="evt_3"), options, ask.fetch, payload={"resource": CHAT})
    used = [proof for path, proof in provider.asked if path == CHAT_PATH]
    assert used == ["Bearer lent-1", "Bearer lent-2", "Bearer lent-2", "Bearer lent-3"]


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 401), ({"error": "invalid_client"}, 200), (b"<html>", 200), ({"access_token": "a\nb"}, 200)],
)
def test_without_a_token_nothing_is_asked(
    provider: Provider, clock: list[float], body: Any, status: int
) -> None:
    provider.answer("/token", body, status)
    options, ask = graph(provider, clock)
    with pytest.raises(TryLater):
        enrich(view(id="evt_1"), options, ask.fetch, payload={"resource": CHAT})
    assert [path for path, _ in provider.asked] == ["/token"]


@pytest.mark.parametrize(
    "resource",
    ["", "../../beta/me", "chats/../users", "https://elsewhere.example.com/x", "x?$expand=y", "x#y"],
)
def test_a_notification_leads_to_no_other_place(
    provider: Provider, clock: list[float], resource: str
) -> None:
    provider.answer("/token", {"access_token": "lent-1", "expires_in": 3600})
    options, ask = graph(provider, clock)
    assert enrich(view(id="evt_1"), options, ask.fetch, payload={"resource": resource})["text"] == ""
    for path, _ in provider.asked:
        assert ".." not in path
        assert "?" not in path
        assert not path.startswith("//")


def test_a_mail_is_asked_for_with_its_people(provider: Provider, clock: list[float]) -> None:
    provider.answer("/token", {"access_token": "lent-1", "expires_in": 3600})
    provider.answer(
        "/Users/u-1/Messages/AAMk==",
        {
            "id": "AAMk==",
            "subject": "Export fails",
            "body": {"contentType": "html", "content": "<p>Since this morning.</p>"},
            "from": {"emailAddress": {"name": "Ana Example", "address": "ana@example.com"}},
            "toRecipients": [{"emailAddress": {"name": "", "address": "help@example.org"}}],
        },
    )
    options, ask = graph(provider, clock)
    found = enrich(view(id="e"), options, ask.fetch, payload={"resource": "Users/u-1/Messages/AAMk=="})
    assert (found["subject"], found["text"]) == ("Export fails", "Since this morning.")
    assert found["sender"]["email"] == "ana@example.com"
    assert found["recipients"] == [{"name": "", "email": "help@example.org", "role": "to"}]


def test_a_meeting_is_asked_for_by_graphql(provider: Provider, clock: list[float]) -> None:
    meeting = {
        "title": "Quarterly review",
        "host_email": "sam@example.org",
        "meeting_attendees": [
            {"displayName": "Sam Support", "email": "sam@example.org"},
            {"displayName": "Ana Example", "email": "ana@example.com"},
        ],
        "summary": {"overview": "", "action_items": None},
        "sentences": [{"speaker_name": "Ana", "text": "Can we add a team?"}, {"text": "In May."}],
    }
    provider.answer("/graphql", {"data": {"transcript": meeting}})
    options, ask = lookups(provider, "fireflies", clock)
    told = view(id="evt_1", kind="call.ended", thread="ASxw")
    found = enrich(told, options, ask.fetch)
    assert (found["subject"], found["text"]) == (
        "Quarterly review",
        "Ana: Can we add a team?\nSomebody: In May.",
    )
    assert found["sender"]["name"] == "Sam Support"
    assert found["recipients"] == [{"name": "Ana Example", "email": "ana@example.com", "role": "to"}]
    asked = orjson.loads(provider.posted[0])
    assert asked["variables"] == {"transcriptId": "ASxw"}
    assert provider.asked == [("/graphql", "Bearer t0ken")]
    # The summary comes with the next event.
    meeting["summary"] = {"overview": "A second team in May.", "action_items": "Send the offer"}
    found = enrich({**told, "id": "evt_2"}, options, ask.fetch)
    assert found["text"] == "Summary\nA second team in May.\nAction items\nSend the offer"


@pytest.mark.parametrize(("code", "later"), [("too_many_requests", True), ("object_not_found", False)])
def test_an_error_with_status_200_is_no_answer(
    provider: Provider, clock: list[float], code: str, later: bool
) -> None:
    provider.answer("/graphql", {"data": {"transcript": None}, "errors": [{"code": code, "message": "m"}]})
    options, ask = lookups(provider, "fireflies", clock)
    told = view(id="evt_1", kind="call.ended", thread="ASxw")
    if later:
        with pytest.raises(TryLater):
            enrich(told, options, ask.fetch)
    else:
        assert enrich(told, options, ask.fetch)["text"] == ""


def test_slacks_pause_with_status_200_is_kept(provider: Provider, clock: list[float]) -> None:
    provider.answer("/api/users.info?user=U1", {"ok": False, "error": "ratelimited"})
    options, ask = lookups(provider, "slack", clock)
    with pytest.raises(TryLater):
        enrich(view(sender={"id": "U1"}), options, ask.fetch)


def test_a_note_and_a_new_ticket_are_asked_for(provider: Provider, clock: list[float]) -> None:
    provider.answer(
        "/v2/notes/note%2F1", {"data": {"fields": {"name": "Second team", "content": "<p>They want it.</p>"}}}
    )
    options, ask = lookups(provider, "productboard", clock)
    found = enrich(view(id="evt_1", kind="ticket.created", thread="note/1"), options, ask.fetch)
    assert (found["subject"], found["text"]) == ("Second team", "They want it.")
    parts = {"content": [{"content": "They want it."}, {"content": "In May."}]}
    provider.answer("/v2/notes/note%2F1", {"data": {"fields": parts}})
    found = enrich(view(id="evt_2", kind="message.updated", thread="note/1"), options, ask.fetch)
    assert found["text"] == "They want it.\nIn May."

    provider.answer(
        "/crm/v3/objects/tickets/77?properties=subject,content",
        {"id": "77", "properties": {"subject": "Export fails", "content": "Since this morning."}},
    )
    options, ask = lookups(provider, "hubspot", clock)
    notice = {"subscriptionType": "ticket.creation", "objectId": 77}
    ticket = view(kind="ticket.created", thread="ticket-77", message_id="ticket-77")
    found = enrich(ticket, options, ask.fetch, payload=notice)
    assert (found["subject"], found["text"]) == ("Export fails", "Since this morning.")
    # A conversation that began has no ticket's words.
    began = {"subscriptionType": "conversation.creation", "objectId": 77}
    assert enrich(view(kind="ticket.created"), options, ask.fetch, payload=began)["text"] == ""


@pytest.mark.parametrize(
    ("adapter", "raw", "word"),
    [
        ("slack", {"tokn": "x"}, "tokn"),
        ("slack", {"url": "https://slack.com"}, "token"),
        ("twilio", {"token": "x"}, "twilio"),
        ("zendesk", {"token": "x"}, "url"),
        ("zendesk", {"token": "x", "url": "http://acme.zendesk.com"}, "https"),
        ("slack", {"token": "x", "timeout": "soon"}, "duration"),
        ("graph", {"token": "x", "token_url": "https://login.example.com/token"}, "login"),
        ("graph", {"login": "a:b", "token_url": "http://login.example.com/token"}, "https"),
    ],
)
def test_options_that_do_not_hold_are_refused_with_a_sentence(
    adapter: str, raw: dict[str, Any], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        read_enrich(adapter, raw)
    assert read_enrich(adapter, {}) is None
