#!/usr/bin/env bash
# zstandard: what was compressed with one dictionary opens with another, as another text
#
# Most would expect: a frame that is opened with the wrong dictionary is an error, as it
#   is with none.
# Instead: the frame points into the dictionary by distance. With a second dictionary of
#   the same length the pointers land in that one, and decompress() returns its words:
#   a whole, well-formed text that nobody ever compressed. Two settings keep it from
#   being seen: a dictionary of raw content has the number 0, which means "unnamed", and
#   write_checksum is off by default (the zstd command has it on). With a checksum it is
#   an error.
# Seen with: zstandard 0.25.0 (Python), 2026-11-28. Format: RFC 8878, sections 3.1.1.1.3
#   (Dictionary_ID) and 3.1.1 (Content_Checksum).
# Why it matters here: short events are compressed with a dictionary of their common
#   words, and dictionaries are changed one day. A mixed-up one gives ann's event to bob.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check zstandard==0.25.0

cat >show.py <<'END'
from importlib.metadata import version

import zstandard
from zstandard import DICT_TYPE_RAWCONTENT, ZstdCompressionDict, ZstdCompressor, ZstdDecompressor

ANN = b'{"source":"slack","text":"the export fails","user":"ann"}'
BOB = b'{"source":"email","text":"the import works","user":"bob"}'
first = ZstdCompressionDict(ANN * 3, dict_type=DICT_TYPE_RAWCONTENT)
second = ZstdCompressionDict(BOB * 3, dict_type=DICT_TYPE_RAWCONTENT)


def opened(frame, dictionary=None):
    """Return the text, or the first words of the error."""
    try:
        return ZstdDecompressor(dict_data=dictionary).decompress(frame)
    except zstandard.ZstdError as error:
        return f"ZstdError: {error}"


plain = ZstdCompressor(dict_data=first).compress(ANN)
checked = ZstdCompressor(dict_data=first, write_checksum=True).compress(ANN)
print(f"zstandard {version('zstandard')}, {len(ANN)} bytes compressed to {len(plain)} with dictionary 1")
print("  opened with dictionary 1:               ", opened(plain, first))
print("  opened with none:                       ", opened(plain))
print("  opened with dictionary 2:               ", opened(plain, second))
print("  with a checksum, opened with dictionary 2:", opened(checked, second))
assert opened(plain, first) == ANN, "the control failed"
assert str(opened(plain)).startswith("ZstdError"), "the second control failed"
assert zstandard.get_frame_parameters(plain).dict_id == 0
assert opened(plain, second) == BOB, "the wrong dictionary is found out now"
assert str(opened(checked, second)).startswith("ZstdError"), "the checksum does not help"
END
env/bin/python show.py
