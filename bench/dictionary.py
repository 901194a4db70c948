"""Makes the dictionary that stored values are compressed with (`relay/outbox/dictionaries`), of nothing that ever came in.

Every adapter's built-in sample is mapped by its default rules again and again; its texts are exchanged for texts of common words,
drawn by how common they are, its numbers and ids for others. What stays is what all values share: keys, envelopes, short words. A
dictionary that was released is never made anew: what was stored with it needs it. A new one has the next number.

    python -m bench.dictionary OUT.zdict
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import zstandard

from relay.door.house import Source, furnish
from relay.door.intake import Intake
from relay.errors import RelayError
from relay.outbox.items import Entry
from relay.patch import Document, Patch
from relay.rules.file.load import load
from relay.sources.base import Inbound
from relay.sources.registry import ADAPTERS

SIZE = 32 * 1024
_NOW_S = 1_795_847_563.0
#: English as support writes it, the most common words first; from these texts are drawn.
_COMMON = """the to you I a and is in for of it we that have on this with be can not are your our as please if my so at from but was or
thank me will when they do thanks would just there an all has get no need up now what could how know some also any more let
been by like see then out about which them does us using time one still new only would had use after other work working
because page hi hello here same issue problem help team try again able customer support email account user users data
error today tomorrow yesterday week day morning sure look back call meeting message question update report file
fails failed list project change access send sent set first last possible through want where make before should yet into
than think since order number link invoice payment contact name company product version test feature ticket request
export import side time-out connection login password license price contract renewal plan great sorry regards best kind
very much well right good soon both each over next another found show shows click button screen attached below above
"""
_WORDS = _COMMON.split()
_RANKED = [1 / (rank + 3) for rank in range(len(_WORDS))]
_ENDS = [", ", ". ", " ", " ", " ", " ", " ", " ", " "]
_DIGITS, _HEX = b"0123456789", b"0123456789abcdef"
_CAPITALS = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_ID = re.compile(rb"[0-9a-f]{10,}|\d{4,}|(?<=[-_\"])[A-Z0-9]{8,}")


def made(size: int = SIZE, *, rounds: int = 20, seed: int = 1) -> bytes:
    """The same bytes for the same arguments, sources and zstd."""
    rng = random.Random(seed)
    samples: list[bytes | bytearray | memoryview[int]] = [
        _other_ids(value, rng) for value in stored_values(rounds, rng)
    ]
    return zstandard.train_dictionary(size, samples, k=400, d=8, level=3).as_bytes()


def stored_values(rounds: int, rng: random.Random) -> Iterator[bytes]:
    """Archived events, patches and documents of every adapter's sample; Slack's more often than others'."""
    for adapter in ADAPTERS:
        often = rounds * 10 if adapter == "slack" else rounds
        for number in range(often):
            for entry in _entries(adapter, number, rng):
                yield entry.record
                if entry.patch:
                    document = Document(entry.external_id)
                    document.absorb(Patch.decode(entry.patch))
                    yield entry.patch
                    document.sent_hash = f"{rng.getrandbits(64):016x}"
                    document.company_id = "extid-acme"
                    document.history = [{"at_ms": int(_NOW_S * 1000) + rng.getrandbits(30), "what": "sent"}]
                    yield document.encode()


def _entries(adapter: str, number: int, rng: random.Random) -> list[Entry]:
    """Of one sample; none where the adapter needs more than a name to be set up."""
    try:
        intake, source = _set_up(adapter)
        sample = source.adapter.sample(serial=number, now_s=_NOW_S + rng.random() * 1e6)
        headers = {name.lower(): value for name, value in sample.headers.items()}
        headers |= {"host": "relay.example.com", "user-agent": "", "content-length": str(len(sample.body))}
        inbound = Inbound(_other_texts(sample.body, rng), headers, sample.method, f"/hooks/{adapter}")
        return intake.map(source, inbound, now_s=_NOW_S)[0]
    except (RelayError, ValueError, NotImplementedError):
        return []


@cache
def _set_up(adapter: str) -> tuple[Intake, Source]:
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        config = {
            "planhat": {"types": ["Thread"]},
            "companies": [{"default": "extid-acme"}],
            "sources": {adapter: {"adapter": adapter, "type": "Thread", "unauthenticated": True}},
        }
        file = Path(folder) / "relay.yaml"
        file.write_bytes(orjson.dumps(config))
        house = furnish(*load(str(file), {"RELAY_ALLOW_WEAK_SECRETS": "true"}))
    return Intake(house, records=None), house.sources[adapter]  # type: ignore[arg-type]


def _text(rng: random.Random) -> str:
    words = rng.choices(_WORDS, _RANKED, k=rng.randrange(20, 160))
    text = "".join(word + rng.choice(_ENDS) for word in words).strip()
    return text[:1].upper() + text[1:] + "."


def _other_texts(body: bytes, rng: random.Random) -> bytes:
    """A JSON body whose texts are drawn; any other as it is."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        if isinstance(value, str) and value.count(" ") > 2 and "<" not in value:
            return _text(rng)
        return value

    try:
        return orjson.dumps(walk(orjson.loads(body)))
    except ValueError:
        return body


def _other_ids(value: bytes, rng: random.Random) -> bytes:
    def draw(found: re.Match[bytes]) -> bytes:
        old = found[0]
        letters = _DIGITS if old.isdigit() else _HEX if old.islower() else _CAPITALS
        return bytes(rng.choices(letters, k=len(old)))

    return _ID.sub(draw, value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    chosen.out.write_bytes(made())
    sys.stdout.write(f"{chosen.out}: {chosen.out.stat().st_size:,} bytes\n")
