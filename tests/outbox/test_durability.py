"""What is said of Redis's promises, over both servers and every setting: nothing that is not told counts as told."""

from __future__ import annotations

import gc

import pytest
from redis.exceptions import RedisError

from relay.outbox.connection import connect
from relay.outbox.durability import REPLICA, Durability, examine_durability, try_write
from tests.outbox.servers import BOTH, REDIS_7_0, VALKEY, Kind, admin, as_user, running

pytestmark = pytest.mark.process

PREFIX = "relay:{main}:"


def look(url: str) -> tuple[Durability, str]:
    client = connect(url)
    try:
        found = examine_durability(client)
        return found, try_write(client, found, prefix=PREFIX)
    finally:
        client.close()


@pytest.mark.parametrize("user", ["plain", "mute"])
@pytest.mark.parametrize("fsync", ["always", "everysec", "no"])
@pytest.mark.parametrize("kind", BOTH)
def test_who_vouches_for_a_write_being_on_disk(kind: Kind, fsync: str, user: str) -> None:
    with running(kind, fsync=fsync) as server:
        found, refusal = look(as_user(server, user))
    told = user == "plain"
    assert (found.fsync, bool(found.not_told)) == ((fsync, False) if told else ("", True))
    assert bool(found.no_waitaof) == (not kind.waitaof)
    if told and fsync == "always":
        expected = "always"
    elif kind.waitaof and not (told and fsync == "no"):
        # Its WAITAOF answers before the sync.
        expected = "watched"
    else:
        expected = "nobody"
    assert found.confirmed_by == expected
    # Who is not known to sync before it answers is asked to confirm, wherever that can be asked.
    assert found.wait_aof == (kind.waitaof and not (told and fsync == "always"))
    if expected == "nobody":
        problem = " ".join(found.problems)
        assert "appendfsync" in problem and ("WAITAOF" in problem)
        assert ("CONFIG GET" in problem) == (not told)
        assert refusal == ""
    elif fsync == "no":
        # Not told, and asked: the answer never comes, and that is said.
        assert not found.problems and "did not confirm" in refusal and "this user may not" in refusal
    else:
        assert (found.problems, refusal) == ((), "")


@pytest.mark.parametrize("kind", BOTH)
def test_each_look_sees_what_the_server_is_set_to_now(kind: Kind) -> None:
    with running(kind, fsync="always") as server:
        client = connect(as_user(server, "plain"))
        assert examine_durability(client).confirmed_by == "always"
        admin(server).config_set("appendfsync", "everysec")
        assert examine_durability(client).confirmed_by == ("watched" if kind.waitaof else "nobody")
        admin(server).config_set("appendfsync", "no")
        assert examine_durability(client).confirmed_by == "nobody"
        admin(server).config_set("appendfsync", "always")
        assert (examine_durability(client).confirmed_by, examine_durability(client).problems) == (
            "always",
            (),
        )
        admin(server).config_set("appendonly", "no")
        assert ["appendonly no" in problem for problem in examine_durability(client).problems] == [True]
        client.close()


def test_a_user_who_may_ask_for_nothing_is_told_what_could_not_be_asked() -> None:
    with running(VALKEY) as server:
        admin(server).execute_command("ACL", "SETUSER", "mute", "-waitaof")  # type: ignore[no-untyped-call]
        found, _ = look(as_user(server, "mute"))
    assert found.confirmed_by == "nobody"
    assert found.problems == (
        "nobody can say whether a write is on disk: neither CONFIG GET appendfsync could be asked (this user may not) nor "
        "WAITAOF (this user may not); let the user run one of them, or set appendfsync always, or use a server with WAITAOF "
        "(Redis 7.2, Valkey 8)",
    )


@pytest.mark.skipif(not REDIS_7_0.binary, reason="redis-server is not installed")
def test_an_old_server_with_everysec_names_the_setting_and_the_command() -> None:
    with running(REDIS_7_0, fsync="everysec") as server:
        found, _ = look(server.url)
    assert found.problems == (
        "Redis answers before a write is on disk (appendfsync everysec), and WAITAOF could not be asked (this server does not "
        "know it); set appendfsync always, or use a server with WAITAOF (Redis 7.2, Valkey 8)",
    )


@pytest.mark.parametrize("kind", BOTH)
def test_an_append_only_file_that_is_only_begun_confirms_nothing_yet(kind: Kind) -> None:
    """`CONFIG SET appendonly yes` writes the first file beside the traffic, and a promoted replica likewise."""
    with running(kind, fsync="always", extra=("appendonly no", "rdb-key-save-delay 100000")) as server:
        client = connect(server.url)
        for number in range(40):
            client.set(f"{PREFIX}x{number}", "x")
        admin(server).config_set("appendonly", "yes")
        found = examine_durability(client)
        refusal = try_write(client, found, prefix=PREFIX)
        if kind.waitaof:
            assert found.confirmed_by == "always" and "did not confirm" in refusal
        admin(server).config_set("rdb-key-save-delay", "0")
        client.close()


def test_a_replica_is_no_place_to_write_until_it_is_promoted() -> None:
    with running(VALKEY, extra=("port 0",)) as server:
        client = connect(server.url)
        admin(server).replicaof("127.0.0.1", "1")
        found = examine_durability(client)
        assert any("read-only" in problem for problem in found.problems)
        assert try_write(client, found, prefix=PREFIX) == "Redis: read-only"
        admin(server).replicaof("NO", "ONE")
        found = examine_durability(client)
        assert (found.problems, try_write(client, found, prefix=PREFIX)) == ((), "")
        client.close()


@pytest.mark.parametrize("kind", BOTH)
def test_a_look_leaves_nothing_for_the_collector(kind: Kind) -> None:
    """What may not be asked is an error among the answers, each second; its frames would hold all that was told."""
    with running(kind, fsync="always") as server:
        if kind.waitaof:
            admin(server).execute_command("ACL", "SETUSER", "mute", "-waitaof")  # type: ignore[no-untyped-call]
        client = connect(as_user(server, "mute"))
        gc.collect()
        before = {id(one) for one in gc.get_objects() if isinstance(one, RedisError)}
        gc.disable()
        try:
            found = examine_durability(client)
            try_write(client, found, prefix=PREFIX)
            errors = [one for one in gc.get_objects() if isinstance(one, RedisError)]
            left = [error for error in errors if id(error) not in before]
        finally:
            gc.enable()
            client.close()
    assert found.no_waitaof and left == []


@pytest.mark.parametrize("kind", BOTH)
def test_a_replica_s_refusal_of_waitaof_says_nothing_of_the_primary_that_it_becomes(kind: Kind) -> None:
    """The first write after a promotion was not asked for, and readiness named a setting that was right."""
    with running(kind, fsync="everysec") as server:
        as_primary = examine_durability(admin(server))
        admin(server).execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
        as_replica = examine_durability(admin(server))

    assert as_replica.passing == (REPLICA,)
    assert [one for one in as_replica.problems if one != REPLICA] == list(as_primary.problems)
    assert as_replica.wait_aof == as_primary.wait_aof
