"""What the documents leave open, or say in two ways: how this sandbox decides it.

Each choice has a test in tests/contract, which can be run against a real tenant, with the source of the default in its
docstring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Reserved = Literal["refuse", "accept", "note"]
UnknownType = Literal["note", "keep"]
ForeignId = Literal["ignore", "refuse"]
FreeTag = Literal["keep", "drop"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One Planhat among those that the sources allow.

    `reserved`: what becomes of the types email, chat, ticket and call. `unknown_type`: a type that the tenant does not
    have becomes `note`, or stays as it was sent. `foreign_id`: an id of a user, an enduser or an owner that is not an
    object id is left out in silence, or refuses the item. `free_tag`: an activity tag that is not an object id stays,
    or is left out in silence. `strict_editor`: descriptions are read back as Planhat's editor would keep them.
    `style`: how errors of its own look (see `errors.py`).
    """

    reserved: Reserved = "refuse"
    unknown_type: UnknownType = "note"
    foreign_id: ForeignId = "ignore"
    free_tag: FreeTag = "keep"
    strict_editor: bool = False
    style: str = "string"


DEFAULT_BEHAVIOUR: Final = Behaviour()
