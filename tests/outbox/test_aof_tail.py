"""A file whose end is damaged: what was whole stays, what was not is cut, and what was cut is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import UserError
from relay.outbox.aof_tail import whole_commands
from relay.outbox.embedded import EmbeddedServer


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


_COMMANDS = st.lists(st.lists(st.binary(max_size=12), min_size=1, max_size=4), max_size=6)


@given(_COMMANDS, st.binary(max_size=30))
def test_what_is_whole_is_never_cut(commands: list[list[bytes]], tail: bytes) -> None:
    whole = b"".join(command(b"SET", *words) for words in commands)
    assert whole_commands(whole) == len(whole)
    assert whole_commands(whole + tail) >= len(whole)
    assert whole_commands(whole + b"\0" * 40 + tail) == len(whole)


@given(_COMMANDS, st.integers(min_value=1, max_value=30))
def test_half_a_command_is_not_whole(commands: list[list[bytes]], cut: int) -> None:
    whole = b"".join(command(b"SET", *words) for words in commands)
    last = command(b"SET", b"key", b"a value long enough")
    assert whole_commands(whole + last[:-cut]) == len(whole)


def test_half_a_transaction_goes_as_a_whole() -> None:
    begun = command(b"SELECT", b"0")
    open_one = command(b"MULTI") + command(b"SET", b"a", b"1")
    assert whole_commands(begun + open_one) == len(begun)
    done = begun + open_one + command(b"EXEC")
    assert whole_commands(done + b"#TS:1700000000\r\n" + command(b"SET", b"b", b"2")) == len(done) + 16 + len(
        command(b"SET", b"b", b"2")
    )


def appended_to(folder: Path) -> Path:
    [path] = (folder / "appendonlydir").glob("*.incr.aof")
    return path


@pytest.fixture
def stopped(short_tmp: Path) -> Path:
    folder = short_tmp / "r"
    server = EmbeddedServer(folder).start()
    with redis.Redis.from_url(server.url) as client:
        for number in range(50):
            client.set(f"relay:k{number}", number)
    server.kill()
    server.stop()
    return folder


@pytest.mark.process
@pytest.mark.parametrize(
    "damage", [b"\0" * 4096, b"\0", b"garbage \xff\x00" * 50, b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n\0\0"]
)
def test_a_server_starts_on_a_damaged_end_and_says_what_was_cut(stopped: Path, damage: bytes) -> None:
    path = appended_to(stopped)
    before = path.read_bytes()
    path.write_bytes(before + damage)
    said: list[str] = []
    server = EmbeddedServer(stopped, tell=said.append).start()
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.dbsize() == 50
    finally:
        server.stop()
    # The server itself mends what is merely unfinished; what it does not read is cut here, and that is said.
    if said:
        [kept] = stopped.glob("*.damaged-*")
        assert kept.read_bytes() == before + damage
        assert str(kept) in said[0] and str(len(damage)) in said[0]
    assert said or damage.startswith(b"*")


@pytest.mark.process
def test_damage_in_the_middle_is_left_to_a_person(stopped: Path) -> None:
    path = appended_to(stopped)
    before = path.read_bytes()
    damaged = before + b"\0" * 512 + command(b"SET", b"acknowledged", b"1")
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="nothing was cut"):
        EmbeddedServer(stopped).start()
    assert path.read_bytes() == damaged


@pytest.mark.process
def test_a_start_lasts_until_all_is_loaded(short_tmp: Path) -> None:
    """TIME answers while it loads; nothing that is asked after a start may hear that."""
    server = EmbeddedServer(short_tmp / "r", appendfsync="no").start()
    client = redis.Redis.from_url(server.url)
    client.mset({f"k{number}": "x" for number in range(1_000)})
    server.stop()
    slowly = ("key-load-delay 500", "loading-process-events-interval-bytes 1024")
    server = EmbeddedServer(short_tmp / "r", extra=slowly).start()
    try:
        assert client.dbsize() == 1_000
    finally:
        server.stop()
