"""Value classes for what every event is made of.

To the type checker `@value_class(frozen=True, slots=True)` is a frozen dataclass, and changing one is an error there. At run time
it is not frozen: a frozen dataclass sets each field by a call, and those calls were a tenth of the door's time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value_class
else:

    def value_class(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        return dataclass(slots=slots, unsafe_hash=frozen)


#: A sender's name where an edit does not say who wrote: in its entry stands the author of the message in the end.
AS_BEFORE = "\ue000author\ue001"

__all__ = ["AS_BEFORE", "value_class"]
