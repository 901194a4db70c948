"""What is counted reaches Redis once, whenever the process is told to stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
import redis

from relay.outbox.connection import connect_async
from relay.outbox.outbox import Outbox
from relay.web.tally import Tally


@pytest.mark.parametrize("steps", range(8))
def test_a_write_that_has_begun_is_ended_where_its_caller_is_cancelled(
    steps: int, redis_url: str, redis_client: redis.Redis
) -> None:
    async def stop_amid() -> None:
        tally, client = Tally(), connect_async(redis_url)
        tally.ignored("slack")
        ticker = asyncio.create_task(tally.flush(lambda lane: client, 1))
        for _ in range(steps):
            await asyncio.sleep(0)
        ticker.cancel()
        with suppress(asyncio.CancelledError):
            await ticker
        tally.ignored("slack")
        await tally.flush(lambda lane: client, 2)
        assert not tally.unwritten
        await client.aclose()

    asyncio.run(stop_amid())
    assert Outbox(redis_client).ledger()["slack"]["ignored"] == 2
