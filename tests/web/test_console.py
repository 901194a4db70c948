"""The console over HTTP: who gets in, that a form of another page changes nothing, that hostile payloads stay text, and
that every page is there when there is nothing, much, or no Redis."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
import redis
from starlette.applications import Starlette
from starlette.routing import Route

from relay.operations.progress import Operation
from relay.operations.sign_in import make_code
from relay.outbox.audit import read_audit
from relay.outbox.sessions import Sessions
from relay.web import console
from relay.web.access import COOKIE, Access, access_of
from relay.web.console.frame import Frame
from relay.web.console.view import Handler, PageRoute
from tests.operating import BROKEN_SUBJECT, NOON, Caller, Shop

TOKEN = "operators-only-" + "x" * 20
PAGES = (
    "/console", "/console/dead", "/console/trace", "/console/sources", "/console/rules", "/console/differences",
    "/console/audit",
)  # fmt: skip
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} \u202e\x07"


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path, token=TOKEN)


def browser_of(shop: Shop, **more: str) -> Caller:
    app = Starlette(routes=list(console.routes(shop.context)))
    return Caller(app, address=more.pop("address", "203.0.113.9"), headers=more)


@pytest.fixture
def browser(shop: Shop) -> Caller:
    """Signed in."""
    browser = browser_of(shop)
    assert sign_in(browser).status_code == 303
    return browser


def sign_in(browser: Caller, token: str = TOKEN, **more: str) -> httpx.Response:
    return browser.post("/console/sign-in", data={"token": token, "name": "Ann", **more})


def csrf_of(browser: Caller, path: str = "/console") -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get(path).text)
    assert found
    return found[1]


# -- who gets in -------------------------------------------------------------------------------------------------


def test_signing_in_sets_a_strict_cookie_and_leads_back(shop: Shop) -> None:
    browser = browser_of(shop)
    away = browser.get("/console/dead?source=slack")
    assert away.status_code == 303
    assert away.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fdead%3Fsource%3Dslack"

    response = sign_in(browser, next="/console/dead?source=slack")

    assert response.headers["location"] == "/console/dead?source=slack"
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "console:Ann" in browser.get("/console").text
    assert TOKEN not in response.headers["set-cookie"]


@pytest.mark.parametrize(
    "next_path", ["https://evil.example", "//evil.example", "/console/../x\\y", "/hooks", "/console/sign-out"]
)
def test_signing_in_leads_nowhere_else(shop: Shop, next_path: str) -> None:
    assert sign_in(browser_of(shop), next=next_path).headers["location"] == "/console"


def test_wrong_tokens_are_refused_and_slowed_down(shop: Shop) -> None:
    browser = browser_of(shop)
    answers = [sign_in(browser, "wrong") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    # Whoever guesses beside it, the right one opens.
    assert sign_in(browser).status_code == 303


def test_a_session_ends_and_dies_with_its_token(redis_client: redis.Redis, tmp_path: Path) -> None:
    token, now = [TOKEN], [1_000_000.0]
    shop = Shop(redis_client, tmp_path, token=TOKEN)
    access = Access(Sessions(shop.outbox), operator=lambda: token[0], clock=lambda: now[0])
    browser = Caller(Starlette(routes=list(console.routes(shop.context, access))), address="203.0.113.9")
    sign_in(browser)
    assert browser.get("/console").status_code == 200
    now[0] += 13 * 3600
    assert browser.get("/console").status_code == 303
    sign_in(browser)
    assert browser.get("/console").status_code == 200
    token[0] = "another"
    assert browser.get("/console").status_code == 303


@pytest.mark.parametrize(
    "change",
    [lambda c: c[:-1] + "0", lambda c: c.replace("v1.", "v1.9"), lambda c: "v1.1.1.1.1", lambda c: "ü"],
)
def test_a_forged_session_is_no_session(shop: Shop, browser: Caller, change: object) -> None:
    good = browser.cookies[COOKIE]
    forged = change(good)  # type: ignore[operator]
    if forged == good:
        forged = good[:-1] + "1"
    other = browser_of(shop)
    response = other.get("/console", headers={b"cookie": f"{COOKIE}={forged}".encode()})
    assert response.status_code == 303


def test_signing_out_ends_the_session_wherever_its_cookie_is(shop: Shop, browser: Caller) -> None:
    kept = browser.cookies[COOKIE]
    assert browser.get("/console").status_code == 200
    assert browser.post("/console/sign-out", data={"csrf": csrf_of(browser)}).status_code == 303
    again = browser_of(shop).get("/console", headers={"cookie": f"{COOKIE}={kept}"})
    assert again.status_code == 303
    assert [line.what for line in read_audit(shop.outbox)[0]] == ["sign out", "sign in"]


def test_redis_holds_no_session_that_could_be_used(shop: Shop, browser: Caller) -> None:
    session = browser.cookies[COOKIE]
    for key in shop.outbox.redis.scan_iter("*"):
        assert session.encode() not in key
        if shop.outbox.redis.type(key) == b"string":
            assert session.encode() not in (shop.outbox.redis.get(key) or b"")


def test_a_sign_in_link_opens_once(shop: Shop) -> None:
    link = f"/console/sign-in?code={make_code(shop.outbox, name='Ann')}"
    browser = browser_of(shop)
    assert browser.request("HEAD", link).status_code == 200
    went = browser.get(link)
    assert (went.status_code, went.headers["location"]) == (303, "/console")
    assert "console:Ann" in browser.get("/console").text
    late = browser_of(shop)
    assert late.get(link).status_code == 401
    assert late.get("/console").status_code == 303
    assert browser_of(shop).get("/console/sign-in?code=guessed").status_code == 401


def test_a_proxy_that_says_https_gets_a_secure_cookie(shop: Shop) -> None:
    plain = sign_in(browser_of(shop)).headers["set-cookie"].lower()
    over_tls = sign_in(browser_of(shop, **{"x-forwarded-proto": "https"})).headers["set-cookie"].lower()
    assert ("secure" in plain, "secure" in over_tls) == (False, True)


# -- readers -------------------------------------------------------------------------------------------------------

READER = "readers-only-" + "y" * 24


@pytest.mark.parametrize("sees", [False, True])
def test_a_reader_looks_and_changes_nothing(redis_client: redis.Redis, tmp_path: Path, sees: bool) -> None:
    shop = Shop(redis_client, tmp_path, token=TOKEN, reader=READER, readers_see_payloads=sees)
    event_id = shop.arrive("what ann wrote")
    shop.deliver()
    shop.arrive("what ann wrote", number=2, ts="1800000007.000100")
    [dead_id] = shop.bury("no")
    browser = browser_of(shop)
    assert sign_in(browser, READER).status_code == 303
    assert "Ann (reader)" in browser.get("/console").text
    for path in (f"/console/dead/{dead_id}", f"/console/trace?id={event_id}"):
        shown = browser.get(path)
        assert shown.status_code == 200
        assert ("what ann wrote" in shown.text) is sees, path
        assert 'action="/console/dead' not in shown.text
    csrf = csrf_of(browser)
    for form in FORMS:
        if form in ("/console/sign-out", "/console/rules"):
            continue
        path = form.replace("/x/", f"/{dead_id}/")
        assert browser.post(path, data={"csrf": csrf, "all": "yes"}).status_code == 403, form
    assert shop.counts() == {"accepted": 2, "delivered": 1, "dead": 1}
    assert shop.delivery.read().state == "open"
    assert browser.post("/console/rules", data={"csrf": csrf, "source": "slack", "sample": "yes"}).is_success


# -- the audit -----------------------------------------------------------------------------------------------------


def test_what_is_done_and_looked_at_stands_in_the_audit(shop: Shop, browser: Caller) -> None:
    event_id = shop.arrive("what ann wrote")
    [dead_id] = shop.bury("no")
    csrf = csrf_of(browser)
    browser.get(f"/console/dead/{dead_id}")
    browser.get(f"/console/trace?id={event_id}")
    browser.post(
        f"/console/dead/{dead_id}/edit", data={"csrf": csrf, "path": "subject", "value": "secret text"}
    )
    browser.post("/console/pause", data={"csrf": csrf, "source": "slack"})
    browser.post("/console/resume", data={"csrf": csrf, "source": "slack"})
    browser.post("/console/pause", data={"csrf": csrf, "source": "nobody"})
    browser.post("/console/dead/discard", data={"csrf": csrf, "cause": "no"})
    browser.post(
        "/console/dead/discard", data={"csrf": csrf, "cause": "no", "sure": "yes", "reason": "a test"}
    )

    lines = read_audit(shop.outbox)[0]

    assert {(line.who, line.address) for line in lines} == {("console:Ann", "203.0.113.9")}
    assert [(line.what, dict(line.of)) for line in reversed(lines)] == [
        ("sign in", {}),
        ("look", {"page": f"/dead/{dead_id}"}),
        ("look", {"page": "/trace", "id": event_id}),
        ("dead edit", {"id": dead_id, "path": "subject"}),
        ("pause", {"source": "slack"}),
        ("resume", {"source": "slack"}),
        ("pause", {"source": "nobody", "refused": "NotFound"}),
        ("dead discard", {"cause": "no", "reason": "a test"}),
    ]
    shown = browser.get("/console/audit").text
    for word in ("console:Ann", "203.0.113.9", "dead discard", dead_id):
        assert word in shown
    assert "secret text" not in shown


# -- forms ---------------------------------------------------------------------------------------------------------

FORMS = (
    "/console/pause", "/console/resume", "/console/dead/replay", "/console/dead/discard", "/console/dead/x/edit",
    "/console/dead/x/replay", "/console/dead/x/discard", "/console/dead/causes/x", "/console/drops", "/console/drops/x/end", "/console/events/x/resend", "/console/sources/x/sample", "/console/rules", "/console/operations/x/cancel", "/console/sign-out",
)  # fmt: skip


def test_every_form_is_on_the_list(shop: Shop) -> None:
    posts = {
        re.sub(r"\{\w+\}", "x", r.path) for r in console.routes(shop.context) if "POST" in (r.methods or ())
    }
    assert posts == {*FORMS, "/console/sign-in"}


def test_every_form_that_changes_something_has_its_word_for_the_audit(shop: Shop) -> None:
    made: dict[str, PageRoute] = {}

    class Listing(Frame):
        def route(self, path: str, handler: Handler, way: PageRoute) -> Route:
            made[f"{way.method} /console" + re.sub(r"\{\w+\}", "x", path)] = way
            return super().route(path, handler, way)

    console.console_routes(Listing(shop.context, access_of(shop.context)))
    silent = [name for name, way in made.items() if way.method == "POST" and not way.act]
    # It explains what was pasted into it.
    assert silent == ["POST /console/rules"]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("attack", ["no csrf", "wrong csrf", "foreign origin", "null origin", "cross site"])
def test_a_form_that_is_not_ours_changes_nothing(shop: Shop, browser: Caller, path: str, attack: str) -> None:
    shop.delivery.pause("slack")
    csrf = {"no csrf": "", "wrong csrf": "0" * 48}.get(attack) if "csrf" in attack else csrf_of(browser)
    headers = {
        "foreign origin": {"origin": "http://evil.example"},
        "null origin": {"origin": "null"},
        "cross site": {"sec-fetch-site": "cross-site"},
    }.get(attack, {})
    response = browser.post(path, data={"csrf": csrf or ""}, headers=headers)
    assert response.status_code == 403
    assert shop.delivery.read().state == "open"
    assert shop.delivery.paused_sources() == {"slack"}


def test_pausing_and_resuming_from_the_console(shop: Shop, browser: Caller) -> None:
    csrf = csrf_of(browser)
    held = browser.post("/console/pause", data={"csrf": csrf})
    assert (held.status_code, held.headers["location"]) == (303, "/console?said=held")
    assert "Delivery is paused" in browser.get("/console?said=held").text
    browser.post("/console/resume", data={"csrf": csrf})
    assert shop.delivery.read().state == "open"
    browser.post("/console/pause", data={"csrf": csrf, "source": "slack"})
    assert "held" in browser.get("/console/sources").text
    assert browser.post("/console/pause", data={"csrf": csrf, "source": "nobody"}).status_code == 404


def test_a_letter_is_edited_tried_and_its_group_replayed(shop: Shop, browser: Caller) -> None:
    for number in range(3):
        shop.arrive(f"text {number}", number=number, ts=f"180000000{number}.000100")
    first, *_ = shop.bury("subject is too long")
    csrf = csrf_of(browser)

    shown = browser.get(f"/console/dead/{first}").text
    assert "subject is too long" in shown
    edited = browser.post(
        f"/console/dead/{first}/edit", data={"csrf": csrf, "path": "subject", "value": "short"}
    )
    assert edited.status_code == 303
    assert "console:Ann" in browser.get(f"/console/dead/{first}").text
    assert browser.post(f"/console/dead/{first}/replay", data={"csrf": csrf}).status_code == 303
    assert shop.counts() == {"accepted": 3, "pending": 1, "dead": 2}

    asked = {"csrf": csrf, "cause": "subject is too long"}
    dry = browser.post("/console/dead/replay", data=asked)
    assert "Replay 2 dead letters?" in dry.text
    assert shop.counts()["dead"] == 2
    went = browser.post("/console/dead/replay", data={**asked, "sure": "yes"})
    assert went.status_code == 303
    assert "done" in browser.get(went.headers["location"]).text
    assert shop.counts() == {"accepted": 3, "pending": 3}


def test_a_group_is_discarded_with_a_reason(shop: Shop, browser: Caller) -> None:
    shop.arrive("one")
    shop.bury("no")
    asked = {"csrf": csrf_of(browser), "cause": "no"}
    assert "Discard 1 dead letter?" in browser.post("/console/dead/discard", data=asked).text
    browser.post("/console/dead/discard", data={**asked, "sure": "yes", "reason": "a test"})
    assert shop.counts() == {"accepted": 1, "discarded": 1}
    assert browser.post("/console/dead/discard", data={"csrf": asked["csrf"]}).status_code == 422


def test_a_replay_that_fails_again_says_why(redis_client: redis.Redis, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path, subject=BROKEN_SUBJECT, token=TOKEN)
    event_id = shop.arrive("hello")
    browser = browser_of(shop)
    sign_in(browser)
    response = browser.post(f"/console/dead/dead_{event_id[4:]}/replay", data={"csrf": csrf_of(browser)})
    assert response.status_code == 422
    assert "It stays a dead letter" in response.text


def test_the_playground_explains_and_keeps_nothing(shop: Shop, browser: Caller) -> None:
    csrf = csrf_of(browser)
    sample = browser.post("/console/rules", data={"csrf": csrf, "source": "slack", "sample": "yes"})
    assert sample.status_code == 200
    assert "What the relay would do" in sample.text
    assert "slack-thread" in sample.text
    wrong = browser.post("/console/rules", data={"csrf": csrf, "source": "slack", "payload": "{" + HOSTILE})
    assert wrong.status_code == 422
    assert "<script>alert" not in wrong.text
    assert shop.outbox.ledger() == {}


# -- pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_no_inline_script_or_style_and_a_strict_policy(browser: Caller, path: str) -> None:
    response = browser.get(path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|<style|\sstyle=|javascript:", response.text)
    assert 'lang="en"' in response.text
    assert "<main" in response.text
    assert "<h1>" in response.text
    assert not re.findall(r'(?:src|href|action)="(?!/console|#)[^"]*"', response.text)


def test_hostile_payloads_stay_text_on_every_page(shop: Shop, browser: Caller) -> None:
    event_id = shop.arrive(HOSTILE)
    [dead_id] = shop.bury(HOSTILE)
    shop.arrive(HOSTILE, number=2, ts="1800000009.000100")
    shop.outbox.redis.lpush(
        shop.outbox.prefix + "rejected",
        b'{"source":"slack","reason":"<script>alert(3)</script>","kind":"x","at_ms":1}',
    )
    for path in (
        "/console", "/console/dead", f"/console/dead/{dead_id}", f"/console/trace?id={event_id}", "/console/sources",
        "/console/trace?id=%3Cscript%3Ealert(1)%3C/script%3E", "/console/dead?cause=%22%3E%3Cscript%3Ealert(1)",
        "/console?said=%3Cscript%3Ealert(1)", "/console/dead/%3Cscript%3Ealert(1)",
    ):  # fmt: skip
        text = browser.get(path).text
        assert "<script>alert" not in text, path
        assert "<img" not in text, path
        assert "\u202e" not in re.sub(r'value="[^"]*"', "", text), path
    assert "&lt;script&gt;alert(1)" in browser.get(f"/console/dead/{dead_id}").text


def test_a_trace_is_found_or_said_to_be_unknown(shop: Shop, browser: Caller) -> None:
    event_id = shop.arrive("hello")
    shop.deliver(NOON + 1500)
    found = browser.get(f"/console/trace?id={event_id}").text
    assert "1.5 s end to end" in found
    assert 'datetime="2027-01-15T08:00:00.000Z" title="2027-01-15 08:00:00 UTC"' in found
    unknown = browser.get("/console/trace?id=nobody")
    assert unknown.status_code == 404
    assert "nobody knows" in unknown.text


def test_an_operation_that_has_only_begun_is_shown(shop: Shop, browser: Caller) -> None:
    operation = Operation.begin(shop.outbox, "replay", "ann", {})
    for path in ("/console", f"/console/operations/{operation.operation_id}"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "replay" in page.text.lower()


def test_the_live_part_is_a_fragment(shop: Shop, browser: Caller) -> None:
    shop.arrive("hello")
    live = browser.get("/console/overview/live").text
    assert "<html" not in live
    assert "The ledger" in live
    gone = browser_of(shop).get("/console/overview/live", headers={"hx-request": "true"})
    assert (gone.status_code, gone.headers["hx-redirect"]) == (401, "/console/sign-in")


def test_without_redis_the_page_says_so(shop: Shop, browser: Caller) -> None:
    shop.lose_redis()
    for path in PAGES[:5]:
        response = browser.get(path if path != "/console/trace" else "/console/trace?id=x")
        assert response.status_code == 503
        assert "Redis is away" in response.text


def test_static_files_come_with_their_licence(browser: Caller) -> None:
    for name in ("htmx.min.js", "console.js", "console.css", "icon.svg"):
        assert browser.get(f"/console/static/{name}").status_code == 200
    assert "Zero-Clause BSD" in browser.get("/console/static/LICENSE-htmx.txt").text
    for name in ("..%2Fpages.py", "pages.py", "%2e%2e%2fpages.py"):
        assert browser.get(f"/console/static/{name}").status_code == 404


def test_an_endless_form_is_refused(browser: Caller) -> None:
    assert browser.post("/console/pause", content=b"a=" + b"x" * 3_000_000).status_code == 413
    assert browser.post("/console/pause", content=b"\xff\xfe").status_code == 400
    assert (
        browser.post("/console/pause", content="&".join(f"a{n}=1" for n in range(500)).encode()).status_code
        == 400
    )
