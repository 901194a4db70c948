"""HTML's names: what is a tag at all, what makes a block, what a reader does not see."""

from __future__ import annotations

from typing import Final


def names(text: str) -> frozenset[str]:
    """Give the words of a text as a set."""
    return frozenset(text.split())


BLOCKS: Final = names(
    "address article aside body blockquote caption center dd details dialog dir div dl dt fieldset figcaption figure footer"
    " form h1 h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu nav ol optgroup option p pre search section summary"
    " table tbody td tfoot th thead tr ul xmp"
)
HEADINGS: Final = names("h1 h2 h3 h4 h5 h6 dt caption legend summary")
"""Blocks that are shown as strong."""
LISTS: Final = {"ul": "ul", "ol": "ol", "menu": "ul", "dir": "ul"}
MARKS: Final = {"strong": "strong", "b": "strong", "em": "em", "i": "em"}
UNSEEN: Final = names(
    "script style template head title meta link base noembed noframes xml -comment -doctype"
)
MEDIA: Final = names("img iframe video audio embed source")
"""What may show something of elsewhere: a link to it is what stays."""

_INLINE: Final = names(
    "a abbr acronym applet area audio b base basefont bdi bdo bgsound big blink br button canvas cite code col colgroup data"
    " datalist del dfn em embed font frame frameset head html i iframe image img input ins kbd keygen label link map mark"
    " marquee math meta meter nobr noembed noframes noscript object output param picture plaintext progress q rb rp rt rtc"
    " ruby s samp script select slot small source spacer span strike strong style sub sup svg template textarea time title"
    " track tt u var video wbr xml"
)
TAG_NAMES: Final = BLOCKS | _INLINE
"""Every element that HTML has or had. `<Name>` of another name is a text that looks like a tag."""
