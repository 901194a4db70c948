#!/usr/bin/env bash
# Zenpy: organizations.external("acme") asks for the external id "acme?page[size]=100"
#
# Most would expect: the look-up that Zenpy has for just this finds the organization that has
#   the external id, as users.search(external_id=...) finds the user.
# Instead: its address holds a question mark already, and the size of the page is joined with
#   a second one, so that Zendesk is asked for the id "acme?page[size]=100", which nobody has
#   (or "acme?include=None": the order of a set, so another one in each process).
#   The answer is an empty list, as for an organization that is not there. organizations(
#   external_id=...) and tickets(external_id=...) do ask for it, but as it was written: of
#   "acme & sons" the ticket's id is "acme " and the rest a parameter of its own.
# Seen with: zenpy 2.0.57 (Python), 2026-11-29, against a stand-in for Zendesk. Source:
#   zenpy/lib/endpoint.py, organizations.external: SecondaryEndpoint(
#   'organizations/search.json?external_id=%(id)s'), and SecondaryEndpoint's Url().
# Why it matters here: the external id is the one that Zendesk and Planhat share. Who
#   creates the organization where none is found tries that at each ticket.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check zenpy==2.0.57 requests==2.34.2

cat >show.py <<'END'
import json
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import HTTPAdapter
from zenpy import Zenpy

RECORDS = {"organizations": [{"id": 1, "external_id": "acme", "name": "Acme"}, {"id": 2, "external_id": "acme & sons", "name": "Sons"}]}
RECORDS["users"] = [dict(record, email="ann@example.com") for record in RECORDS["organizations"]]
RECORDS["tickets"] = RECORDS["organizations"]
asked = []


class Zendesk(HTTPAdapter):
    """Answer as Zendesk does: the records with the external id that the address asks for."""

    def send(self, request, **_):
        parts = urlsplit(request.url)
        kind = parts.path.split("/")[3].removesuffix(".json")
        query = parse_qs(parts.query)
        wanted = query.get("external_ids", query.get("external_id"))
        asked.append(wanted)
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 200, request, request.url
        answer.headers["content-type"] = "application/json"
        found = [record for record in RECORDS[kind] if record["external_id"] in wanted]
        answer._content = json.dumps({kind: found, "count": len(found), "next_page": None, "meta": {"has_more": False}}).encode()
        return answer


session = requests.Session()
session.mount("https://", Zendesk())
client = Zenpy(subdomain="made-up", email="ann@example.com", token="made up", session=session)


def look_up(call):
    """Return the ids of what was found, and the external id that Zendesk was asked for."""
    asked.clear()
    return [record.id for record in call()], asked[0][0]


user = look_up(lambda: client.users.search(external_id="acme & sons"))
by_argument = look_up(lambda: client.organizations(external_id="acme"))
ticket = look_up(lambda: client.tickets(external_id="acme"))
external = look_up(lambda: client.organizations.external("acme"))
sons = look_up(lambda: client.tickets(external_id="acme & sons"))
print("zenpy", version("zenpy"), "- what is found, and what was asked for")
print("users.search(external_id='acme & sons'):", user)
print("organizations(external_id='acme'):      ", by_argument)
print("tickets(external_id='acme'):            ", ticket)
print("organizations.external('acme'):         ", external)
print("tickets(external_id='acme & sons'):     ", sons)
assert user == ([2], "acme & sons"), "the control failed"
assert by_argument == ([1], "acme") and ticket == ([1], "acme"), "the second control failed"
assert external in [([], "acme?page[size]=100"), ([], "acme?include=None")], "the organization is found now"
assert sons == ([], "acme "), "an ampersand in a ticket's id is kept now"
END
env/bin/python show.py
