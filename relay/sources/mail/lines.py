"""A mail's body as lines, in which quotations are looked for: of a text, or of a page of HTML."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

#: What nobody sees at a line's ends: blanks, marks of a text's direction, of its encoding and of its joints.
BLANKS = " \t\xa0\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\r\f\v"


class Mark(Enum):
    """What a page's markup says of a line. A text has no marks."""

    NONE = 0
    #: Inside what a mail program marked as its quotation.
    QUOTATION = 1
    #: The first line of what a mail program put between the answer and all that follows.
    BEGIN = 2
    #: Inside the box that Outlook draws around a quoted header.
    HEADER = 3


@dataclass(slots=True)
class Line:
    """`text` is stripped of blanks. `quoted` is a line behind `>`, or inside a quoting element; `depth` of how many. `alone`: a block
    of the page begins here, so that it is no rest of the line above."""

    text: str
    quoted: bool = False
    depth: int = 0
    mark: Mark = Mark.NONE
    alone: bool = False
