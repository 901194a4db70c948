#!/usr/bin/env bash
# zstandard: of two frames in a file, half of the ways to read give the first only
#
# Most would expect: two frames one after the other, as `cat` or an appending logger makes
#   them, are read whole, as the zstd command does; or else there is an error.
# Instead: it depends on the method. decompress(), decompressobj(), read_to_iter() and
#   multi_decompress_to_buffer() end after the first frame without an error;
#   stream_reader(), copy_stream(), stream_writer() and zstandard.open() give both.
#   backports.zstd, which is Python 3.14's own, gives both by its decompress().
# Seen with: zstandard 0.25.0, backports.zstd 1.8.0 (Python), 2026-11-28. Format: RFC 8878,
#   section 3 ("multiple frames ... concatenated").
# Why it matters here: an archive to which each hour adds a frame. A test that writes with
#   one method and reads with another proves nothing about the second hour.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check zstandard==0.25.0 backports.zstd==1.8.0

cat >show.py <<'END'
import io
from importlib.metadata import version

import zstandard
from backports import zstd
from zstandard import ZstdDecompressor

ONE, TWO = b"the first hour\n", b"the second hour\n"
FRAME = zstandard.ZstdCompressor().compress(ONE)
BOTH = FRAME + zstandard.ZstdCompressor().compress(TWO)


def into(method, data):
    """Call a method that writes into a file, and return what it wrote."""
    target = io.BytesIO()
    method(io.BytesIO(data), target)
    return target.getvalue()


WAYS = {
    "decompress": lambda data: ZstdDecompressor().decompress(data),
    "decompressobj": lambda data: ZstdDecompressor().decompressobj().decompress(data),
    "read_to_iter": lambda data: b"".join(ZstdDecompressor().read_to_iter(io.BytesIO(data))),
    "multi_decompress_to_buffer": lambda data: ZstdDecompressor().multi_decompress_to_buffer([data])[0].tobytes(),
    "stream_reader": lambda data: ZstdDecompressor().stream_reader(io.BytesIO(data)).read(),
    "copy_stream": lambda data: into(ZstdDecompressor().copy_stream, data),
    "stream_writer": lambda data: into(lambda source, target: ZstdDecompressor().stream_writer(target).write(source.read()), data),
    "zstandard.open": lambda data: zstandard.open(io.BytesIO(data), "rb").read(),
    "backports.zstd": zstd.decompress,
}
seen = {}
print(f"zstandard {version('zstandard')}, backports.zstd {version('backports.zstd')}, a file of two frames")
for name, way in WAYS.items():
    assert way(FRAME) == ONE, "the control failed"
    seen[name] = way(BOTH)
    print(f"  {name:27} {seen[name]}")
short = [name for name, got in seen.items() if got == ONE]
assert short == ["decompress", "decompressobj", "read_to_iter", "multi_decompress_to_buffer"], "others stop early now"
assert all(got == ONE + TWO for name, got in seen.items() if name not in short), "a second frame is read otherwise now"
END
env/bin/python show.py
