"""Where a link may lead, and what an image is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

_SAFE: Final = re.compile(r"(?:https?://|mailto:|tel:)[^\s]", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_NAME: Final = re.compile(r"/([^/?#]{1,200})(?:[?#]|$)")
_TINY: Final = frozenset(["0", "1", "0px", "1px"])


def link_of(address: str | None) -> str:
    """Give an address that is safe to follow: web, mail or telephone; "" for any other, and for one that is no whole one."""
    # Browsers leave out what is no character of an address, and so would be led past a check that does not.
    text = _BLANKS.sub("", address or "")
    if text.startswith("//"):
        text = f"https:{text}"
    elif text[:4].lower() == "www.":
        text = f"https://{text}"
    return text if _SAFE.match(text) else ""


def image_name(tag: str, attributes: Mapping[str, str | None]) -> str:
    """Give the words for what an element shows: its own, or its file's name. "" for what nobody sees."""
    words = " ".join((attributes.get("alt") or attributes.get("title") or "").split())
    if tag == "img" and (attributes.get("width") in _TINY or attributes.get("height") in _TINY):
        # A pixel that counts readers.
        return words
    if words:
        return words
    address = link_of(attributes.get("src"))
    if tag != "img":
        return address
    name = _NAME.search(address)
    return unquote(name[1]) if name and address else "image"
