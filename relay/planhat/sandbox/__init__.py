"""A Planhat to develop against: stateful, with quotas and faults, on this machine. `create_sandbox` makes one.

relay sandbox --port 8081 --state .sandbox --fault status=503,times=2
python -m relay.planhat.sandbox --port 8081
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from relay.planhat.sandbox.app import Sandbox
from relay.planhat.sandbox.directory import Directory
from relay.planhat.sandbox.faults import Fault
from relay.planhat.sandbox.journal import Journal
from relay.planhat.sandbox.pages import create_pages
from relay.planhat.sandbox.quota import NO_QUOTAS, Meter, Quotas
from relay.planhat.sandbox.store import DEFAULT_TYPES, Reserved, Store

__all__ = ["DEFAULT_TYPES", "NO_QUOTAS", "Fault", "Quotas", "Sandbox", "create_sandbox"]


def create_sandbox(
    *,
    types: Iterable[str] = DEFAULT_TYPES,
    token: str | None = None,
    quotas: Quotas | None = None,
    faults: Iterable[Fault] = (),
    state: str | os.PathLike[str] | None = None,
    reserved: Reserved = "refuse",
    style: str = "string",
    now_s: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
) -> Sandbox:
    """The sandbox as an ASGI application.

    `types`: the tenant's own conversation types. `token`: the one it takes (None: any). `quotas`: Planhat's, unless
    told otherwise (`NO_QUOTAS`). `state`: a folder to keep everything in. `reserved`: what becomes of the types
    email, chat, ticket and call. `style`: how errors of its own look (see `errors.py`). Raises SettingsInvalid for a
    folder that cannot be used.
    """
    store = Store(
        Directory(),
        types=types,
        reserved=reserved,
        style=style,
        journal=None if state is None else Journal(state),
        now_s=now_s,
    )
    meter = Meter(Quotas() if quotas is None else quotas, clock)
    return Sandbox(store, create_pages, meter=meter, faults=faults, token=token, now_s=now_s)
