"""What the doctor finds out about Planhat, on a sandbox that has what it looks for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from relay.planhat.checks import check_planhat, tenants_spelling
from relay.planhat.client import Planhat
from relay.planhat.doctor_line import DoctorLine, check_token_age
from relay.planhat.sandbox import NO_QUOTAS, Fault, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running

TODAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    sandbox = create_sandbox(token="secret", quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def sandbox(shared: tuple[Sandbox, str]) -> Sandbox:
    shared[0].reset()
    return shared[0]


def examine(
    url: str, token: str = "secret", *, now_s: float | None = None, expires: str = "", **more: Any
) -> dict[str, DoctorLine]:
    with Planhat(url, token) as planhat:
        found = check_planhat(
            planhat,
            types=["Slack thread", "Training"],
            token_expires=expires,
            now_s=time.time() if now_s is None else now_s,
            today=TODAY,
            **more,
        )
        return {check.name: check for check in found}


def test_a_good_tenant_passes_every_check(sandbox: Sandbox, shared: tuple[Sandbox, str]) -> None:
    sandbox.store.upsert([{"companyId": "extid-acme", "externalId": "a", "type": "Slack thread"}])
    checks = examine(shared[1], expires="2027-11-24")
    assert [check.name for check in checks.values() if not check.ok] == []
    assert checks["type Slack thread"].found == "in use"
    assert "note" in checks["type Training"].found
    assert "clock against planhat" in checks
    assert len(sandbox.store) == 1


def test_a_401_speaks_of_expiry_and_region_and_ends_the_checks(
    sandbox: Sandbox, shared: tuple[Sandbox, str]
) -> None:
    checks = examine(shared[1], "wrong")
    assert list(checks) == ["planhat token"]
    assert "expired" in checks["planhat token"].do
    assert "region" in checks["planhat token"].do
    assert len(sandbox.calls) == 1


@pytest.mark.parametrize("model", ["companies", "endusers", "users", "customfields"])
def test_a_missing_permission_is_named_by_its_model(
    sandbox: Sandbox, shared: tuple[Sandbox, str], model: str
) -> None:
    sandbox.faults.all.append(Fault.parse(f"operation={model},status=403"))
    checks = examine(shared[1])
    assert [check.name for check in checks.values() if not check.ok] == [f"planhat {model}"]
    assert f"read access to {model}" in checks[f"planhat {model}"].do


@pytest.mark.parametrize("body", ["empty", "envelope"])
def test_a_token_that_may_read_and_not_write_is_found_out(
    sandbox: Sandbox, shared: tuple[Sandbox, str], body: str
) -> None:
    sandbox.faults.all.append(Fault.parse(f"operation=upsert,status=403,body={body},list=permissionErrors"))
    checks = examine(shared[1])
    assert [check.name for check in checks.values() if not check.ok] == ["planhat conversations, writing"]


def test_a_clock_that_is_off_is_found_out(sandbox: Sandbox, shared: tuple[Sandbox, str]) -> None:
    assert not examine(shared[1], now_s=time.time() + 120)["clock against planhat"].ok


def test_nobody_there_is_one_line_and_no_traceback() -> None:
    checks = examine("http://127.0.0.1:9")
    assert [(check.name, check.ok) for check in checks.values()] == [("planhat", False)]


def test_an_outage_of_one_model_is_no_question_of_permission(
    sandbox: Sandbox, shared: tuple[Sandbox, str]
) -> None:
    sandbox.faults.all.append(Fault.parse("operation=endusers,status=503"))
    assert "status.planhat.com" in examine(shared[1])["planhat endusers"].do


@pytest.mark.parametrize(
    ("expires", "ok", "found"),
    [
        ("2026-12-31", True, "ends in 37 days"),
        ("2026-12-01", False, "ends in 7 days"),
        ("2026-11-20", False, "ended 4 days ago"),
        ("soon", False, "token_expires is no date"),
    ],
)
def test_a_token_near_its_end_is_a_failure(expires: str, ok: bool, found: str) -> None:
    check = check_token_age(expires, TODAY)
    assert (check.ok, check.found) == (ok, found)


# ---- a wrong token, a wrong region, no API at all


def test_a_wrong_region_is_told_from_a_wrong_token(shared: tuple[Sandbox, str]) -> None:
    """Both answer 401: the other clusters know the token, or do not."""
    with running(create_sandbox(token="of-the-us", quotas=NO_QUOTAS)) as elsewhere:
        wrong_region = examine(shared[1], "of-the-us", clusters=[elsewhere])["planhat region"]
        assert not wrong_region.ok
        assert f"taken by {elsewhere}" in wrong_region.found
        assert wrong_region.do == f"set RELAY_PLANHAT_URL to {elsewhere}"
        wrong_token = examine(shared[1], "of-nobody", clusters=[elsewhere, "http://127.0.0.1:9"])[
            "planhat token"
        ]
        assert f"{elsewhere.removeprefix('https://')} refuse it as well" in wrong_token.found
        assert "region" not in wrong_token.do


@pytest.mark.parametrize("fault", ["status=200,body=html", "status=404,body=html"])
def test_a_web_page_is_not_the_api(sandbox: Sandbox, shared: tuple[Sandbox, str], fault: str) -> None:
    sandbox.faults.all.append(Fault.parse(fault))
    checks = examine(shared[1])
    assert list(checks) == ["planhat"]
    assert not checks["planhat"].ok
    assert checks["planhat"].found.startswith("this is not the API")


# ---- custom fields and types


def test_custom_fields_are_compared_to_the_letter(sandbox: Sandbox, shared: tuple[Sandbox, str]) -> None:
    with running(
        create_sandbox(
            token="secret",
            quotas=NO_QUOTAS,
            seed={
                "custom_fields": [
                    "Channel",
                    {"name": "Age", "type": "number"},
                    {"name": "Due", "type": "date"},
                    {"name": "Plan", "parent": "company"},
                ]
            },
        )
    ) as url:
        checks = examine(
            url,
            custom_fields={"Channel": "text", "age": None, "Due": "checkbox", "Plan": "text", "Link": "url"},
        )
    told = {
        name: (check.found, check.do) for name, check in checks.items() if name.startswith("custom field ")
    }
    assert told == {
        "custom field age": ("is called 'Age' in Planhat: case counts", "write it as 'Age'"),
        "custom field Due": (
            "is of type date in Planhat, and gets a checkbox",
            "write a date, or change its type",
        ),
        "custom field Plan": (
            "is not defined in Planhat: it is stored, and shown to nobody",
            "create a custom field of conversations in Planhat that is called exactly 'Plan', type text",
        ),
        "custom field Link": (
            "is not defined in Planhat: it is stored, and shown to nobody",
            "create a custom field of conversations in Planhat that is called exactly 'Link', type url",
        ),
    }


def test_a_type_that_the_tenant_writes_in_another_way_is_named(
    sandbox: Sandbox, shared: tuple[Sandbox, str]
) -> None:
    with running(
        create_sandbox(types=["slack Thread", "\U0001f4ac\ufe0f Chat"], token="secret", quotas=NO_QUOTAS)
    ) as url:
        with Planhat(url, "secret") as planhat:
            for n, kind in enumerate(["slack Thread", "\U0001f4ac\ufe0f Chat"]):
                planhat.upsert([{"companyId": "extid-acme", "externalId": f"x{n}", "type": kind}])
        checks = examine(url)
    assert not checks["type Slack thread"].ok
    assert checks["type Slack thread"].do == "write 'slack Thread'"
    assert tenants_spelling("\U0001f4ac Chat", ["\U0001f4ac\ufe0f Chat"]) == "\U0001f4ac\ufe0f Chat"
    assert tenants_spelling("Chat", ["Chat", "chat"]) == ""


@pytest.mark.parametrize(
    ("status", "do"),
    [(429, "something else uses this token"), (500, "status.planhat.com"), (503, "status.planhat.com")],
)
def test_an_outage_is_told_as_one(
    sandbox: Sandbox, shared: tuple[Sandbox, str], status: int, do: str
) -> None:
    """Whoever answered is reached, and at the address that was meant; and one that refuses all says nothing of writing."""
    sandbox.faults.all.append(Fault(status=status))
    checks = examine(shared[1])
    failed = [check for check in checks.values() if not check.ok]
    assert {"planhat", "planhat conversations", "planhat customfields"} <= {check.name for check in failed}
    assert all(do in check.do for check in failed)
    assert "planhat conversations, writing" not in checks


def test_a_tenant_that_fails_after_it_answered_is_at_the_right_address(
    sandbox: Sandbox, shared: tuple[Sandbox, str]
) -> None:
    sandbox.faults.all.append(Fault(status=503, after=5))
    check = examine(shared[1], writing=False)["planhat"]
    assert not check.ok and "RELAY_PLANHAT_URL" not in check.do


def test_nobody_there_is_the_address_or_the_way() -> None:
    assert "RELAY_PLANHAT_URL" in examine("http://127.0.0.1:9")["planhat"].do
