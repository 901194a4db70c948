"""The sandbox over HTTP, as a client meets it; as new for each test."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running


@pytest.fixture(scope="package")
def shared_sandbox() -> Iterator[tuple[Sandbox, str]]:
    """One sandbox for all, with its URL."""
    sandbox = create_sandbox(quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def http(shared_sandbox: tuple[Sandbox, str]) -> Iterator[httpx.Client]:
    """A client of the shared sandbox, which has been reset."""
    sandbox, url = shared_sandbox
    sandbox.reset()
    with httpx.Client(base_url=url, headers={"Authorization": "Bearer t"}, trust_env=False) as client:
        yield client
