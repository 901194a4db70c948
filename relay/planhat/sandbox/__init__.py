"""A Planhat to develop against: stateful, with quotas and faults, on this machine. `create_sandbox` makes one.

relay sandbox --port 8081 --state .sandbox --fault status=503,times=2
python -m relay.planhat.sandbox --port 8081
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from relay.planhat.sandbox.app import Sandbox
from relay.planhat.sandbox.behaviour import Behaviour, Reserved
from relay.planhat.sandbox.directory import Directory
from relay.planhat.sandbox.faults import Fault
from relay.planhat.sandbox.hosts import Hosts
from relay.planhat.sandbox.journal import Journal
from relay.planhat.sandbox.pages import create_pages
from relay.planhat.sandbox.quota import NO_QUOTAS, Meter, Quotas
from relay.planhat.sandbox.seed import Seed, read_seed
from relay.planhat.sandbox.seeds import DEFAULT_TYPES
from relay.planhat.sandbox.store import Store

__all__ = ["DEFAULT_TYPES", "NO_QUOTAS", "Behaviour", "Fault", "Quotas", "Sandbox", "create_sandbox"]


def create_sandbox(
    *,
    types: Iterable[str] = DEFAULT_TYPES,
    seed: Mapping[str, Any] | Seed | None = None,
    token: str | None = None,
    quotas: Quotas | None = None,
    faults: Iterable[Fault] = (),
    state: str | os.PathLike[str] | None = None,
    hosts: Iterable[str] = (),
    behaviour: Behaviour | None = None,
    reserved: Reserved = "refuse",
    strict_editor: bool = False,
    style: str = "string",
    now_s: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
) -> Sandbox:
    """Make the sandbox as an ASGI application.

    `types`: the tenant's own conversation types. `seed`: companies, people, custom fields and types beside the standard
    tenant's (see `seed.py`); its types take the place of `types`. `token`: the one it takes (None: any). `quotas`:
    Planhat's, unless told otherwise (`NO_QUOTAS`). `state`: a folder to keep everything in. `hosts`: names it answers
    to beside loopback ones. `behaviour`: what is open in the documents, decided (see `behaviour.py`); `reserved`,
    `strict_editor` and `style` are short for one that differs in these alone. Raises SettingsInvalid for a folder that cannot be used, SeedInvalid for a seed.
    """
    store = Store(
        Directory(now_s=now_s),
        types=types,
        behaviour=behaviour or Behaviour(reserved=reserved, strict_editor=strict_editor, style=style),
        seed=seed if seed is None or isinstance(seed, Seed) else read_seed(seed),
        journal=None if state is None else Journal(state),
        now_s=now_s,
    )
    meter = Meter(Quotas() if quotas is None else quotas, clock)
    return Sandbox(
        store, create_pages, meter=meter, faults=faults, token=token, hosts=Hosts.of(hosts), now_s=now_s
    )
