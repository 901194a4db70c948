"""The user of Redis that docs/deploying.md asks for."""

from __future__ import annotations

from typing import Final

#: `{prefix}` is RELAY_KEY_PREFIX.
ACL: Final = (
    "~{prefix}:* ~rq:* &rq:* -@all +@read +@write +@connection +@transaction +@pubsub +@scripting -@dangerous "
    "+info +time +ping +config|get"
)
