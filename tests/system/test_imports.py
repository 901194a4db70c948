"""What a process does not need it does not load: each module is resident for as long as the process lives."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WEB = "import relay.web.assembly, relay.web.api, relay.web.console"


@pytest.mark.process
def test_the_web_side_loads_no_http_client() -> None:
    """It asks nobody until a lane's owner is unknown, or a proof's certificate."""
    ask = f"import sys; {_WEB}; print([name for name in ('httpx', 'httpcore', 'rq') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
