"""The address of Redis: what holds is taken as written, what does not is named, and no password is ever repeated."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.redis_tls import Authority
from relay.errors import SettingsInvalid
from relay.outbox.connection import connect, connect_async
from relay.outbox.redis_url import RedisUrl, parse_redis_url


@pytest.mark.parametrize(
    ("text", "hosts", "db", "login"),
    [
        ("redis://h", (("h", 6379),), 0, ("", "")),
        ("redis://h:7000/5", (("h", 7000),), 5, ("", "")),
        ("redis://h/?db=3", (("h", 6379),), 3, ("", "")),
        ("rediss://:p%40ss@h:1/2", (("h", 1),), 2, ("", "p@ss")),
        ("redis://user:p%2Fw@[::1]:7/1", (("::1", 7),), 1, ("user", "p/w")),
        (" redis://h\n", (("h", 6379),), 0, ("", "")),
        ("redis+sentinel://u:p@a:1,b/svc/4", (("a", 1), ("b", 26379)), 4, ("u", "p")),
        ("redis+cluster://u:p@a:1,b", (("a", 1), ("b", 6379)), 0, ("u", "p")),
        ("rediss+cluster://a/0?ssl_check_hostname=no", (("a", 6379),), 0, ("", "")),
    ],
)
def test_what_holds(text: str, hosts: object, db: int, login: tuple[str, str]) -> None:
    found = parse_redis_url(text)
    assert (found.hosts, found.db, (found.username, found.password)) == (hosts, db, login)


def test_a_socket_and_its_database() -> None:
    found = parse_redis_url("unix://plain:word@/run/redis.sock?db=2")
    assert (found.path, found.db, found.username, found.password) == ("/run/redis.sock", 2, "plain", "word")
    assert found.shown() == "unix:///run/redis.sock"


def test_options_reach_the_client_with_their_types(tmp_path: Path) -> None:
    ca = str(Authority(tmp_path).ca)
    client = connect(f"rediss://h/0?ssl_check_hostname=false&ssl_ca_certs={ca}&client_name=relay")
    told = client.connection_pool.connection_kwargs
    assert (told["ssl_check_hostname"], told["ssl_ca_certs"], told["client_name"]) == (
        False,
        ca,
        "relay",
    )
    assert connect_async("redis://h/0").connection_pool.connection_kwargs["health_check_interval"] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h:6379", "should begin with one of redis://"),
        ("http://h", "should begin with one of redis://"),
        ("redis://", "names no host"),
        ("redis://:secret@", "names no host"),
        ("redis://h/prod", "should be a number"),
        ("redis://h/0/1", "more than a database's number"),
        ("redis://h:port", "the port should be a number"),
        ("redis://h:", "no port"),
        ("redis://h:70000", "the port should be a number"),
        ("redis://:sec/ret@h:1/0", "percent-encode"),
        ("redis://:sec@ret@h:1/0", "percent-encode"),
        ("redis://:sec#ret@h:1/0", "percent-encode"),
        ("redis://:sec?ret@h:1/0", "percent-encode"),
        ("redis://:secret:h:1/0", "IPv6|port"),
        ("redis://secret@h:1/0", "user:password"),
        ("redis://:se cret@h:1/0", "white space"),
        ("redis://h?ssl_verify=secret", "known are"),
        ("redis://h?secret", "name=value"),
        ("redis://a:1,b:2/0", "several hosts"),
        ("redis://::1:6379", "brackets"),
        ("redis+sentinel://a:1,b:2", "the service's name"),
        ("redis+cluster://u:sec@a:1,b:2/3", "database 0 alone"),
        ("redis+cluster://u:sec@a:1,/0", "names no host"),
        ("redis+sentinel://a:x/svc", "the port should be a number"),
        ("unix://run/redis.sock", "absolute path"),
        ("unix:///s.sock?db=x", "should be a number"),
    ],
)
def test_what_does_not_hold_is_named_and_no_secret_with_it(text: str, said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said) as caught:
        connect(text)
    assert str(caught.value).startswith("RELAY_REDIS_URL: ")
    assert "sec" not in str(caught.value) and "ret" not in str(caught.value).replace("secret", "ret")
    with pytest.raises(SettingsInvalid):
        connect_async(text)


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text_is_an_address_or_a_sentence(text: str) -> None:
    for scheme in ("redis://", "rediss://", "unix://", "redis+sentinel://", "redis+cluster://"):
        try:
            found = parse_redis_url(scheme + text)
        except SettingsInvalid:
            continue
        else:
            assert isinstance(found, RedisUrl)
            assert found.hosts or found.path


@given(st.text(min_size=12, max_size=20, alphabet=string.ascii_letters + string.digits + "@:/?#%&= "))
def test_a_password_written_plainly_is_never_repeated(text: str) -> None:
    # Hypothesis also tries words of our own sentences; none of these ends so.
    password = f"{text}Zq7"
    try:
        found = parse_redis_url(f"redis://:{password}@h:6379/0")
        said = repr(found) + found.shown()
    except SettingsInvalid as error:
        said = str(error)
    assert password not in said
