"""Small values, compressed by themselves: zstd with a dictionary that comes with the release.

What is stored is a kilobyte or two: too short for a compressor to learn from it. So what all stored values share (their keys, the
envelopes of the senders, common words) lies in a dictionary, a file of this package. It holds nothing of what came in: `bench/
dictionary.py` makes it of the built-in samples and of words that it draws. Its number stands before each value. A file is never
changed and never taken away, since values of any age may need it; a better one gets the next number.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from threading import local

import zstandard

from relay.errors import NewerRecord

#: The number of the dictionary that is written with; those before it are read.
NEWEST = 1
#: Longer values are not for here: their heads are read without the rest.
MOST_BYTES = 16 * 1024
#: How each frame begins: a checksum, and neither its size nor a dictionary's id. Source: RFC 8878, section 3.1.1.1.1.
_DESCRIPTOR = b"\x04"
#: 1 would be a tenth larger and no faster at this size.
_LEVEL = 3


def compress(plain: bytes) -> bytes:
    """Return the dictionary's number, a byte, and one zstd frame without its magic number, with a checksum. At most `MOST_BYTES`."""
    return _PREFIX + _compressor().compress(plain)


def expand(value: bytes) -> bytes:
    """Return what `compress` was given. Raises NewerRecord where the dictionary is a newer release's, ValueError for what is cut,
    damaged or foreign."""
    number = value[0] if value else 0
    if number > NEWEST:
        raise NewerRecord(f"a stored value of dictionary {number}; this release has {NEWEST}")
    if number < 1:
        raise ValueError("a stored value is damaged: it names no dictionary")
    if value[1:2] != _DESCRIPTOR:
        # Another header could do without the checksum.
        raise ValueError("a stored value is damaged")
    try:
        return _expander(number).decompress(value[1:], max_output_size=MOST_BYTES)
    except (zstandard.ZstdError, MemoryError) as error:
        raise ValueError("a stored value is damaged") from error


@cache
def dictionary(number: int) -> zstandard.ZstdCompressionDict:
    """Return a dictionary of this release, ready to compress with."""
    content = files("relay.outbox").joinpath(f"dictionaries/{number}.zdict").read_bytes()
    made = zstandard.ZstdCompressionDict(content)
    made.precompute_compress(level=_LEVEL)
    return made


_PREFIX = bytes([NEWEST])
#: Compressors and expanders are a thread's own.
_own = local()


def _compressor() -> zstandard.ZstdCompressor:
    try:
        made: zstandard.ZstdCompressor = _own.compressor
    except AttributeError:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _LEVEL,
            format=zstandard.FORMAT_ZSTD1_MAGICLESS,
            write_content_size=False,
            write_checksum=True,
            write_dict_id=False,
        )
        made = _own.compressor = zstandard.ZstdCompressor(
            dict_data=dictionary(NEWEST), compression_params=parameters
        )
    return made


def _expander(number: int) -> zstandard.ZstdDecompressor:
    try:
        expanders: dict[int, zstandard.ZstdDecompressor] = _own.expanders
    except AttributeError:
        expanders = _own.expanders = {}
    made = expanders.get(number)
    if made is None:
        made = expanders[number] = zstandard.ZstdDecompressor(
            dict_data=dictionary(number), format=zstandard.FORMAT_ZSTD1_MAGICLESS
        )
    return made
