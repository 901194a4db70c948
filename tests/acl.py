"""The user of Redis that docs/deploying.md asks for: the line itself, so that tests are run with what is documented."""

from __future__ import annotations

import re

from tests.places import ROOT


def documented_rights(*, clustered: bool = False) -> str:
    """What the user may do, as `ACL SETUSER` and a server's configuration take it; `clustered`: of a cluster's node."""
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    [rights] = re.findall(r"(?m)^user relay on >PASSWORD (.*)$", page)
    return str(rights if clustered else rights.replace("{rq}", "rq"))
