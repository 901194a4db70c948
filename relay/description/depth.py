"""Whether a parser would take too long: it takes quadratic time over elements that never close."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from relay.description.vocabulary import names

#: End tags in comments, attributes and foreign elements close nothing, so that depth can be hidden from a count; with so
#: few elements the quadratic time is a fraction of a second.
_MAX_ELEMENTS: Final = 5_000
_MAX_TAGS: Final = 30_000
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)([^>]*)|<!--")
_COMMENT_END: Final = re.compile(r"--!?>")
#: These hold nothing, or close by themselves when the next one begins.
_SHALLOW: Final = names(
    "area base br col embed hr img input link meta source track wbr p li dt dd tr td th option"
)
_FORMATS: Final = names("a b big code em font i nobr s small strike strong tt u")


@dataclass(frozen=True, slots=True)
class MarkupBounds:
    """How much of a page a parser is given. `depth`: elements open at once. `reopened`: an open `<font>` is opened again in every
    paragraph that follows, so paragraphs times open ones. `tag_chars`: the length of one tag, whose attributes are compared
    with each other."""

    depth: int
    reopened: int
    tag_chars: float


#: For what becomes a description: it is parsed more than once.
DESCRIPTIONS: Final = MarkupBounds(depth=100, reopened=200_000, tag_chars=20_000)


def is_deep(markup: str, bounds: MarkupBounds = DESCRIPTIONS) -> bool:
    """Tell whether a parser may need too long: too many elements open at once, too many tags, too long a tag.

    Counted per name: an end tag whose element never began closes nothing. What stands in comments, as Word's settings
    do, opens nothing, but counts among the elements: a comment that is none could hide the rest.
    """
    tags = markup.count("<")
    if tags > _MAX_TAGS:
        return True
    if tags <= bounds.depth and len(markup) <= bounds.tag_chars:
        return False
    depth = elements = formats = reopened = comment_ends = 0
    opened: dict[str, int] = {}
    for found in _TAG.finditer(markup):
        reopened += formats
        name = found[2]
        if found.start() < comment_ends:
            elements += 1
        elif name is None:
            # "<!-->" is a whole one.
            end = _COMMENT_END.search(markup, found.start() + 2)
            comment_ends = end.end() if end else len(markup)
        elif (name := name.lower()) not in _SHALLOW:
            step = 0
            if not found[1]:
                step = 1
                elements += 1
            elif opened.get(name):
                step = -1
            opened[name] = opened.get(name, 0) + step
            depth += step
            formats += step if name in _FORMATS else 0
        if depth > bounds.depth or elements > _MAX_ELEMENTS or reopened > bounds.reopened:
            return True
        if name is not None and len(found[3]) > bounds.tag_chars:
            return True
    return False
