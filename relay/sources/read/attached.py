"""Files as senders name them: name, type, size and address under the names that are in use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any
from urllib.parse import unquote, urlsplit

from relay.event import Attachment
from relay.sources.read.place import Names, Place, held

_MAX_FILES = 200
_PICTURE = re.compile(r"<img\b[^<>]{0,4000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(src|alt)\s*=\s*(?:"([^"<>]{0,3000})"|'([^'<>]{0,3000})')""", re.IGNORECASE)
#: Under these names a message's files stand.
PLACES = Names(
    "attachments attachment files file media mediaurls images uploads documents image document recordings",
    "attachmenturls",
)
_NAMES = ("filename", "contentname", "name", "title", "displayname", "originalfilename", "attachmentfilename")
_TYPES = (
    "contenttype",
    "mimetype",
    "mediatype",
    "attachmentcontenttype",
    "filemimetype",
    "filetype",
    "type",
    "kind",
)
_SIZES = ("size", "filesize", "bytesize", "contentlength", "sizebytes", "filesizebytes", "bytes", "length")
_ADDRESSES = (
    *(
        "contenturl",
        "url",
        "downloadurl",
        "fileurl",
        "attachmenturl",
        "mappedcontenturl",
        "permalink",
        "href",
    ),
    *(
        "urlprivate",
        "downloaduri",
        "contenturi",
        "uri",
        "link",
        "weburl",
        "mediaurl",
        "content",
        "publicurl",
        "src",
        "playurl",
    ),
)


def read_files(files: Any) -> tuple[Attachment, ...]:
    """Return the files of a list (of objects, or of addresses alone), or of one object; () for anything else."""
    if isinstance(files, (Mapping, str)):
        files = [files]
    if not isinstance(files, Iterable):
        return ()
    found = (read_file(one) for one in list(files)[:_MAX_FILES])
    return tuple(file for file in found if file is not None)


def read_file(file: Any) -> Attachment | None:
    """Return one file; None for what names neither a file nor an address."""
    if isinstance(file, str):
        return Attachment(name=name_in(file), url=file) if _is_address(file) else None
    if not isinstance(file, Mapping):
        return None
    named = Place(file)
    url = next((text for key in _ADDRESSES if _is_address(text := _text(named.get(key)))), "")
    name = _first(named, _NAMES) or name_in(url)
    if not (name or url):
        return None
    size = next((value for key in _SIZES if (value := _size(named.get(key))) is not None), None)
    return Attachment(name=name, type=_first(named, _TYPES), size=size, url=url)


def files_in(places: Iterable[Mapping[str, Any]]) -> tuple[Attachment, ...]:
    """Return the files of the first of these objects (under bare names) that holds any."""
    for place in places:
        for key in held(place, PLACES):
            if (files := place.get(key)) and (found := read_files(files)):
                return found
    return ()


def pictures_in(html: str) -> tuple[Attachment, ...]:
    """Return the pictures of an HTML text: what a message of a picture alone consists of."""
    found = []
    for tag in _PICTURE.findall(html)[:_MAX_FILES]:
        attributes = {name.lower(): unescape(one or other) for name, one, other in _ATTRIBUTE.findall(tag)}
        url = attributes.get("src", "").strip()
        if _is_address(url):
            name = attributes.get("alt", "").strip() or name_in(url) or "image"
            found.append(Attachment(name=name, type="image", url=url))
    return tuple(found)


def name_in(url: str) -> str:
    """Return the file's name at the end of an address, "" where there is none."""
    try:
        last = unquote(urlsplit(url).path.rpartition("/")[2], errors="replace")
    except ValueError:
        return ""
    return last if "." in last and last.isprintable() and len(last) < 200 else ""


def _first(place: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((text for name in names if (text := _text(place.get(name)))), "")


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _is_address(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _size(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
