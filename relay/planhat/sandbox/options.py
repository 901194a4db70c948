"""Everything that a command line may say of the sandbox, and the sandbox that comes of it.

`relay sandbox` and `python -m relay.planhat.sandbox` are two ways to the same options.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

from relay.errors import SettingsInvalid, UserError
from relay.planhat.sandbox import NO_QUOTAS, Fault, Quotas, Sandbox, create_sandbox
from relay.planhat.sandbox.behaviour import DEFAULT_BEHAVIOUR, Behaviour
from relay.planhat.sandbox.errors import STYLES
from relay.planhat.sandbox.seed import Seed, read_seed_file
from relay.planhat.sandbox.server import bind, bind_kept, keep_port

DEFAULT_PORT = 8081


@dataclass(frozen=True, slots=True)
class Options:
    """`seed`: a file of companies, people, custom fields and types. `port` 0: the one that the state folder had
    before, or any; `fd`: a socket that listens already, in the place of host and port. `types`: in place of the seed's. `hosts`: names it answers to beside loopback ones."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    fd: int | None = None
    state: str | None = None
    seed: str | None = None
    types: Sequence[str] = ()
    token: str | None = None
    per_minute: int = Quotas().per_minute
    quotas: bool = True
    hosts: Sequence[str] = ()
    faults: Sequence[str] = ()
    behaviour: Behaviour = DEFAULT_BEHAVIOUR

    def open(self) -> tuple[Sandbox, socket.socket]:
        """Make the sandbox and the socket that it is to listen on. Raises UserError."""
        if self.behaviour.style not in STYLES:
            raise UserError(f"--style: should be one of {', '.join(STYLES)}")
        seed = Seed() if self.seed is None else read_seed_file(self.seed)
        if self.types:
            seed = replace(seed, types=tuple(self.types))
        sandbox = create_sandbox(
            seed=seed,
            token=self.token,
            quotas=Quotas(per_minute=self.per_minute) if self.quotas else NO_QUOTAS,
            faults=[Fault.parse(text) for text in self.faults],
            state=self.state,
            # A host that was named on purpose is one that others may name.
            hosts=(*self.hosts, *self._own_host()),
            behaviour=self.behaviour,
        )
        listener = self._listener()
        keep_port(listener, self.state)
        return sandbox, listener

    def _listener(self) -> socket.socket:
        if self.fd is not None:
            try:
                return socket.socket(fileno=self.fd)
            except OSError as error:
                raise SettingsInvalid(f"--fd {self.fd} is no listening socket: {error}") from error
        return bind(self.host, self.port) if self.port else bind_kept(self.host, 0, self.state)

    def _own_host(self) -> tuple[str, ...]:
        everywhere = ("", "0.0.0.0", "::")  # noqa: S104
        return () if self.host in everywhere else (self.host,)
