"""The sandbox's page in a real browser: it shows what arrives, by itself, and never as markup."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running

pytestmark = pytest.mark.browser

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        try:
            browser = started.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except playwright.Error:
            pytest.skip("no browser: `playwright install chromium` brings one")
        yield browser.new_page()
        browser.close()


@pytest.fixture
def sandbox() -> Sandbox:
    return create_sandbox(quotas=NO_QUOTAS)


def test_what_arrives_appears_by_itself_and_opens_in_full_as_text(page: Any, sandbox: Sandbox) -> None:
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    item = {
        "companyId": "extid-acme",
        "externalId": "slack-1",
        "type": "Nobody made this",
        "subject": "<img src=x onerror=alert(1)>",
        "description": "<script>alert(2)</script>",
        "custom": {"<b>Channel</b>": "<i>C1</i>"},
    }
    with running(sandbox) as url:
        page.goto(f"{url}/")
        page.wait_for_selector("#none:not([hidden])")
        headers = {"Authorization": "Bearer t"}
        assert (
            httpx.put(f"{url}/conversations", json=[item], headers=headers, trust_env=False).status_code
            == 200
        )
        page.wait_for_selector("#rows a", timeout=10_000)
        assert "note (sent: Nobody made this)" in page.inner_text("#rows")
        page.click("#rows a")
        page.wait_for_selector("#detail:not([hidden])")
        assert page.inner_text("#title") == item["subject"]
        assert page.inner_text("#description") == item["description"]
        assert "<i>C1</i>" in page.inner_text("#fields")
        assert page.query_selector("main img, main script, main i, main b") is None
        assert "upsert" in page.inner_text("#calls")
    assert wrong == []


def test_the_page_shows_what_the_editor_would_and_which_fields_nobody_sees(
    page: Any, sandbox: Sandbox
) -> None:
    item = {
        "companyId": "extid-acme",
        "externalId": "slack-1",
        "subject": "Renewal",
        "description": "<p>Hello <b>Ada</b></p><ul><li>lost item</li></ul><p><a href='https://x.example'>link</a></p>",
        "custom": {"Channel": "C1", "Chanel": "C2"},
    }
    with running(sandbox) as url:
        headers = {"Authorization": "Bearer t"}
        httpx.put(f"{url}/conversations", json=[item], headers=headers, trust_env=False)
        page.goto(f"{url}/")
        page.wait_for_selector("#rows a", timeout=10_000)
        assert "1 of the custom fields unseen" in page.inner_text("#rows")
        page.click("#rows a")
        page.wait_for_selector("#edited p")
        assert page.inner_text("#edited strong") == "Ada"
        # A link is shown and leads nowhere.
        assert page.get_attribute("#edited a", "href") is None
        assert "lost item" not in page.inner_text("#edited")
        assert "Words are lost: lost item" in page.inner_text("#faithful")
        assert page.query_selector("#notes li.warning") is not None
        assert "not defined" in page.inner_text("dd:has(.warning)")
        assert page.inner_text("dd:has(.warning)").startswith("C2")
