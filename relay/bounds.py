"""What one request, and all of them together, may take of a web process before anything about them is proven.

Each number is a setting (`RELAY_HEAD_BYTES`, ...). None is loosened by keep-alive: they hold for each request anew.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes in bytes, times in seconds.

    `head_bytes`, `head_s`: a request line with its headers, from its first byte (of a new connection: from the beginning)
    to the empty line. `first_byte_s`, `body_s`: from there to the body's first and last byte. `bodies_bytes`: of all
    requests that are not answered yet. `connections`: of one listener. `idle_s`: between two requests of a connection.
    `beside_bytes`: a larger body is verified, redacted and parsed beside the event loop, in one of `beside_processes`
    processes, within `beside_s`.
    """

    head_bytes: int = 32 * 1024
    head_s: float = 10.0
    first_byte_s: float = 10.0
    body_s: float = 30.0
    bodies_bytes: int = 64_000_000
    connections: int = 1000
    idle_s: float = 75.0
    beside_bytes: int = 64 * 1024
    beside_processes: int = 1
    beside_s: float = 10.0

    @property
    def large_bytes(self) -> int:
        """What larger bodies may take together: an eighth of all is left to small ones, so that a few large ones do not
        shut the door to everybody."""
        return self.bodies_bytes - self.bodies_bytes // 8


#: Bodies up to this size may use the part that is kept from larger ones.
SMALL_BODY_BYTES = 64 * 1024
