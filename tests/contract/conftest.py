"""Which Planhat the contract suite asks: the sandbox, or a real tenant.

    RELAY_CONTRACT_URL            base URL of the tenant; without it the sandbox is asked
    RELAY_CONTRACT_TOKEN          its token
    RELAY_CONTRACT_WRITE=1        allow the tests that write. They make conversations whose externalId begins with
                                  `relay-contract-`, and delete them again
    RELAY_CONTRACT_COMPANY        the company to write to, as an _id or extid-...
    RELAY_CONTRACT_OTHER_COMPANY  a second one
    RELAY_CONTRACT_TYPE           a custom conversation type that exists in the tenant
    RELAY_CONTRACT_DATE_FIELD     a custom field of conversations that holds a date

Run it with `pytest tests/contract`; `--collect-only -q` lists the assumptions. A test that fails names an assumption
that does not hold for this tenant; what the relay does about it stands in its docstring, and where the assumption
comes from, when that is not the document. "Team notes" are public notes of a team that uses Planhat, written from what
they saw in 2026: one source, so that each of them is open until a tenant has answered.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest

from relay.planhat.client import Planhat
from relay.planhat.sandbox import Quotas, create_sandbox
from relay.planhat.sandbox.server import running

_BETWEEN_CALLS_S = 0.35


@dataclass
class Tenant:
    """The far side. `http` for what is asked raw; `made` collects the `_id`s that are to be deleted again."""

    planhat: Planhat
    http: httpx.Client
    company: str = ""
    other_company: str = ""
    type: str = ""
    date_field: str = ""
    made: set[str] = field(default_factory=set)

    def new_id(self, suffix: str = "") -> str:
        return f"relay-contract-{uuid.uuid4().hex[:12]}{suffix}"

    def item(self, external_id: str | None = None, **more: Any) -> dict[str, Any]:
        base = {
            "companyId": self.company,
            "externalId": external_id or self.new_id(),
            "subject": "contract test",
        }
        return {**base, **more}

    def put(self, items: Sequence[object], **options: Any) -> tuple[int, dict[str, Any]]:
        answer = self.http.put("/conversations", content=orjson.dumps(items), **options)
        try:
            envelope = answer.json()
        except ValueError:
            envelope = {}
        if not isinstance(envelope, dict):
            envelope = {"text": envelope}
        for key in (*envelope.get("insertsKeys", ()), *envelope.get("upsertedIds", ())):
            self.made.add(key["_id"] if isinstance(key, dict) else key)
        return answer.status_code, envelope

    def make(self, **more: Any) -> dict[str, Any]:
        """One new conversation, as it is read back."""
        sent = self.item(**more)
        status, envelope = self.put([sent])
        assert status == 200, envelope
        return dict(self.planhat.get(f"extid-{sent['externalId']}"))

    def errors(self, envelope: dict[str, Any]) -> list[Any]:
        return [
            element
            for name, value in envelope.items()
            if name.lower().endswith("errors") and isinstance(value, list)
            for element in value
        ]


@pytest.fixture(scope="session")
def far_side() -> Iterator[Tenant]:
    url, token = os.environ.get("RELAY_CONTRACT_URL", ""), os.environ.get("RELAY_CONTRACT_TOKEN", "")
    headers = {"Authorization": f"Bearer {token or 'sandbox'}", "Content-Type": "application/json"}
    if url:
        with Planhat(url, token) as planhat, httpx.Client(base_url=url, headers=headers, timeout=60) as http:
            # Some 180 calls in all: spread, so that they stay below the quota of 200 a minute.
            for client in (http, planhat._http.client):
                client.event_hooks["request"].append(lambda request: time.sleep(_BETWEEN_CALLS_S))
            yield Tenant(
                planhat,
                http,
                os.environ.get("RELAY_CONTRACT_COMPANY", ""),
                os.environ.get("RELAY_CONTRACT_OTHER_COMPANY", ""),
                os.environ.get("RELAY_CONTRACT_TYPE", ""),
                os.environ.get("RELAY_CONTRACT_DATE_FIELD", ""),
            )
        return
    sandbox = create_sandbox(
        token="sandbox",
        quotas=Quotas(per_minute=100_000, per_second=0, parallel=0),
        seed={"custom_fields": ["Channel", {"name": "Due", "type": "date"}]},
    )
    with (
        running(sandbox) as url,
        Planhat(url, "sandbox") as planhat,
        httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as http,
    ):
        yield Tenant(planhat, http, "extid-acme", "extid-globex", "Slack thread", "Due")


@pytest.fixture
def tenant(far_side: Tenant) -> Tenant:
    """For what only reads."""
    return far_side


@pytest.fixture
def writable(far_side: Tenant) -> Iterator[Tenant]:
    """For what writes; deletes what the test made."""
    if os.environ.get("RELAY_CONTRACT_URL"):
        if os.environ.get("RELAY_CONTRACT_WRITE") != "1":
            pytest.skip("writes: set RELAY_CONTRACT_WRITE=1 to allow it")
        if not far_side.company:
            pytest.skip("needs RELAY_CONTRACT_COMPANY, a company to write to")
    far_side.made.clear()
    yield far_side
    for key in far_side.made:
        far_side.http.delete(f"/conversations/{key}")


@pytest.fixture
def two_companies(writable: Tenant) -> Tenant:
    if not writable.other_company:
        pytest.skip("needs RELAY_CONTRACT_OTHER_COMPANY, a second company to write to")
    return writable


@pytest.fixture
def date_field(writable: Tenant) -> Tenant:
    if not writable.date_field:
        pytest.skip("needs RELAY_CONTRACT_DATE_FIELD, a custom field of conversations that holds a date")
    return writable


@pytest.fixture
def custom_type(writable: Tenant) -> Tenant:
    if not writable.type:
        pytest.skip("needs RELAY_CONTRACT_TYPE, a custom type of the tenant")
    return writable
