"""The client against the sandbox, and against servers that misbehave in ways the sandbox cannot."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from relay.errors import (
    PlanhatError,
    PlanhatForbidden,
    PlanhatGarbled,
    PlanhatNotFound,
    PlanhatRefused,
    PlanhatUnavailable,
    PlanhatWrongAddress,
    SettingsInvalid,
)
from relay.planhat.address import base_url, cluster_urls, extid, record_link, srcid
from relay.planhat.client import Planhat
from relay.planhat.models import Conversation
from relay.planhat.report import Forbidden, Report, Throttled, TooLarge, Unauthorized, Unavailable
from relay.planhat.sandbox import NO_QUOTAS, Fault, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from relay.planhat.transport import proxy_for
from relay.secret import SecretFile


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    sandbox = create_sandbox(token="secret", quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def sandbox(shared: tuple[Sandbox, str]) -> Sandbox:
    shared[0].reset()
    return shared[0]


@pytest.fixture
def url(shared: tuple[Sandbox, str]) -> str:
    return shared[1]


@pytest.fixture
def planhat(url: str) -> Iterator[Planhat]:
    with Planhat(url, "secret") as client:
        yield client


def conversation(external_id: str, **more: object) -> dict[str, object]:
    return {"companyId": "extid-acme", "externalId": external_id, "type": "Slack thread", **more}


ODD_IDS = ["a/b", "a b", "a?b#c", "ü", "<m@example.com>", "100%", "a%2Fb", "..", "a+b&c=d", "{x}"]


@pytest.mark.parametrize("odd", ODD_IDS)
def test_any_external_id_finds_its_way_into_the_url_and_back(
    sandbox: Sandbox, planhat: Planhat, odd: str
) -> None:
    made = planhat.create(conversation(odd, subject="one", sourceId=f"s{odd}"))
    assert planhat.get(extid(odd))["_id"] == made["_id"]
    assert planhat.get(made["_id"])["externalId"] == odd
    assert planhat.update(srcid(f"s{odd}"), {"subject": "two"})["subject"] == "two"
    assert planhat.update(extid(odd), {"subject": "three"})["subject"] == "three"
    assert planhat.delete(made["_id"])["externalId"] == odd
    with pytest.raises(PlanhatNotFound):
        planhat.get(extid(odd))


@pytest.mark.parametrize("key", ["", ".", "..", "extid-", "srcid-"])
def test_an_empty_key_never_becomes_a_call_on_the_whole_collection(
    sandbox: Sandbox, planhat: Planhat, key: str
) -> None:
    for call in (planhat.get, planhat.delete):
        with pytest.raises(PlanhatNotFound):
            call(key)
    assert not sandbox.calls


def test_listing_pages_to_the_end_and_gives_each_conversation_once(
    sandbox: Sandbox, planhat: Planhat
) -> None:
    planhat.upsert([conversation(f"x-{number}") for number in range(25)])
    ids = [row["_id"] for row in planhat.list_all(page_items=10)]
    assert len(ids) == len(set(ids)) == 25
    assert [call["operation"] for call in sandbox.calls].count("list") == 3
    assert len(list(planhat.list_all(page_items=5))) == 25  # a last page that is full, then an empty one
    assert next(iter(planhat.list_all(select=["subject"]))).keys() == {"_id"}


def test_a_conversation_that_moved_between_pages_is_given_once() -> None:
    class Moving(Planhat):
        def list_page(self, *, offset: int | None = None, **options: object) -> list[Conversation]:
            return [{"_id": key} for key in (["a", "b"] if not offset else ["b"])]

    with Moving("http://127.0.0.1:9", "t") as planhat:
        assert [row["_id"] for row in planhat.list_all(page_items=2)] == ["a", "b"]


def test_listing_filters_sorts_selects_and_cuts(sandbox: Sandbox, planhat: Planhat) -> None:
    planhat.upsert([conversation(f"x-{n}", subject=f"s{n}") for n in range(3)])
    planhat.upsert([{**conversation("y"), "companyId": "extid-globex"}])
    acme = planhat.company("extid-acme")["_id"]
    assert len(planhat.list_page(company_ids=[acme])) == 3
    page = planhat.list_page(company_ids=[acme], sort="-subject", select=["subject"], limit=2, offset=1)
    assert [row["subject"] for row in page] == ["s1", "s0"]


def test_look_ups_answer_with_typed_records(sandbox: Sandbox, planhat: Planhat) -> None:
    assert [row["name"] for row in planhat.lean_companies(external_id="globex")] == ["Globex"]
    assert planhat.company("srcid-crm-acme")["externalId"] == "acme"
    assert {row["companyId"] for row in planhat.endusers(email="kim@consultants.example")} == {
        planhat.company("extid-initech")["_id"],
        planhat.company("extid-umbrella")["_id"],
    }
    assert planhat.endusers(email="nobody@example.com") == []
    first, second = planhat.companies(limit=2, select=["name", "domains"])
    assert first["domains"] == ["example.com", "acme.example"]
    assert second["name"] == "Globex"
    assert [row["firstName"] for row in planhat.users(email="alex@ourteam.example")] == ["Alex"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("status=429", Throttled),
        ("status=500", Unavailable),
        ("status=502,body=html", Unavailable),
        ("drop", Unavailable),
        ("commit_then_drop", Unavailable),
        ("status=401", Unauthorized),
        ("status=403", Forbidden),
        ("body_limit_bytes=10", TooLarge),
        ("refuse=x", Report),
    ],
)
def test_the_bulk_upsert_answers_with_a_value_whatever_happens(
    sandbox: Sandbox, planhat: Planhat, fault: str, expected: type
) -> None:
    sandbox.faults.all.append(Fault.parse(fault))
    assert isinstance(planhat.upsert([conversation("x")]), expected)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("status=429,retry_after=7", PlanhatUnavailable),
        ("status=503", PlanhatUnavailable),
        ("drop", PlanhatUnavailable),
        ("status=401", PlanhatForbidden),
        ("status=403", PlanhatForbidden),
        ("status=404", PlanhatNotFound),
        ("status=400,body=json", PlanhatRefused),
        ("status=413", PlanhatRefused),
        ("status=206,body=json", PlanhatGarbled),
        ("status=200,body=garbled", PlanhatGarbled),
        ("status=200,body=html", PlanhatWrongAddress),
        ("status=200,body=string", PlanhatGarbled),
    ],
)
def test_a_single_operation_raises_the_error_of_its_answer(
    sandbox: Sandbox, planhat: Planhat, fault: str, expected: type[PlanhatError]
) -> None:
    sandbox.faults.all.append(Fault.parse(fault))
    with pytest.raises(expected):
        planhat.get("extid-x")
    with pytest.raises(expected):
        planhat.companies()


def test_a_named_time_to_wait_reaches_the_caller(sandbox: Sandbox, planhat: Planhat) -> None:
    sandbox.faults.all.append(Fault.parse("status=503,retry_after=7"))
    with pytest.raises(PlanhatUnavailable) as caught:
        planhat.users()
    assert caught.value.retry_after_s == 7


def test_a_refusal_keeps_what_planhat_says_out_of_its_message(sandbox: Sandbox, planhat: Planhat) -> None:
    with pytest.raises(PlanhatRefused) as caught:
        planhat.create({"subject": "no company"})
    assert "companyId" not in str(caught.value)
    assert getattr(caught.value, "detail", "") == "companyId is required"


def test_a_redirect_is_not_followed_so_that_the_token_goes_nowhere_else(sandbox: Sandbox, url: str) -> None:
    def redirect(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(f"HTTP/1.1 307 Away\r\nLocation: {url}/users\r\nContent-Length: 0\r\n\r\n".encode())

    with (
        server(redirect) as elsewhere,
        Planhat(elsewhere, "secret") as planhat,
        pytest.raises(PlanhatWrongAddress, match="RELAY_PLANHAT_URL"),
    ):
        planhat.users()
    assert not sandbox.calls


def test_nobody_listening_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with Planhat(f"http://127.0.0.1:{port}", "t") as planhat:
        answer = planhat.upsert([])
        assert isinstance(answer, Unavailable)
        assert answer.status is None
        assert "ConnectError" in answer.reason
        with pytest.raises(PlanhatUnavailable):
            planhat.users()


def test_without_a_token_nothing_is_sent(sandbox: Sandbox, url: str) -> None:
    for token in ("", "  ", "two words", "new\nline", "ü"):
        with Planhat(url, token) as planhat:
            assert isinstance(planhat.upsert([]), Unauthorized)
            with pytest.raises(PlanhatForbidden):
                planhat.users()
    assert not sandbox.calls


def test_a_token_that_is_mended_in_its_file_is_used_at_the_next_call(
    sandbox: Sandbox, url: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("wrong\n")
    with Planhat(url, SecretFile(str(file))) as planhat:
        assert isinstance(planhat.upsert([conversation("x")]), Unauthorized)
        file.write_text("secret\n")
        assert isinstance(planhat.upsert([conversation("x")]), Report)


def test_the_connection_is_kept_alive(sandbox: Sandbox, planhat: Planhat) -> None:
    opened: list[object] = []
    pool = planhat._http.client._transport._pool  # type: ignore[attr-defined]
    for _ in range(3):
        planhat.users()
        opened.append(pool.connections[0])
    assert len({id(connection) for connection in opened}) == 1


def test_large_bodies_are_compressed_when_asked(sandbox: Sandbox, url: str) -> None:
    items = [conversation(f"x-{number}", description="hello " * 50) for number in range(200)]
    with Planhat(url, "secret", gzip_over_bytes=1000) as planhat:
        answer = planhat.upsert(items)
    assert isinstance(answer, Report)
    assert answer.created == 200
    assert sandbox.calls[-1]["bytes"] < 10_000


# ---- the deadline


@contextlib.contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A raw server for one connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                serve(peer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    thread.join(timeout=5)


def drip(peer: socket.socket, head: bytes) -> None:
    peer.sendall(head)
    while True:
        peer.sendall(b"x")
        time.sleep(0.02)  # faster than any time-out between two bytes


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"]
)
def test_a_server_that_drips_its_answer_is_cut_off_at_the_deadline(head: bytes) -> None:
    with server(lambda peer: drip(peer, head)) as url, Planhat(url, "t") as planhat:
        began_s = time.monotonic()
        answer = planhat.upsert_raw(b"[]", timeout_s=0.3)
        assert isinstance(answer, Unavailable)
        assert "0.3 s" in answer.reason
        assert time.monotonic() - began_s < 2


def wait_for(done: threading.Event) -> None:
    done.wait(5)


def test_a_server_that_never_reads_is_cut_off_at_the_deadline() -> None:
    done = threading.Event()
    with server(lambda peer: wait_for(done)) as url, Planhat(url, "t") as planhat:
        began_s = time.monotonic()
        answer = planhat.upsert_raw(b"[" + b" " * 30_000_000 + b"]", timeout_s=0.3)
        assert isinstance(answer, Unavailable)
        assert time.monotonic() - began_s < 2
        done.set()


def test_a_connection_works_again_after_a_call_that_was_cut_off(sandbox: Sandbox, planhat: Planhat) -> None:
    sandbox.faults.all.append(Fault.parse("commit_then_hang,times=1"))
    assert isinstance(planhat.upsert([conversation("x")], timeout_s=0.2), Unavailable)
    answer = planhat.upsert([conversation("x")])
    assert isinstance(answer, Report)
    assert answer.nonupdates == 1


# ---- addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://api.planhat.com/", "https://api.planhat.com"),
        ("us3", "https://api-us3.planhat.com"),
        ("eu", "https://api-eu.planhat.com"),
        ("api-us3.planhat.com", "https://api-us3.planhat.com"),
        ("https://app-us3.planhat.com", "https://api-us3.planhat.com"),
        ("http://127.0.0.1:8091", "http://127.0.0.1:8091"),
        ("localhost:8091", "http://localhost:8091"),
        ("https://gateway.example/planhat", "https://gateway.example/planhat"),
    ],
)
def test_a_base_url_may_be_a_url_a_host_or_a_cluster(text: str, expected: str) -> None:
    assert base_url(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "https://", "https://u:p@x", "https://x?y=1", "http://x:port", "//"]
)
def test_what_is_no_base_url_is_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(SettingsInvalid, match="RELAY_PLANHAT_URL"):
        base_url(text)


@pytest.mark.parametrize(
    "text",
    ["https://ws.planhat.com/acme/home", "app.planhat.com", "https://www.planhat.com", "WS.planhat.com"],
)
def test_the_apps_address_is_refused_and_the_apis_named(text: str) -> None:
    with pytest.raises(
        SettingsInvalid, match=r"is Planhat's app and not its API. The API is https://api\.planhat\.com"
    ):
        base_url(text)


def test_a_record_has_a_page_in_the_app() -> None:
    assert record_link("acme", "5f01") == (
        "https://ws.planhat.com/acme/home/data-explorer/conversation?preview=Conversation.5f01"
    )
    assert record_link("", "5f01") == record_link("acme", "") == ""
    assert record_link("a/b", "x&y").endswith(
        "/a%2Fb/home/data-explorer/conversation?preview=Conversation.x%26y"
    )


def test_other_clusters_are_known_for_planhats_own_hosts_alone() -> None:
    others = cluster_urls("https://api-us3.planhat.com")
    assert "https://api.planhat.com" in others
    assert "https://api-us3.planhat.com" not in others
    assert cluster_urls("http://127.0.0.1:8081") == cluster_urls("https://notplanhat.com") == ()


def test_custom_fields_tags_and_a_new_enduser(planhat: Planhat) -> None:
    assert {"name": "Channel", "parent": "conversation"}.items() <= planhat.custom_fields()[0].items()
    assert "Renewal" in {tag["name"] for tag in planhat.activity_tags()}
    made = planhat.upsert_enduser({"email": "new@example.com", "name": "New", "companyId": "extid-acme"})
    assert [row["_id"] for row in planhat.endusers(email="new@example.com")] == [made]
    again = planhat.upsert_enduser({"email": "new@example.com", "name": "Newer", "companyId": "extid-acme"})
    assert again == made
    with pytest.raises(PlanhatRefused):
        planhat.upsert_enduser({"email": "new2@example.com", "companyId": "extid-nobody"})


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def proxy(peer: socket.socket) -> None:
        seen.append(peer.recv(65536))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    with server(proxy) as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with Planhat("http://planhat.example", "t") as planhat:
            assert planhat.users() == []
        monkeypatch.setenv("no_proxy", "planhat.example")
        assert proxy_for("http://planhat.example/x") is None
        assert proxy_for("http://other.example") == url
    assert seen[0].startswith(b"GET http://planhat.example/users HTTP/1.1")


def test_a_call_leaves_nothing_of_its_body_behind(planhat: Planhat) -> None:
    """httpx's answer and stream point at each other: a ring would keep 4 MB a call until the collector runs."""
    planhat.upsert([conversation("a-1")])
    gc.collect()
    gc.disable()
    try:
        planhat.upsert([conversation("a-2")])
        left = [thing for thing in gc.get_objects() if isinstance(thing, (httpx.Request, httpx.Response))]
    finally:
        gc.enable()
    assert left == []
