"""A provider's message as it would come in: made by the source's adapter, signed with the config's secret."""

from __future__ import annotations

import time

from relay.sources.base import Adapter, Sample


def sample_serial() -> int:
    """Return a number for `signed_sample`: unique for a day at up to 10,000 a second."""
    return int(time.time() * 10_000) % 10**9


def signed_sample(adapter: Adapter, serial: int, url: str, body: bytes | None = None) -> Sample:
    """Return one sample as its provider would send it now to `url`; `body` in the place of the adapter's own. Raises what the adapter
    raises where it cannot sign: a ValueError with a sentence."""
    now_s = time.time()
    # Adapters put the serial into their microseconds, which is taken off again.
    sample = adapter.sample(serial=serial, now_s=now_s - serial / 1e6)
    if body is not None:
        sample = Sample(body=body, headers=sample.headers, method=sample.method)
    return adapter.sign(sample, now_s=now_s, url=url)
