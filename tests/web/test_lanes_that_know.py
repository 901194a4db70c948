"""What is done over several lanes at once: done where it is known, refused only where no lane knows it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from starlette.requests import Request

from relay.errors import NotFound
from relay.web.api_lanes import of_all_that_know_it, of_whoever_has_it, summed

_REQUEST = Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []})


def _ask(known: Any) -> Mapping[str, Any]:
    if not known:
        raise NotFound("nobody knows it")
    return {"count": 1}


@pytest.mark.parametrize("merge", [summed, of_all_that_know_it, of_whoever_has_it])
@pytest.mark.parametrize("known", [each for n in (1, 2, 3) for each in product((True, False), repeat=n)])
def test_what_one_lane_knows_is_done_there_whichever_lane_it_is(merge: Any, known: tuple[bool, ...]) -> None:
    apis = {f"lane-{n}": here for n, here in enumerate(known)}

    if not any(known):
        with pytest.raises(NotFound):
            merge(apis, _ask, _REQUEST)
        return
    found = merge(apis, _ask, _REQUEST)

    assert found["count"] == (sum(known) if merge is summed else 1)
