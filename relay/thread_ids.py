"""What a mail is known by and what it names, as keys of the outbox's map of threads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThreadIds:
    """`own` are the keys of the mail itself, `named` those of what it answers, in the order in which they are asked; the
    first that is known decides, its own after all others. `first` names a thread of which nothing is known yet. `begins`:
    the mail answers nothing."""

    own: tuple[str, ...]
    named: tuple[str, ...]
    first: str
    begins: bool
