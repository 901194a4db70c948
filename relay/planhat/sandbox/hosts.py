"""Which names the sandbox answers to, so that a web page that points its own name at this machine gets nothing.

A browser sends the name it was given in `Host`; by DNS rebinding that name may lead to a loopback address. So only
loopback names and addresses are answered, and those that were configured.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.types import Send

_REFUSAL: Final = b"This sandbox answers to loopback names alone; allow another with --allow-host NAME.\n"


@dataclass(frozen=True, slots=True)
class Hosts:
    """`names`: further host names or addresses, without a port, in lower case; `*` allows all."""

    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str]) -> Hosts:
        """Take names as a person gives them."""
        return cls(frozenset(name.strip().lower().strip("[]") for name in names if name.strip()))

    def allow(self, host: str) -> bool:
        """Tell whether a `Host` header may be answered. Without one, as HTTP/1.0 has it, no name led here."""
        name = _name_of(host)
        return not name or name in self.names or "*" in self.names or _is_loopback(name)


LOOPBACK_ONLY: Final = Hosts()


def _name_of(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _is_loopback(name: str) -> bool:
    if name.rstrip(".") == "localhost" or name.rstrip(".").endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def refuse_host(send: Send) -> None:
    """Answer 421: the request was led to a server that does not speak for its host."""
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_REFUSAL)).encode()),
    ]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSAL})
