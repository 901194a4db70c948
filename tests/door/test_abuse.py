"""What an attacker sends to the door: refused early, nothing evaluated, nobody held up."""

from __future__ import annotations

import orjson

from relay.outbox.archive import unpack
from tests.web.test_hooks import Door, books, door, message

__all__ = ["door"]


def test_too_many_and_too_large_headers_are_refused(door: Door) -> None:
    many = {f"x-{n}": "1" for n in range(120)}
    assert door.http.post("/hooks/slack", content=b"{}", headers=many).status_code == 400
    large = {"x-big": "a" * 40_000}
    assert door.http.post("/hooks/slack", content=b"{}", headers=large).status_code == 431


def test_compressed_bodies_are_not_inflated(door: Door) -> None:
    assert door.slack(message(), headers={"content-encoding": "gzip"}).status_code == 415


def test_a_deep_body_is_malformed(door: Door) -> None:
    assert door.slack(b'{"a":' * 500 + b"1" + b"}" * 500).status_code == 400


def test_a_template_in_a_payload_stays_text(door: Door) -> None:
    text = "{{ 7 * 7 }} {% for x in range(9) %}x{% endfor %} {{ self.__class__ }}"
    event_id = door.slack(message(1, text=text)).json()["event_ids"][0]
    found = door.side.outbox.events.get(event_id)
    assert found
    patches = door.side.outbox.waiting_patches(unpack(found[2]).facts["external_id"])
    assert "{{ 7 * 7 }}" in orjson.dumps(orjson.loads(patches[0].patch)).decode()
    assert b"49" not in patches[0].patch
    books(door)


def test_a_path_leads_nowhere_else(door: Door) -> None:
    for path in ("/hooks/../../etc/passwd", "/hooks/%2e%2e%2fetc", "/hooks/slack%00", "/hooks/a%2fb"):
        assert door.http.post(path, content=b"{}").status_code in (400, 404, 405)
