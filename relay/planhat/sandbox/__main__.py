"""`python -m relay.planhat.sandbox`: the sandbox alone, for a process manager. `relay sandbox` is the same for people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from relay.errors import UserError
from relay.planhat.sandbox.options import DEFAULT_PORT, Options
from relay.planhat.sandbox.server import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; 2 when something about the arguments is wrong."""
    parser = argparse.ArgumentParser(prog="python -m relay.planhat.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument(
        "--fd", type=int, help="a listening socket that was handed down, instead of host and port"
    )
    parser.add_argument("--state", help="a folder to keep everything in, the port as well")
    parser.add_argument("--seed", help="a YAML file of companies, people, custom_fields and types")
    parser.add_argument(
        "--type", action="append", default=[], dest="types", help="a conversation type of the tenant"
    )
    parser.add_argument("--no-quotas", action="store_true")
    given = parser.parse_args(arguments)
    try:
        sandbox, listener = Options(
            host=given.host,
            port=given.port,
            fd=given.fd,
            state=given.state,
            seed=given.seed,
            types=given.types,
            quotas=not given.no_quotas,
        ).open()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    host, port = listener.getsockname()[:2]
    print(f"Planhat sandbox on http://{host}:{port}", flush=True)
    run(sandbox, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
