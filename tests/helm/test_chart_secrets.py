"""The chart's secrets: made once and kept, mounted where they are needed, in no ConfigMap and no argument; and who gets in."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.fake_cluster import cluster
from tests.helm.rendering import (
    CHART,
    HELM,
    HELMS,
    MINIMAL,
    TOP,
    VALUES,
    Json,
    by_helm,
    by_values,
    changed,
    objects_in,
    one,
    refusal,
    render,
    rendered,
    run_helm,
)
from tests.helm.semantics import containers_of, pods_of

VALKEY = {**{key: value for key, value in MINIMAL.items() if key != "redis"}, "valkey": {"enabled": True}}
OPEN = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
TEMPLATE = ("template", "demo", str(HELM), "--namespace", "relay")
#: As an installation, but that nothing is stored.
ASKING = (*TEMPLATE, "--dry-run=server", "--disable-openapi-validation")


def generated(text: str) -> Json:
    return one(objects_in(text), "Secret", "-generated")


# --- made once ----------------------------------------------------------------------------------------------------------


@by_helm
def test_what_was_made_is_kept_over_an_upgrade(helm: str, tmp_path: Path) -> None:
    with cluster(tmp_path, {}) as environ:
        first = run_helm(helm, *ASKING, values=VALKEY, environ=environ)
    assert first.returncode == 0, first.stderr
    made = generated(first.stdout)
    assert set(made["data"]) == {"operator-token", "redis-password"}
    for text in made["data"].values():
        # 40 letters and digits: 238 bits.
        assert re.fullmatch(r"[A-Za-z0-9]{40}", b64decode(text).decode())
    with cluster(tmp_path, {made["metadata"]["name"]: made}) as environ:
        again = run_helm(helm, *ASKING, "--is-upgrade", values=VALKEY, environ=environ)
        more = run_helm(helm, *ASKING, "--is-upgrade", values=MINIMAL, environ=environ)
    assert again.stdout == first.stdout
    assert generated(more.stdout)["data"] == {"operator-token": made["data"]["operator-token"]}


def test_each_key_that_is_missing_is_made_and_the_others_stay(tmp_path: Path) -> None:
    held = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "x"},
        "data": {"operator-token": "b25l"},
    }
    with cluster(tmp_path, {"demo-planhat-relay-generated": held}) as environ:
        done = run_helm(HELMS[-1], *ASKING, "--is-upgrade", values=VALKEY, environ=environ)
    data = generated(done.stdout)["data"]
    assert data["operator-token"] == "b25l"
    assert len(b64decode(data["redis-password"])) == 40


@by_helm
def test_two_that_are_made_are_not_the_same(helm: str) -> None:
    one_of, other = (generated(run_helm(helm, *TEMPLATE, values=VALKEY).stdout)["data"] for _ in range(2))
    assert len({*one_of.values(), *other.values()}) == 4


@by_helm
def test_who_may_not_ask_the_cluster_has_to_name_them(helm: str) -> None:
    """Argo CD tells the chart which kinds the cluster has, and lets no template ask it."""
    knowing = (*TEMPLATE, "--api-versions", "v1/Secret")
    done = run_helm(helm, *knowing, values=VALKEY)
    assert done.returncode != 0
    assert "operator-token and redis-password: nobody named one" in done.stderr
    named = changed(VALKEY, {"operators.existingSecret": "a", "valkey.auth.existingSecret": "b"})
    first, second = (run_helm(helm, *knowing, values=named) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert "-generated" not in first.stdout


# --- where they go ------------------------------------------------------------------------------------------------------

#: Every credential that can be configured, and the kinds of pods that have a use for it.
NEEDED = {
    "planhat-token": {"worker"},
    "operator-token": {"web", "test"},
    "reader-token": {"web"},
    "encryption-keys": {"web", "worker"},
    "redaction-key": {"web", "worker"},
    "redis-url": {"web", "worker"},
}


def test_each_pod_has_what_it_needs_and_no_more() -> None:
    found: dict[str, set[str]] = {}
    for _, pod in pods_of(rendered(CHART / "values" / "everything.yaml")):
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for volume in pod["spec"].get("volumes", []):
            if volume["name"] == "credentials":
                for source in volume["projected"]["sources"]:
                    for item in source["secret"]["items"]:
                        found.setdefault(item["path"], set()).add(component)
    assert found == NEEDED


@by_values
def test_a_file_is_named_where_it_is_mounted_and_nowhere_else(path: Path) -> None:
    for owner, pod in pods_of(rendered(path)):
        mounted = {
            item["path"]
            for volume in pod["spec"].get("volumes", [])
            if volume["name"] == "credentials"
            for source in volume["projected"]["sources"]
            for item in source["secret"]["items"]
        }
        for container in containers_of(pod):
            named = {
                entry["value"].rsplit("/", 1)[-1]
                for entry in container.get("env", [])
                if str(entry.get("value", "")).startswith("/run/secrets/relay/")
            }
            assert named == mounted, (owner, container["name"])


@by_values
def test_no_argument_carries_a_secret(path: Path) -> None:
    """Arguments are for everybody to read, in /proc and in `kubectl get pod`."""
    for owner, pod in pods_of(rendered(path)):
        for container in containers_of(pod):
            secret = {entry["name"] for entry in container.get("env", []) if "valueFrom" in entry}
            told = json.dumps([*container.get("command", []), *container.get("args", [])])
            assert not [name for name in secret if f"$({name})" in told], (owner, container["name"])
            assert "--password" not in told and "--requirepass" not in told


def test_the_bundled_valkey_has_a_password_of_its_own_and_everybody_uses_it() -> None:
    objects = render(
        HELMS[-1],
        {**VALKEY, "worker": {"autoscaling": {"type": "keda", "keda": {"redis": {"enabled": True}}}}},
    )
    wanted = {"name": "demo-planhat-relay-generated", "key": "redis-password"}
    users = {}
    for _, pod in pods_of(objects):
        for container in containers_of(pod):
            for entry in container.get("env", []):
                if entry["name"] in ("REDIS_PASSWORD", "REDISCLI_AUTH"):
                    assert entry["valueFrom"]["secretKeyRef"] == wanted
                    users[container["name"]] = entry["name"]
    assert users == {
        "web": "REDIS_PASSWORD",
        "worker": "REDIS_PASSWORD",
        "check-config": "REDIS_PASSWORD",
        "valkey": "REDISCLI_AUTH",
    }
    [reference] = one(objects, "TriggerAuthentication", "-redis")["spec"]["secretTargetRef"]
    assert reference == {"parameter": "password", **wanted}


@pytest.mark.parametrize("password", ["an-invented-password", "100%s.of~it_-"])
def test_valkey_reads_its_password_from_a_file_for_its_own_eyes(tmp_path: Path, password: str) -> None:
    container = one(render(HELMS[-1], VALKEY), "StatefulSet", "-valkey")["spec"]["template"]["spec"][
        "containers"
    ][0]
    shell, flags = container["command"]
    server = tmp_path / "valkey-server"
    server.write_text('#!/bin/sh\necho "$@"\n')
    server.chmod(0o755)
    script = container["args"][0].replace("/tmp/valkey.conf", f"{tmp_path}/valkey.conf")
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "REDISCLI_AUTH": password}
    done = subprocess.run([shell, flags, script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path}/valkey.conf\n"
    written = tmp_path / "valkey.conf"
    assert written.read_text() == f"include /etc/valkey/valkey.conf\nrequirepass {password}\n"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    empty = subprocess.run(
        [shell, flags, script],
        env={**environ, "REDISCLI_AUTH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (empty.returncode, empty.stdout, empty.stderr) == (1, "", "the password is empty\n")


# --- not in a ConfigMap -------------------------------------------------------------------------------------------------

#: What is written in the config, by kind of place. In the first half a piece of the secret stands in the ConfigMap.
WRITTEN = [
    "PLAIN",
    "PLAIN${X}",
    "${X}PLAIN",
    "${X:-PLAIN}",
    "${X:-}PLAIN",
    "$${X}",
    "PLAIN:${X:-}",
    "${file:/a}PLAIN",
    "PLAIN:",
]
REFERRED = ["${X}", "${file:/run/secrets/sources/a}", "${X}${file:/a}"]
LOGINS = [*REFERRED, "hook:${X}", "${USER}:${PASS}", "hook:${file:/run/secrets/sources/a}"]
PLACES: dict[str, tuple[Any, list[str]]] = {
    "secrets": (lambda text: {"secrets": [text]}, REFERRED),
    "secrets, one": (lambda text: {"secrets": text}, REFERRED),
    "secrets, second": (lambda text: {"secrets": ["${A}", text]}, REFERRED),
    "bearer": (lambda text: {"bearer": [text]}, REFERRED),
    "basic_auth": (lambda text: {"basic_auth": [text]}, LOGINS),
    "basic_auth, one": (lambda text: {"basic_auth": text}, LOGINS),
    "api_key": (lambda text: {"api_key": {"header": "X-K", "values": [text]}}, REFERRED),
    "api_key, one": (lambda text: {"api_key": {"header": "X-K", "values": text}}, REFERRED),
    "enrich.token": (lambda text: {"enrich": {"token": text}}, REFERRED),
    "enrich.login": (lambda text: {"enrich": {"login": text}}, LOGINS),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_that_is_written_out_is_refused_wholly_or_in_part(place: str) -> None:
    made, _ = PLACES[place]
    sources = {f"s{number}": {"adapter": "slack", **made(text)} for number, text in enumerate(WRITTEN)}
    said = refusal(HELMS[-1], changed(MINIMAL, {"config.sources": sources}))
    refused = set(re.findall(r"config\.sources\.(s\d+)\.\S+ is written out", said))
    assert refused == set(sources)
    assert "PLAIN" not in said.split("Error:")[-1]


@pytest.mark.parametrize("text", [True, False], ids=["text", "mapping"])
def test_a_secret_that_is_only_referred_to_is_taken(text: bool) -> None:
    sources = {
        f"s{number}": {"adapter": "slack", **made(word)}
        for number, (made, word) in enumerate(
            (made, word) for made, words in PLACES.values() for word in words
        )
    }
    config = {"planhat": {"types": ["A"]}, "sources": sources}
    render(HELMS[-1], {**MINIMAL, "config": yaml.safe_dump(config) if text else config})


def test_a_lane_s_token_is_a_secret_too() -> None:
    said = refusal(
        HELMS[-1], changed(MINIMAL, {"config.lanes": {"emea": {"token": "PLAIN"}, "us": {"token": "${US}"}}})
    )
    assert re.findall(r"config\.(\S+) is written out", said) == ["lanes.emea.token"]


# --- who gets in --------------------------------------------------------------------------------------------------------


def operator_peers(values: Json) -> list[Any]:
    """Who may reach the operators' port, rule by rule; None: everybody."""
    rules = one(render(HELMS[-1], values), "NetworkPolicy", "-web")["spec"]["ingress"]
    return [rule.get("from") for rule in rules if {"operators"} & {port["port"] for port in rule["ports"]}]


def test_the_operators_port_admits_nobody_by_default_but_the_test_pod() -> None:
    assert operator_peers(changed(MINIMAL, {"tests.enabled": False})) == []
    [[peer]] = operator_peers(MINIMAL)
    assert set(peer) == {"podSelector"}
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    assert operator_peers(
        changed(MINIMAL, {"tests.enabled": False, "networkPolicy.operatorsFrom": OPEN})
    ) == [OPEN]


def test_no_rule_of_a_policy_admits_everybody_but_the_public_ports() -> None:
    for path in VALUES:
        for found in rendered(path):
            if found["kind"] == "NetworkPolicy":
                for rule in found["spec"].get("ingress", []):
                    public = found["metadata"]["name"].endswith("-web") and rule["ports"][0]["port"] == "http"
                    assert rule.get("from") or public, found["metadata"]["name"]


def test_rq_dashboard_admits_nobody_by_default() -> None:
    dashboard = {"enabled": True, "image": {"repository": "a", "tag": "1"}, "existingSecret": "login"}
    policy = one(render(HELMS[-1], {**MINIMAL, "rqDashboard": dashboard}), "NetworkPolicy", "-rq-dashboard")
    assert policy["spec"]["ingress"] == []
    assert "Ingress" in policy["spec"]["policyTypes"]


def test_only_those_who_use_it_reach_the_bundled_valkey_and_the_sandbox() -> None:
    objects = rendered(CHART / "container.yaml")
    for name, users in (("-valkey", ["web", "worker", "rq-dashboard"]), ("-sandbox", ["worker", "test"])):
        [rule] = one(objects, "NetworkPolicy", name)["spec"]["ingress"]
        [peer] = rule["from"]
        assert peer["podSelector"]["matchExpressions"] == [
            {"key": "app.kubernetes.io/component", "operator": "In", "values": users}
        ]


INGRESS = {"web.ingress": {"enabled": True, "hosts": ["a.example.com"]}}
ROUTE = {"web.httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}]}}
OWN = {"operators.ingress": {"enabled": True, "host": "a.example.com"}, "networkPolicy.operatorsFrom": OPEN}
PRIVATE = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fc00::/7"


@pytest.mark.parametrize(
    ("changes", "trusted"),
    [
        ({}, None),
        (INGRESS, PRIVATE),
        (ROUTE, PRIVATE),
        (OWN, PRIVATE),
        ({**INGRESS, "web.trustedProxies": "10.1.0.0/16"}, "10.1.0.0/16"),
        ({"web.trustedProxies": "10.1.0.0/16"}, "10.1.0.0/16"),
    ],
)
def test_an_ingress_is_a_proxy_that_is_trusted(changes: Json, trusted: str | None) -> None:
    pod = one(render(HELMS[-1], changed(MINIMAL, changes)), "Deployment", "-web")["spec"]["template"]
    environ = {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][0]["env"]}
    assert environ.get("RELAY_TRUSTED_PROXIES") == trusted


def test_a_sandbox_in_the_cluster_is_spoken_to_in_clear_and_planhat_is_not() -> None:
    for path in VALUES:
        for owner, pod in pods_of(rendered(path)):
            for container in containers_of(pod):
                environ = {entry["name"]: entry.get("value") for entry in container.get("env", [])}
                url = environ.get("RELAY_PLANHAT_URL")
                if url:
                    assert (environ.get("RELAY_PLANHAT_PLAIN_HTTP") == "true") == url.startswith("http://"), (
                        owner
                    )


# --- images -------------------------------------------------------------------------------------------------------------


def test_images_of_others_are_named_by_digest() -> None:
    image = one(render(HELMS[-1], VALKEY), "StatefulSet", "-valkey")["spec"]["template"]["spec"][
        "containers"
    ][0]["image"]
    assert re.fullmatch(r"docker\.io/valkey/valkey@sha256:[0-9a-f]{64}", image)
    mirrored = changed(VALKEY, {"global.imageRegistry": "mirror.example.com"})
    text = json.dumps(one(render(HELMS[-1], mirrored), "StatefulSet", "-valkey"))
    assert image.replace("docker.io", "mirror.example.com") in text
    # What the chart knows is of its own tag only.
    other = json.dumps(
        one(render(HELMS[-1], changed(VALKEY, {"valkey.image.tag": "9.0"})), "StatefulSet", "-valkey")
    )
    assert '"docker.io/valkey/valkey:9.0"' in other
    for file in (TOP / "Dockerfile", HELM / "examples" / "rq-dashboard.Dockerfile"):
        bases = re.findall(r"^(?:FROM|ARG PYTHON_IMAGE=)\s*(\S*/\S+)", file.read_text(), re.MULTILINE)
        assert bases and all(re.search(r"@sha256:[0-9a-f]{64}$", base) for base in bases), file
