"""Small values, compressed by themselves: zstd with a dictionary that comes with the release.

What is stored is a kilobyte or two: too short for a compressor to learn from it. So what all stored values share (their keys, the
envelopes of the senders, common words) lies in a dictionary, a file of this package. It holds nothing of what came in: `bench/
dictionary.py` makes it of the built-in samples and of words that it draws. Its number stands before each value. A file is never
changed and never taken away, since values of any age may need it; a better one gets the next number.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from struct import pack, unpack
from threading import local
from zlib import crc32

import zstandard

from relay.errors import NewerRecord

#: The number of the dictionary that is written with; those before it are read.
NEWEST = 1
#: Longer values are not for here: their heads are read without the rest.
MOST_BYTES = 16 * 1024
#: How each frame begins: a checksum, and neither its size nor a dictionary's id. Source: RFC 8878, section 3.1.1.1.1.
_DESCRIPTOR = b"\x04"
#: Without that checksum, which would be of both pieces; and how a frame ends that has nothing more to say (section 3.1.1.2).
_PAIR_DESCRIPTOR, _EMPTY_END = b"\x00", b"\x01\x00\x00"
#: As level 3, with tables of 48 KiB in the place of 384: a hundredth larger, and what else the process holds in the core's cache
#: stays there. A level 1 would be a tenth larger.
_PARAMETERS: dict[str, int] = {
    "window_log": 16,
    "hash_log": 13,
    "chain_log": 12,
    "search_log": 1,
    "min_match": 5,
    "target_length": 0,
    "strategy": zstandard.STRATEGY_DFAST,
}


def compress(plain: bytes) -> bytes:
    """Return the dictionary's number, a byte, and one zstd frame without its magic number, with a checksum. At most `MOST_BYTES`."""
    return _PREFIX + _compressor().compress(plain)


def expand(value: bytes) -> bytes:
    """Return what `compress` was given. Raises NewerRecord where the dictionary is a newer release's, ValueError for what is cut,
    damaged or foreign."""
    return _expanded(value, value[1:], _DESCRIPTOR, MOST_BYTES)


def compress_pair(first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """Return one frame in two pieces, so that what the second repeats of the first costs little. The first can be read alone: the
    dictionary's number, the frame's beginning, four bytes of checksum. The second: its length, two bytes, four of checksum, the
    frame's end. Each at most `MOST_BYTES`, the first at least a byte."""
    stream = _pair_compressor().compressobj()
    begun = stream.compress(first) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    ended = stream.compress(second) + stream.flush()
    return b"".join((_PREFIX, begun, pack(">I", crc32(first)))), pack(
        ">HI", len(second), crc32(second)
    ) + ended


def expand_first(value: bytes) -> bytes:
    """Return the first of `compress_pair`. Raises as `expand` does."""
    plain = _expanded(value, value[1:-4] + _EMPTY_END, _PAIR_DESCRIPTOR, MOST_BYTES)
    if value[-4:] != pack(">I", crc32(plain)):
        raise ValueError("a stored value is damaged")
    return plain


def expand_second(first: bytes, second: bytes) -> bytes:
    """Return the second of `compress_pair`. Raises as `expand` does."""
    if len(second) < 6:
        raise ValueError("a stored value is damaged")
    size, proof = unpack(">HI", second[:6])
    plain = _expanded(first, first[1:-4] + second[6:], _PAIR_DESCRIPTOR, 2 * MOST_BYTES)
    plain = plain[len(plain) - size :]
    if len(plain) != size or crc32(plain) != proof:
        raise ValueError("a stored value is damaged")
    return plain


def _expanded(value: bytes, frame: bytes, descriptor: bytes, most: int) -> bytes:
    number = value[0] if value else 0
    if number > NEWEST:
        raise NewerRecord(f"a stored value of dictionary {number}; this release has {NEWEST}")
    if number < 1:
        raise ValueError("a stored value is damaged: it names no dictionary")
    if frame[:1] != descriptor:
        # Another header could do without the checksum.
        raise ValueError("a stored value is damaged")
    try:
        return _expander(number).decompress(frame, max_output_size=most)
    except (zstandard.ZstdError, MemoryError) as error:
        raise ValueError("a stored value is damaged") from error


@cache
def dictionary(number: int) -> zstandard.ZstdCompressionDict:
    """Return a dictionary of this release, ready to compress with."""
    content = files("relay.outbox").joinpath(f"dictionaries/{number}.zdict").read_bytes()
    made = zstandard.ZstdCompressionDict(content)
    made.precompute_compress(compression_params=zstandard.ZstdCompressionParameters(**_PARAMETERS))
    return made


_PREFIX = bytes([NEWEST])
#: Compressors and expanders are a thread's own.
_own = local()


def _compressor() -> zstandard.ZstdCompressor:
    try:
        made: zstandard.ZstdCompressor = _own.compressor
    except AttributeError:
        made = _own.compressor = _made_compressor(checksum=True)
    return made


def _pair_compressor() -> zstandard.ZstdCompressor:
    try:
        made: zstandard.ZstdCompressor = _own.pair_compressor
    except AttributeError:
        made = _own.pair_compressor = _made_compressor(checksum=False)
    return made


def _made_compressor(*, checksum: bool) -> zstandard.ZstdCompressor:
    parameters = zstandard.ZstdCompressionParameters(
        **_PARAMETERS,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_checksum=checksum,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(dict_data=dictionary(NEWEST), compression_params=parameters)


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
