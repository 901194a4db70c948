#!/usr/bin/env bash
# Kiota, under Microsoft's Graph SDK: a text that is a date comes back as another text
#
# Most would expect: JSON strings that the model does not know are kept as they are;
#   what a client reads and writes back is unchanged.
# Instead: each such string is looked at. "2026-11-28", "2026-11-28 10:00" and an id
#   of a UUID's form become datetime and UUID objects, and are written back as
#   "2026-11-28T00:00:00" and in small letters. A seventh digit of a second, as Graph
#   sends it, is dropped. "2026-11-28: it fails" stays text.
# Seen with: microsoft-kiota-serialization-json 1.16.0, microsoft-kiota-abstractions
#   1.16.0 (Python), 2026-11-28. Source: kiota_serialization_json/json_parse_node.py,
#   try_get_anything().
# Why it matters here: custom fields and extension properties are such strings. A title
#   that is a day, or an id in capitals which is somebody's key, is changed by a client
#   that only passes it on.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check microsoft-kiota-serialization-json==1.16.0 microsoft-kiota-abstractions==1.16.0

cat >show.py <<'END'
import json
from importlib.metadata import version

from kiota_serialization_json.json_parse_node import JsonParseNode
from kiota_serialization_json.json_serialization_writer import JsonSerializationWriter

SENT = {
    "title": "2026-11-28: the export fails",
    "day": "2026-11-28",
    "said": "2026-11-28 10:00",
    "key": "5F0C8A3E-1111-2222-3333-444455556666",
    "at": "2026-11-28T10:00:00.1234567Z",
}
read = JsonParseNode(SENT).try_get_anything(SENT)
writer = JsonSerializationWriter()
writer.write_additional_data_value(read)
written = json.loads(writer.get_serialized_content())
print(f"kiota {version('microsoft-kiota-serialization-json')}, unknown properties read and written back")
for name, value in SENT.items():
    print(f"  {name:5} {value!r:40} {type(read[name]).__name__:8} {written[name]!r}")
assert written["title"] == SENT["title"], "the control failed"
assert [type(read[name]).__name__ for name in ("day", "said", "key", "at")] == ["datetime", "datetime", "UUID", "datetime"]
assert written["day"] == "2026-11-28T00:00:00", "a day stays a day now"
assert written["said"] == "2026-11-28T10:00:00", "the second text stays as it is now"
assert written["key"] == SENT["key"].lower(), "the key keeps its capitals now"
assert written["at"] == "2026-11-28T10:00:00.123456+00:00", "the seventh digit is kept now"
END
env/bin/python show.py
