"""What is safe already, or nearly so, found by regular expressions alone: most of what rules make, at a microsecond each.

Every repetition is possessive, so that a text that does not fit is left after one pass.
"""

from __future__ import annotations

import re
from typing import Final

#: Control characters and everything that ends a line: none of it may stand in one line of HTML.
ODD: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_NEEDS_MORE: Final = re.compile(f"[<>&{ODD}]")
#: The same of ASCII: all that is nothing of it.
_PLAIN: Final = bytes(code for code in range(128) if not _NEEDS_MORE.match(chr(code)))
_TEXT: Final = rf"[^<>&{ODD}]*+(?:&(?:amp|lt|gt|quot|nbsp|#39|#x27);[^<>&{ODD}]*+)*+"
_LINK: Final = rf'<a href="(?:https?://|mailto:|tel:)[^"<>{ODD}]*+">{_TEXT}</a>'
_MARKED: Final = rf"(?:<br>|<strong>{_TEXT}</strong>|<em>{_TEXT}</em>|{_LINK})"
_INLINE: Final = rf"{_TEXT}(?:{_MARKED}{_TEXT})*+"
#: What shows nothing: hard blanks are no words.
_NOTHING: Final = r"(?:[ \xa0]|&nbsp;|<br>)*+"
_BLANK: Final = re.compile(_NOTHING)
_BLANK_PARAGRAPH: Final = re.compile(f"<p>{_NOTHING}</p>")
_BLOCK: Final = rf"(?:<p>(?!{_NOTHING}</p>){_INLINE}</p>|<hr>)"
_BLOCKS: Final = re.compile(f"{_BLOCK}++")
_LOOSE: Final = re.compile(rf"({_BLOCK}++)|((?=[^<]|<(?:br|strong|em|a)[ >]){_INLINE})")
#: Marks that the editor does not have: their text stays.
_UNKEPT: Final = re.compile("</?(?:code|s|u|del|ins|small|span|tt)>")
_BREAKS: Final = re.compile(r"(?:<br>\s*+){2,}+")


def is_bare(text: str) -> bool:
    """Tell whether a text is one line without any markup."""
    if text.isascii():
        # A fifth of the pattern's time.
        return not text.encode().translate(None, _PLAIN)
    return _NEEDS_MORE.search(text) is None


def quick_html(markup: str) -> str | None:
    """Give markup as safe HTML where that takes no parser, else None."""
    if "<b>" in markup:
        markup = markup.replace("<b>", "<strong>").replace("</b>", "</strong>")
    found = _matched(markup)
    if found is None:
        shorter = _UNKEPT.sub("", markup)
        return _matched(shorter) if len(shorter) < len(markup) else None
    return found


def _matched(markup: str) -> str | None:
    if _BLOCKS.fullmatch(markup):
        return _without_blank_lines(markup) if "<br>" in markup else markup
    parts: list[str] = []
    place = 0
    for found in _LOOSE.finditer(markup):
        if found.start() != place:
            return None
        place = found.end()
        if found[1]:
            parts.append(_without_blank_lines(found[1]))
        else:
            parts.extend(
                f"<p>{lines}</p>"
                for lines in map(_trimmed, _BREAKS.split(found[2]))
                if not _BLANK.fullmatch(lines)
            )
    return "".join(parts) if place == len(markup) else None


def _without_blank_lines(blocks: str) -> str:
    """Two breaks are a paragraph's end, and those at a paragraph's ends are none."""
    blocks = _BREAKS.sub("</p><p>", blocks)
    return _BLANK_PARAGRAPH.sub("", blocks.replace("<p><br>", "<p>").replace("<br></p>", "</p>"))


def _trimmed(inline: str) -> str:
    """Without blanks and breaks at both ends: they would show as an empty line."""
    text = inline.strip(" ")
    return text.removeprefix("<br>").removesuffix("<br>").strip(" ")
