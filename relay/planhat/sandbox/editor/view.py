"""What comes of a look through the editor: what it keeps, and what it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from relay.planhat.sandbox.editor.tree import Node

Kind = Literal["lost", "mangled", "plain"]
"""lost: words are gone. mangled: the words are there, and look wrong. plain: a formatting that the editor does not have."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that the editor does not keep. `text`: the words it is about, cut."""

    kind: Kind
    what: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class EditorView:
    """`html`: what the editor would store. `tree`: the same as nodes. `words_lost`: every word that is gone."""

    html: str
    tree: tuple[Node, ...]
    notes: tuple[Note, ...]
    words_lost: tuple[str, ...]

    @property
    def faithful(self) -> bool:
        """Tell whether every word is there and nothing looks wrong; formatting may be missing."""
        return all(note.kind == "plain" for note in self.notes)

    def as_json(self) -> dict[str, Any]:
        """Give all of it for the sandbox's own routes."""
        return {
            "html": self.html,
            "tree": list(self.tree),
            "faithful": self.faithful,
            "notes": [{"kind": note.kind, "what": note.what, "text": note.text} for note in self.notes],
            "words_lost": list(self.words_lost),
        }
