"""What is stored: round trips, what an older release wrote, and what is cut, damaged, foreign or a newer release's."""

from __future__ import annotations

import hashlib
import zlib
from contextlib import suppress
from importlib.resources import files
from struct import pack

import pytest
import redis
from cryptography.fernet import Fernet
from hypothesis import example, given
from hypothesis import strategies as st

from relay.errors import NewerRecord
from relay.outbox.compression import MOST_BYTES, NEWEST, compress, expand
from relay.outbox.fernet_pieces import fernet_token
from relay.outbox.items import Entry
from relay.outbox.store import Store
from relay.outbox.vault import Vault

_KEY = Fernet.generate_key().decode()
_VAULTS = (Vault(), Vault(lambda: _KEY))
_TYPICAL = b'{"v":2,"x":"slack-C1-1.2","e":"evt_1","f":{"subject":["first","Export fails"]},"a":"upsert"}' * 3
_values = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=2_000).map(str.encode),
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 1_000)).map(lambda made: made[0] * made[1]),
)


@given(_values)
def test_whatever_is_sealed_opens_as_it_was_and_is_hardly_longer(plain: bytes) -> None:
    for vault in _VAULTS:
        assert vault.open(vault.seal(plain)) == plain
    assert len(Vault().seal(plain)) <= len(plain) + max(1, len(plain) // 100)


@given(st.binary(max_size=MOST_BYTES))
def test_a_cut_value_is_refused(plain: bytes) -> None:
    value = compress(plain)
    for cut in {0, 1, len(value) // 2, len(value) - 1}:
        with pytest.raises(ValueError, match="a stored value is damaged"):
            expand(value[:cut])


@given(st.data())
def test_a_damaged_value_is_refused_or_says_what_it_said(data: st.DataObject) -> None:
    value = bytearray(compress(_TYPICAL))
    value[data.draw(st.integers(1, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        said = expand(bytes(value))
    except ValueError as error:
        said = str(error).encode()
    # A bit that means nothing may flip.
    assert said in (_TYPICAL, b"a stored value is damaged")


def test_each_bit_of_a_frame_s_header_counts() -> None:
    value = compress(_TYPICAL)
    for bit in range(8):
        with pytest.raises(ValueError, match="a stored value is damaged"):
            expand(value[:1] + bytes([value[1] ^ 1 << bit]) + value[2:])


@given(st.binary(min_size=1, max_size=200))
def test_a_foreign_value_is_refused(foreign: bytes) -> None:
    with pytest.raises(ValueError, match="a stored value is damaged"):
        expand(bytes([NEWEST]) + foreign)


def test_a_value_that_grows_beyond_what_is_written_is_refused() -> None:
    bomb = compress(b"a" * (MOST_BYTES + 1))
    assert len(bomb) < 100
    with pytest.raises(ValueError, match="a stored value is damaged"):
        expand(bomb)


def test_what_older_releases_wrote_is_read() -> None:
    plain = _TYPICAL * 50
    fernet = Fernet(_KEY.encode())
    for inner in (b"j" + plain, b"z" + zlib.compress(plain, 1)):
        assert Vault().open(inner) == plain
        assert Vault(lambda: _KEY).open(b"e" + fernet.encrypt(inner)) == plain


def test_what_a_newer_release_wrote_is_left_for_that_one() -> None:
    fernet = Fernet(_KEY.encode())
    pair = b"q" + pack(">I", 10) + b"s" + bytes([NEWEST + 1])
    first, second = Vault().seal_pair(b"{}", _TYPICAL)
    later = b"q" + pack(">I", len(first)) + first + b"y" + second[2:]
    for stored in (
        b"y whatever",
        b"d" + bytes([NEWEST + 1]) + b"whatever",
        pair + b"whateverj" + bytes(9),
        later,
    ):
        with pytest.raises(NewerRecord):
            Vault().open(stored)
        with pytest.raises(NewerRecord):
            Vault(lambda: _KEY).open(b"e" + fernet.encrypt(stored))
    for stored in (b"", b"\x00x", b"Qx", b"d", b"d\x00x"):
        with pytest.raises(ValueError, match="a stored value") as caught:
            Vault().open(stored)
        assert not isinstance(caught.value, NewerRecord)


@example(b"", _TYPICAL, 0, 1)
@example(b"{", _TYPICAL, 0, 1)
@given(_values, _values, st.integers(0, 100_000), st.integers(1, 255))
def test_a_patch_is_read_with_the_event_that_it_was_made_of(
    record: bytes, patch: bytes, at: int, bits: int
) -> None:
    for vault in _VAULTS:
        first, second = vault.seal_pair(record, patch)
        assert vault.open(first) == record
        if second[:1] != b"c":
            assert vault.open(second) == patch
            continue
        whole = b"q" + pack(">I", len(first)) + first + second[1:]
        assert vault.open(whole) == patch
        for alone in (
            second,
            b"q" + pack(">I", 0) + second[1:],
            whole[: 1 + at % (len(whole) - 1)],
        ):
            with pytest.raises(ValueError, match="a stored"):
                vault.open(alone)
        at = 5 + at % (len(whole) - 5)
        damaged = whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :]
        with suppress(ValueError):
            # Where the damage is of no consequence, as in a size that zstd does not look at.
            assert vault.open(damaged) == patch


def test_a_patch_costs_little_beside_its_event() -> None:
    record = b'{"v":1}\n' + _TYPICAL * 3
    first, second = Vault().seal_pair(record, b'{"v":2,"f":' + _TYPICAL * 3 + b"}")
    assert len(second) < 60 and len(first) <= len(Vault().seal(record)) + 4


@given(_values, st.binary(max_size=200))
def test_a_first_line_is_read_of_a_beginning_or_more_of_it_is_asked_for(rest: bytes, line: bytes) -> None:
    line = line.replace(b"\n", b" ")
    for vault in _VAULTS:
        stored = vault.seal(line + b"\n" + rest)
        assert vault.open_line(stored, whole=True) == line
        assert vault.open_line(stored[: len(stored) // 2], whole=False) in (line, None)


def test_a_large_bodys_head_is_read_without_the_body() -> None:
    stored = Vault().seal(_TYPICAL + b"\n" + bytes(range(256)) * 400)
    assert Vault().open_line(stored[:4_096], whole=False) == _TYPICAL
    entry = Entry("evt_1", "mail", "pending", ("evt_1",), _TYPICAL + b"\n")
    sealed = Vault().seal_entry(entry, [b"body"]).record
    assert Vault().open(sealed) == _TYPICAL + b"\nbody"


#: By number. What was released never changes: what was stored with it needs it to the last byte.
_RELEASED = {1: "9ce2e47d14f145ae7539c1dc8fb685690be530a08011358179738dbb6b228196"}


def test_dictionaries_stay_as_they_were_released() -> None:
    folder = files("relay.outbox").joinpath("dictionaries")
    found = {int(file.name.partition(".")[0]): file.read_bytes() for file in folder.iterdir()}
    assert {number: hashlib.sha256(content).hexdigest() for number, content in found.items()} == _RELEASED
    assert max(_RELEASED) == NEWEST


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_a_token_made_in_pieces_is_the_librarys(pieces: list[bytes]) -> None:
    key = Fernet.generate_key()
    assert Fernet(key).decrypt(b"".join(fernet_token(key, pieces))) == b"".join(pieces)


@pytest.mark.parametrize("keys", ["", _KEY], ids=["plain", "sealed"])
def test_a_body_in_pieces_is_opened_as_one(keys: str) -> None:
    vault = Vault(lambda: keys)
    entry = Entry("e", "s", "pending", ("e",), b'{"id":"e"}\n')
    for body in ([], [b""], [b"x" * 70_000, b"y"], [bytes([n]) * 1000 for n in range(99)]):
        sealed = vault.seal_entry(entry, body).record
        assert vault.open(sealed) == entry.record + b"".join(body)
        assert vault.open_line(sealed, whole=True) == b'{"id":"e"}'


def test_a_patch_whose_event_was_not_handed_over_is_one_items_fault() -> None:
    """An error that its claim knows, and no end of the whole job."""
    store = Store(redis.Redis())
    record, patch = store.vault.seal_pair(b'{"id":"evt_1"}\nbody', b'{"x":"a conversation","f":{}}' * 4)
    entry = b"\x1f".join((b"evt_1", b"slack", b"1", b"1", patch))
    assert patch[:1] == b"c"
    [whole] = store.all_pending([entry], [b"p" + b"0" * 13 + record])
    assert whole.patch.startswith(b'{"x"')
    with pytest.raises(ValueError, match="is gone"):
        store.all_pending([entry], [])
    assert [pending.patch for pending in store.all_pending([entry], [], lenient=True)] == [b""]
