"""`python -m relay.planhat.sandbox`: the sandbox alone, for a process manager. `relay sandbox` is the same for people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from relay.errors import UserError
from relay.planhat.sandbox import DEFAULT_TYPES, Fault, Quotas, create_sandbox
from relay.planhat.sandbox.errors import STYLES
from relay.planhat.sandbox.server import bind, run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m relay.planhat.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--state", help="a folder to keep everything in")
    parser.add_argument("--token", help="the token it takes (default: any)")
    parser.add_argument("--type", action="append", dest="types", help="a conversation type of the tenant")
    parser.add_argument("--per-minute", type=int, default=Quotas().per_minute, help="0: no quota")
    parser.add_argument("--no-quotas", action="store_true")
    parser.add_argument("--style", choices=sorted(STYLES), default="string", help="of its own errors")
    parser.add_argument("--fault", action="append", default=[], help="e.g. status=503,times=2")
    given = parser.parse_args(arguments)
    try:
        sandbox = create_sandbox(
            types=given.types or DEFAULT_TYPES,
            token=given.token,
            quotas=Quotas(0, 0, 0) if given.no_quotas else Quotas(per_minute=given.per_minute),
            faults=[Fault.parse(text) for text in given.fault],
            state=given.state,
            style=given.style,
        )
        listener = bind(given.host, given.port)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Planhat sandbox on http://{given.host}:{listener.getsockname()[1]}", flush=True)
    run(sandbox, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
