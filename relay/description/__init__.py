"""A conversation's description: one line of the HTML that Planhat's editor keeps, whatever it was made of.

    safe_html   any text or HTML -> a bare line without markup, or blocks: p, hr, blockquote, the editor's own lists
    join        the entries of a thread -> one description, the oldest left out where Planhat has no room
    words_of    the words that a reader sees

Paragraphs hold text, br, strong, em and links. Headings become strong, tables lines "Name: value", images links; what
is hidden or unsafe goes, and no word that is to be seen does. Source: public notes of a team that uses Planhat, who read
back what the editor made of their writes (August to October 2026); its list classes stand in stored data of others too.
"""

from __future__ import annotations

from relay.description.entries import MAX_CHARS, block_of, edges, fit_to_planhat, join
from relay.description.plain import plain_text, words_of_html
from relay.description.safe import safe_html
from relay.description.stored import blocks_of, mend_registers

__all__ = [
    "MAX_CHARS",
    "block_of",
    "blocks_of",
    "edges",
    "fit_to_planhat",
    "join",
    "mend_registers",
    "plain_text",
    "safe_html",
    "words_of_html",
]
