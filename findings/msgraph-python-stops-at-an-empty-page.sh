#!/usr/bin/env bash
# Microsoft Graph's iterator for Python: an empty page is the end, with a next page or not
#
# Most would expect: PageIterator reads on until a page has no @odata.nextLink, as Graph's
#   documents demand: a page may be empty, or short, and still name a next one.
# Instead: in Python an empty page ends it. No error, iterate() returns as at the real end,
#   the next link is still there, and what stood on the pages behind it was never asked for.
#   The iterator for JavaScript reads the same three pages to the end. Nor does the one for
#   Python ever know the delta link that the last page brings: delta_link is "".
# Seen with: msgraph-core 1.5.2 (Python), @microsoft/microsoft-graph-client 3.0.7 (npm),
#   2026-11-29. Source: msgraph_core/tasks/page_iterator.py, enumerate: `if not page_items:
#   return False`, which iterate() takes for "the callback wants no more".
# Why it matters here: filtered and delta queries of mail and Teams messages have such pages.
#   The mails behind one are never relayed, and the log has a round without a fault.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check msgraph-core==1.5.2 microsoft-kiota-http==1.16.0 \
  microsoft-kiota-abstractions==1.16.0 microsoft-kiota-serialization-json==1.16.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @microsoft/microsoft-graph-client@3.0.7 >/dev/null

cat >graph.py <<'END'
"""Serve two lists of mails as Graph does: /full has three full pages, /gap an empty one between two."""
import json
from http.server import BaseHTTPRequestHandler, HTTPServer

PAGES = {"full": [["1"], ["2"], ["3"]], "gap": [["1"], [], ["3"]]}


class Graph(BaseHTTPRequestHandler):
    def do_GET(self):
        base = f"http://127.0.0.1:{self.server.server_port}/v1.0"
        # The client for JavaScript takes an http:// address for a path, and puts its own in front.
        *_, name, number = self.path.split("/")
        page = {"value": [{"id": one} for one in PAGES[name][int(number)]]}
        last = int(number) == len(PAGES[name]) - 1
        page["@odata.deltaLink" if last else "@odata.nextLink"] = f"{base}/{name}/{int(number) + 1}"
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Graph)
print(server.server_port, flush=True)
server.serve_forever()
END
cat >show.py <<'END'
import asyncio
import json
import sys
from dataclasses import dataclass

from kiota_abstractions.api_client_builder import register_default_deserializer
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from kiota_abstractions.serialization import Parsable
from kiota_serialization_json.json_parse_node_factory import JsonParseNodeFactory
from msgraph_core import BaseGraphRequestAdapter
from msgraph_core.tasks.page_iterator import PageIterator


@dataclass
class Message(Parsable):
    id: str | None = None

    @staticmethod
    def create_from_discriminator_value(node):
        return Message()

    def get_field_deserializers(self):
        return {"id": lambda node: setattr(self, "id", node.get_str_value())}

    def serialize(self, writer):
        pass


@dataclass
class Messages(Parsable):
    """A page of mails, as the generated MessageCollectionResponse is."""

    odata_next_link: str | None = None
    odata_delta_link: str | None = None
    value: list[Message] | None = None

    @staticmethod
    def create_from_discriminator_value(node):
        return Messages()

    def get_field_deserializers(self):
        return {
            "@odata.nextLink": lambda node: setattr(self, "odata_next_link", node.get_str_value()),
            "@odata.deltaLink": lambda node: setattr(self, "odata_delta_link", node.get_str_value()),
            "value": lambda node: setattr(self, "value", node.get_collection_of_object_values(Message)),
        }

    def serialize(self, writer):
        pass


async def read(name):
    adapter = BaseGraphRequestAdapter(AnonymousAuthenticationProvider())
    request = RequestInformation()
    request.http_method = Method.GET
    request.url = f"{sys.argv[1]}/v1.0/{name}/0"
    heard = []
    iterator = PageIterator(await adapter.send_async(request, Messages, {}), adapter)
    await iterator.iterate(lambda message: heard.append(message.id) or True)
    return heard, iterator.current_page.odata_next_link is not None, iterator.delta_link


register_default_deserializer(JsonParseNodeFactory)
print(json.dumps([asyncio.run(read("full")), asyncio.run(read("gap"))]))
END
cat >show.mjs <<'END'
import { Client, PageIterator } from '@microsoft/microsoft-graph-client';

const base = process.argv[2];
const client = Client.init({ baseUrl: base, customHosts: new Set(['127.0.0.1']), authProvider: done => done(null, 'made up') });
async function read(name) {
  const heard = [];
  const iterator = new PageIterator(client, await client.api(`/${name}/0`).get(), message => heard.push(message.id) > 0);
  await iterator.iterate();
  return [heard, !iterator.isComplete(), iterator.getDeltaLink()];
}
console.log(JSON.stringify([await read('full'), await read('gap')]));
END
env/bin/python graph.py >port &
server=$!
for _ in $(seq 100); do [ -s port ] && break; sleep 0.1; done
base="http://127.0.0.1:$(cat port)"
env/bin/python show.py "$base" >python.json
node show.mjs "$base" >node.json
cat >compare.py <<'END'
import json

(full, gap), (full_js, gap_js) = json.load(open("python.json")), json.load(open("node.json"))
print("expected: three mails of three pages; two of three pages, one of them empty; a delta link")
for name, seen in (("JavaScript, full pages", full_js), ("JavaScript, empty page", gap_js), ("Python, full pages", full), ("Python, empty page", gap)):
    print(f"{name:24} mails {seen[0]}, a next page is left: {seen[1]}, delta link: {bool(seen[2])}")
assert full_js[:2] == [["1", "2", "3"], False] and gap_js[:2] == [["1", "3"], False], "the control failed"
assert full[:2] == [["1", "2", "3"], False], "the second control failed"
assert gap[:2] == [["1"], True], "Python reads on behind an empty page now"
assert full_js[2].endswith("/full/3") and not full[2], "Python has the delta link now"
END
env/bin/python compare.py
