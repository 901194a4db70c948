"""The chart: what it renders, for every values file, with every Helm and Kubernetes it names.

`.ci/chart` runs this with pinned Helm 3 and Helm 4 in an environment of its own; without any Helm everything here is skipped.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml

from tests.helm.rendering import (
    CHART,
    CUSTOM,
    HELM,
    HELMS,
    KUBERNETES,
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
    render_text,
    rendered,
    rendered_text,
    run_helm,
)
from tests.helm.semantics import containers_of, find_faults, pods_of

sys.path.insert(0, str(TOP / ".ci"))
from values_table import main as values_table
from values_table import read_values

VALUES_TEXT = (HELM / "values.yaml").read_text()


# --- what is rendered -------------------------------------------------------------------------------------------------


@by_helm
@by_values
def test_lint_finds_nothing(helm: str, path: pathlib.Path) -> None:
    done = run_helm(helm, "lint", "--strict", str(HELM), "-f", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@by_values
@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_every_object_is_what_kubernetes_knows_and_nothing_is_misspelt(
    path: pathlib.Path, kubernetes: str
) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    for found in rendered(path, kubernetes=kubernetes):
        if found["kind"] not in CUSTOM:
            validator.validate(found, kubernetes.rsplit(".", 1)[0], strict=True)


def test_a_misspelt_key_would_be_found() -> None:
    validator = pytest.importorskip("kubernetes_validate")
    deployment = one(rendered(VALUES[0]), "Deployment", "-web")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["periodSecond"] = 1
    with pytest.raises(validator.ValidationError):
        validator.validate(deployment, "1.37", strict=True)


@by_values
@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.skipif(len(HELMS) < 2, reason="one Helm only")
def test_helm_3_and_helm_4_render_the_same(path: pathlib.Path, kubernetes: str) -> None:
    first, *others = (rendered(path, helm=helm, kubernetes=kubernetes) for helm in HELMS)
    assert all(first == other for other in others)


@by_values
def test_nothing_is_wrong_between_the_objects(path: pathlib.Path) -> None:
    assert find_faults(rendered(path)) == []


@by_values
def test_rendering_twice_gives_the_same_bytes(path: pathlib.Path) -> None:
    again = render_text(HELMS[-1], yaml.safe_load(path.read_text()), kubernetes=KUBERNETES[-1])
    assert again == rendered_text(HELMS[-1], path, KUBERNETES[-1])


def test_no_template_asks_chance_the_clock_or_the_cluster() -> None:
    """But the one for secrets that nobody named; `test_chart_secrets.py` holds that they are kept."""
    for path in HELM.glob("templates/**/*"):
        if path.is_file() and path.name != "_generated.tpl":
            assert not re.search(
                r"\b(rand\w*|now|lookup|genCA|genSelfSignedCert|uuidv4|ago)\b\s",
                path.read_text().split("*/}}")[-1],
            ), path


PLANTED: dict[str, tuple[str, Callable[[list[Json]], Any], str]] = {
    "root": ("minimal", lambda o: one(o, "Deployment", "-web")["spec"]["template"]["spec"]["securityContext"].pop("runAsNonRoot"), "runAsNonRoot"),
    "writable": ("minimal", lambda o: one(o, "Pod", "-test")["spec"]["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"), "readOnlyRoot"),
    "token": ("minimal", lambda o: one(o, "Deployment", "-worker")["spec"]["template"]["spec"].pop("automountServiceAccountToken"), "token"),
    "links": ("minimal", lambda o: one(o, "Deployment", "-worker")["spec"]["template"]["spec"].pop("enableServiceLinks"), "RELAY_PORT"),
    "probe": ("minimal", lambda o: one(o, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]["ports"].pop(0), "asks a port"),
    "selector": ("minimal", lambda o: one(o, "Service", "-web")["spec"]["selector"].update({"a": "b"}), "chooses 0"),
    "budget": ("minimal", lambda o: one(o, "PodDisruptionBudget", "-web")["spec"]["selector"]["matchLabels"].update({"a": "b"}), "chooses 0"),
    "policy": ("minimal", lambda o: one(o, "NetworkPolicy", "-web")["spec"]["ingress"][0]["ports"][0].update(port="htp"), "no port 'htp'"),
    "mount": ("minimal", lambda o: one(o, "Deployment", "-web")["spec"]["template"]["spec"]["volumes"].pop(0), "the pod has not"),
    "key": ("container", lambda o: one(o, "Secret", "-secrets")["stringData"].pop("planhat-token"), "has not"),
    "replicas": ("everything", lambda o: one(o, "Deployment", "-worker")["spec"].update(replicas=2), "owns them"),
    "route": ("everything", lambda o: one(o, "HTTPRoute", "-web")["spec"]["rules"][0]["backendRefs"][0].update(port=1), "no Service"),
    "clear": ("everything", lambda o: one(o, "ConfigMap", "-config")["data"].update(x=one(o, "Secret", "-secrets")["stringData"]["planhat-token"]), "in clear"),
    "monitor": ("everything", lambda o: next(x for x in o if x["kind"] == "ServiceMonitor")["spec"]["endpoints"][0].update(port="http"), "ServiceMonitor"),
    "limit": ("minimal", lambda o: one(o, "Deployment", "-worker")["spec"]["template"]["spec"]["containers"][0]["resources"].pop("limits"), "memory limit"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    stem, plant, sentence = PLANTED[name]
    objects = rendered(next(path for path in VALUES if path.stem == stem))
    plant(objects)
    assert sentence in "\n".join(find_faults(objects))


# --- custom resources ---------------------------------------------------------------------------------------------------


def lost_keys(source: Any, model: Any, path: str = "") -> Iterator[str]:
    """Keys of the source that a model did not keep: typos."""
    if isinstance(source, dict) and isinstance(model, dict):
        for key, value in source.items():
            if key not in model:
                yield f"{path}.{key}"
            else:
                yield from lost_keys(value, model[key], f"{path}.{key}")
    elif isinstance(source, list) and isinstance(model, list):
        for index, (value, other) in enumerate(zip(source, model, strict=True)):
            yield from lost_keys(value, other, f"{path}[{index}]")


def model_of(kind: str) -> Any:
    keda = pytest.importorskip("cloudcoil.models.keda").v1alpha1
    operator = pytest.importorskip("cloudcoil.models.prometheus_operator").v1
    return getattr(keda if kind in ("ScaledObject", "TriggerAuthentication") else operator, kind)


@by_values
def test_custom_resources_fit_their_models_and_lose_no_key(path: pathlib.Path) -> None:
    for found in rendered(path):
        if found["kind"] in CUSTOM - {"HTTPRoute"}:
            kept = (
                model_of(found["kind"])
                .model_validate(found)
                .model_dump(mode="json", by_alias=True, exclude_unset=True)
            )
            assert list(lost_keys(found, kept)) == []


def test_a_misspelt_key_of_a_custom_resource_would_be_found() -> None:
    found = next(o for o in rendered(CHART / "values" / "everything.yaml") if o["kind"] == "ServiceMonitor")
    found["spec"]["endpoints"][0]["intervall"] = "5s"
    kept = (
        model_of("ServiceMonitor")
        .model_validate(found)
        .model_dump(mode="json", by_alias=True, exclude_unset=True)
    )
    assert list(lost_keys(found, kept)) == [".spec.endpoints[0].intervall"]


def test_every_custom_kind_is_rendered_somewhere() -> None:
    assert {found["kind"] for path in VALUES for found in rendered(path)} >= CUSTOM


def test_only_hooks_are_public() -> None:
    objects = rendered(CHART / "values" / "everything.yaml")
    public = one(objects, "Ingress", "-web")["spec"]["rules"][0]["http"]["paths"]
    route = one(objects, "HTTPRoute", "-web")["spec"]["rules"]
    assert [(path["path"], path["pathType"]) for path in public] == [("/hooks", "Prefix")]
    assert [rule["matches"] for rule in route] == [[{"path": {"type": "PathPrefix", "value": "/hooks"}}]]
    assert one(objects, "Service", "-web")["spec"]["ports"][0]["targetPort"] == "http"


# --- what the processes are told ------------------------------------------------------------------------------------------


def environment(values: Json, component: str = "web") -> dict[str, Any]:
    pod = one(render(HELMS[-1], values), "Deployment", f"-{component}")["spec"]["template"]
    return {
        entry["name"]: entry.get("value", entry.get("valueFrom"))
        for entry in pod["spec"]["containers"][0]["env"]
    }


@pytest.mark.parametrize(
    ("redis", "address"),
    [
        ({"host": "a"}, "redis://a:6379/0"),
        ({"host": "a", "port": 6380, "db": 3, "tls": {"enabled": True}}, "rediss://a:6380/3"),
        (
            {"host": "a", "tls": {"enabled": True, "caSecret": "ca"}},
            "rediss://a:6379/0?ssl_ca_certs=/run/secrets/redis-tls/ca.crt",
        ),
        ({"host": "a", "username": "me", "existingSecret": "s"}, "redis://me:$(REDIS_PASSWORD)@a:6379/0"),
        ({"sentinel": {"hosts": ["a:1", "b"], "master": "m"}, "db": 2}, "redis+sentinel://a:1,b/m/2"),
        (
            {"sentinel": {"hosts": ["a:1"], "master": "m"}, "tls": {"enabled": True}},
            "rediss+sentinel://a:1/m/0",
        ),
        ({"url": "rediss://a:7000/1"}, "rediss://a:7000/1"),
        ({"url": "redis+cluster://a:7000,b:7000"}, "redis+cluster://a:7000,b:7000"),
        (
            {
                "cluster": {"nodes": ["a:7000", "b"]},
                "username": "me",
                "existingSecret": "s",
                "tls": {"enabled": True, "caSecret": "ca"},
            },
            "rediss+cluster://me:$(REDIS_PASSWORD)@a:7000,b?ssl_ca_certs=/run/secrets/redis-tls/ca.crt",
        ),
    ],
)
def test_redis_is_named_in_parts_or_whole(redis: Json, address: str) -> None:
    assert environment({**MINIMAL, "redis": redis})["RELAY_REDIS_URL"] == address


def test_the_example_of_a_cluster_names_its_endpoint() -> None:
    values = yaml.safe_load((HELM / "examples" / "cluster.yaml").read_text())
    told = environment(values)
    assert told["RELAY_REDIS_URL"].startswith("rediss+cluster://relay:$(REDIS_PASSWORD)@clustercfg.")
    scaled = {"worker.autoscaling": {"type": "keda", "keda": {"redis": {"enabled": True}}}}
    objects = render(HELMS[-1], changed(values, scaled))
    triggers = one(objects, "ScaledObject", "-worker")["spec"]["triggers"]
    assert all(
        trigger["type"] == "redis-cluster" and "databaseIndex" not in trigger["metadata"]
        for trigger in triggers
    )
    assert [trigger["metadata"]["listName"] for trigger in triggers] == [
        "relay:{emea}:due:slack-emea",
        "relay:{us}:due:slack-us",
    ]
    rules = one(objects, "NetworkPolicy", "-web")["spec"]["egress"]
    assert 6379 in {port["port"] for rule in rules for port in rule["ports"]}


def test_a_password_in_the_values_goes_percent_encoded_into_a_secret_and_a_file() -> None:
    values = {**MINIMAL, "redis": {"host": "a", "password": "a/b@c: 100%+"}}
    objects = render(HELMS[-1], values)
    assert (
        one(objects, "Secret", "-secrets")["stringData"]["redis-url"]
        == "redis://:a%2Fb%40c%3A%20100%25%2B@a:6379/0"
    )
    assert environment(values)["RELAY_REDIS_URL_FILE"] == "/run/secrets/relay/redis-url"
    assert "RELAY_REDIS_URL" not in environment(values)


def test_the_config_is_the_file_itself_and_templates_in_it_are_left_alone() -> None:
    rule = {"name": "r", "when": "event.kind == 'x'", "conversation": {"subject": "{{ event.text }} $&"}}
    values = changed(MINIMAL, {"config.rules": [rule]})
    text = one(render(HELMS[-1], values), "ConfigMap", "-config")["data"]["relay.yaml"]
    assert yaml.safe_load(text) == values["config"]
    text = "# kept\nplanhat: {types: [A]}\nrules: [{x: '{{ y }}'}]\n"
    assert (
        one(render(HELMS[-1], {**MINIMAL, "config": text}), "ConfigMap", "-config")["data"][
            "relay.yaml"
        ].strip()
        == text.strip()
    )


def test_a_changed_config_restarts_the_pods_and_an_unchanged_one_does_not() -> None:
    def sums(values: Json) -> list[str]:
        return [
            pod["metadata"]["annotations"]["checksum/config"]
            for owner, pod in pods_of(render(HELMS[-1], values))
            if owner.startswith("Deployment")
        ]

    assert sums(MINIMAL) == sums(changed(MINIMAL, {"log.level": "debug"}))
    assert not set(sums(MINIMAL)) & set(sums(changed(MINIMAL, {"config.planhat.types": ["Other"]})))


def test_every_pod_checks_the_config_before_it_starts_with_what_the_process_itself_has() -> None:
    for component in ("web", "worker"):
        pod = one(rendered(CHART / "values" / "everything.yaml"), "Deployment", f"-{component}")["spec"][
            "template"
        ]["spec"]
        first, main = pod["initContainers"][0], pod["containers"][0]
        assert first["args"] == ["check", "/etc/relay/relay.yaml"]
        assert first["volumeMounts"] == main["volumeMounts"]
        assert {e["name"] for e in first["env"]} <= {e["name"] for e in main["env"]}


@pytest.mark.parametrize(("timeout", "grace"), [("60s", 75), ("2m", 135), ("500ms", 16), (None, 75)])
def test_the_workers_grace_allows_for_a_whole_call(timeout: str | None, grace: int) -> None:
    values = changed(MINIMAL, {"config.planhat.timeout": timeout} if timeout else {})
    pod = one(render(HELMS[-1], values), "Deployment", "-worker")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == grace


def test_the_webs_grace_is_longer_than_what_happens_in_it() -> None:
    pod = one(render(HELMS[-1], MINIMAL), "Deployment", "-web")["spec"]["template"]["spec"]
    sleep = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > sleep + 8


def test_the_bundled_valkey_forgets_nothing() -> None:
    config = one(rendered(CHART / "values" / "valkey.yaml"), "ConfigMap", "-valkey")["data"]["valkey.conf"]
    assert {"appendonly yes", "appendfsync always", "maxmemory-policy noeviction"} <= set(config.splitlines())


def test_workers_cannot_reach_the_metadata_address_or_private_networks() -> None:
    for component in ("web", "worker"):
        rules = one(rendered(CHART / "values" / "minimal.yaml"), "NetworkPolicy", f"-{component}")["spec"][
            "egress"
        ]
        blocks = [peer["ipBlock"] for rule in rules for peer in rule.get("to", []) if "ipBlock" in peer]
        assert {block["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}
        assert {"169.254.0.0/16", "10.0.0.0/8"} <= set(blocks[0]["except"])
        open_ports = {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]}
        assert open_ports == {53, 6379}


def test_a_network_policy_knows_the_ports_of_redis_and_its_sentinels() -> None:
    rules = one(rendered(CHART / "values" / "sentinel.yaml"), "NetworkPolicy", "-worker")["spec"]["egress"]
    assert {26379, 26380, 6379} <= {
        port["port"] for rule in rules if "to" not in rule for port in rule["ports"]
    }


def test_names_stay_within_a_dns_label_and_do_not_collide_when_cut() -> None:
    long = "a" * 50
    names = [
        {o["metadata"]["name"] for o in render(HELMS[-1], {**MINIMAL, "fullnameOverride": long + end})}
        for end in ("x", "y")
    ]
    assert not names[0] & names[1]
    assert all(len(name) <= 63 for name in names[0] | names[1])


def test_it_works_as_a_part_of_another_chart(tmp_path: pathlib.Path) -> None:
    parent = tmp_path / "parent"
    (parent / "charts").mkdir(parents=True)
    shutil.copytree(HELM, parent / "charts" / "planhat-relay")
    depends = [{"name": "planhat-relay", "version": "0.1.0", "condition": "planhat-relay.enabled"}]
    (parent / "Chart.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": depends})
    )
    values = {
        "global": {"other": {"a": 1}, "imageRegistry": "mirror.example.com"},
        "planhat-relay": {"enabled": True, **MINIMAL},
    }
    for helm in HELMS:
        web = one(objects_in(render_text(helm, values, chart=parent)), "Deployment", "-web")
        assert web["spec"]["template"]["spec"]["containers"][0]["image"].startswith("mirror.example.com/")
        assert objects_in(render_text(helm, {"planhat-relay": {"enabled": False}}, chart=parent)) == []


@by_helm
def test_the_chart_can_be_packed(helm: str, tmp_path: pathlib.Path) -> None:
    done = run_helm(helm, "package", str(HELM), "-d", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (packed,) = tmp_path.glob("*.tgz")
    assert packed.stat().st_size < 100_000


def test_the_chart_is_of_the_projects_version() -> None:
    chart = yaml.safe_load((HELM / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"$', (TOP / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert chart["version"] == chart["appVersion"] == version[1]


@by_helm
def test_a_kubernetes_too_old_is_refused(helm: str) -> None:
    done = run_helm(helm, "template", "demo", str(HELM), "--kube-version", "1.24.0", values=MINIMAL)
    assert done.returncode != 0
    assert "kubeVersion" in done.stderr


# --- values -------------------------------------------------------------------------------------------------------------


DOCUMENTED = {value.path: value for value in read_values(VALUES_TEXT)}


def changes() -> dict[str, Json]:
    raw = yaml.safe_load((CHART / "changes.yaml").read_text())
    out = {}
    for path, change in raw.items():
        for component in ("web", "worker") if path.startswith("component.") else ("",):
            given = {
                key.replace("component", component): value for key, value in change.get("given", {}).items()
            }
            out[path.replace("component", component)] = {**change, "given": given}
    return out


CHANGES = changes()


def test_every_documented_value_has_a_change_to_try() -> None:
    assert set(CHANGES) == set(DOCUMENTED)


@cache
def newest_text(values: str) -> str:
    """What the newest Helm renders with these values, as JSON has them: of many changes one is what they begin from."""
    return render_text(HELMS[-1], json.loads(values))


@pytest.mark.parametrize("path", CHANGES)
def test_a_changed_value_changes_what_is_rendered(path: str) -> None:
    change = CHANGES[path]
    given = changed(MINIMAL, change["given"])
    after = changed(given, {**change.get("also", {}), path: change["to"]})
    assert newest_text(json.dumps(given, sort_keys=True)) != render_text(HELMS[-1], after)


def test_the_readmes_table_is_that_of_the_values() -> None:
    assert values_table(["--check"]) == 0


SCHEMA = json.loads((HELM / "values.schema.json").read_text())


def resolved(schema: Json) -> Json:
    return SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema


def test_the_schema_knows_every_documented_value_and_no_other() -> None:
    def leaves(schema: Json, path: str) -> Iterator[str]:
        schema = resolved(schema)
        if path in DOCUMENTED or "properties" not in schema:
            yield path
            return
        for name, inner in schema["properties"].items():
            yield from leaves(inner, f"{path}.{name}" if path else name)

    assert set(leaves(SCHEMA, "")) - {"enabled"} == set(DOCUMENTED)


def test_the_schema_is_draft_7_and_takes_the_defaults() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(yaml.safe_load(VALUES_TEXT))) == []


def test_no_block_of_values_takes_an_unknown_key_but_global() -> None:
    sections = {path.rsplit(".", depth)[0] for path in DOCUMENTED for depth in range(1, path.count(".") + 1)}
    validator = jsonschema.Draft7Validator(SCHEMA)
    for section in sorted(sections - {"global"}):
        assert list(validator.iter_errors(changed({}, {f"{section}.misspelt": 1}))), section
    assert list(validator.iter_errors({"misspelt": 1}))
    assert not list(validator.iter_errors({"global": {"anything": 1}}))


WRONG: list[tuple[Json, str]] = [
    ({"config": None}, "config: is empty"),
    ({"config": "a: [b"}, "config: is not YAML"),
    ({"existingConfigMap": "a"}, "config and existingConfigMap are both set"),
    ({"config.sources.slack.secrets": ["written-out"]}, r"config.sources.slack.secrets\[0\] is written out"),
    ({"config.spool": {"dir": "/spool"}}, "config.spool: what waits in a pod's folder goes with the pod"),
    ({"redis.host": ""}, "redis: no Redis is named"),
    ({"valkey.enabled": True}, "valkey.enabled and redis.host each name a Redis"),
    ({"redis.url": "redis://a/0"}, "redis.url and redis.host each name a Redis"),
    ({"redis.existingSecretUrlKey": "url"}, "but not redis.existingSecret"),
    ({"redis.password": "a", "redis.existingSecret": "b"}, "redis.password and redis.existingSecret are both set"),
    ({"redis.host": "", "redis.cluster.nodes": ["a"], "redis.db": 1}, "a cluster has database 0 alone"),
    ({"redis.host": "", "redis.cluster.nodes": ["a"], "rqDashboard.enabled": True}, "does not read a cluster"),
    ({"redis.host": "", "redis.sentinel.hosts": ["a"], "redis.tls": {"enabled": True, "caSecret": "b"}}, "caSecret does not work with redis.sentinel"),
    ({"redis.host": "", "redis.url": "redis://a/0", "redis.tls.enabled": True}, "write rediss:// into the address"),
    ({"planhat.existingSecret": ""}, "planhat: no token"),
    ({"planhat.token": "a"}, "planhat.token and planhat.existingSecret are both set"),
    ({"planhat.url": "https://a", "sandbox.enabled": True}, "planhat.url and sandbox.enabled"),
    ({"operators.token": "a", "operators.existingSecret": "b"}, "operators.token and operators.existingSecret are both set"),
    ({"operators.port": 8080}, "operators.port and web.port are the same"),
    ({"serviceMonitor.enabled": True}, "serviceMonitor is on, and Prometheus could not get in"),
    ({"operators.ingress": {"enabled": True, "host": "a"}}, "operators.ingress is on, and the Ingress controller could not get in"),
    ({"planhat.url": "http://planhat.internal"}, "planhat.url begins with http://"),
    ({"web.terminationGracePeriodSeconds": 10}, "web.terminationGracePeriodSeconds is 10, less than the 20"),
    ({"worker.terminationGracePeriodSeconds": 30}, "worker.terminationGracePeriodSeconds is 30, less than the 75"),
    ({"web.pdb.minAvailable": 1, "web.pdb.maxUnavailable": 2}, "web.pdb: minAvailable and maxUnavailable are both set"),
    ({"web.autoscaling": {"type": "hpa", "minReplicas": 9, "maxReplicas": 3}}, "minReplicas 9 is more than maxReplicas 3"),
    ({"web.autoscaling": {"type": "hpa", "hpa": {"cpu": 0}}}, "web.autoscaling.hpa: nothing to scale by"),
    ({"worker.autoscaling.type": "keda"}, "worker.autoscaling.keda: nothing to scale by"),
    ({"redis.host": "", "redis.url": "redis://a/0", "worker.autoscaling": {"type": "keda", "keda": {"redis": {"enabled": True}}}}, "KEDA takes host and port"),
    ({"web.ingress.enabled": True}, "web.ingress: no host"),
    ({"web.httpRoute.enabled": True}, "web.httpRoute: no gateway"),
    ({"operators.ingress.enabled": True}, "operators.ingress: no host"),
    ({"operators.ingress": {"enabled": True, "host": "a"}, "web.ingress": {"enabled": True, "hosts": ["a"]}}, "on a name of its own"),
    ({"rqDashboard.enabled": True}, "rqDashboard.existingSecret: name a Secret"),
    ({"tests.deliver.enabled": True}, "tests.deliver.source: name the source"),
    ({"tests.deliver": {"enabled": True, "source": "front"}}, r"front is not a source of the config \(slack\)"),
    # What the schema refuses; the words differ between Helm 3 and 4, the place does not.
    ({"web.replicas": 0}, "replicas"),
    ({"web.replicas": "many"}, "replicas"),
    ({"worker.autoscaling": {"type": "hpa", "minReplicas": 0}}, "minReplicas"),
    ({"web.autoscaling.type": "both"}, "autoscaling"),
    ({"web.port": 70000}, "port"),
    ({"image.digest": "sha256:short"}, "digest"),
    ({"redis.host": "redis://a"}, "host"),
    ({"log.level": "loud"}, "level"),
    ({"valkey.maxmemory": "lots"}, "maxmemory"),
    ({"web.replica": 3}, "replica"),
]  # fmt: skip


@pytest.mark.parametrize("helm", HELMS, ids=lambda path: pathlib.Path(path).parent.name)
@pytest.mark.parametrize(("wrong", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_wrong_values_fail_with_a_sentence_that_says_what(
    helm: str, wrong: dict[str, Any], sentence: str
) -> None:
    assert re.search(sentence, refusal(helm, changed(MINIMAL, wrong)))


def test_a_spool_is_taken_where_it_outlives_its_pod() -> None:
    volume = {"name": "spool", "persistentVolumeClaim": {"claimName": "spool"}}
    mount = {"name": "spool", "mountPath": "/spool"}
    web = {
        "replicas": 1,
        "strategy": {"type": "Recreate", "rollingUpdate": None},
        "extraVolumes": [volume],
        "extraVolumeMounts": [mount],
    }
    values = changed(MINIMAL, {"config.spool": {"dir": "/spool"}, "web": web})
    assert one(render(HELMS[-1], values), "Deployment", "-web")["spec"]["strategy"] == {"type": "Recreate"}


def test_all_mistakes_are_named_at_once() -> None:
    said = refusal(HELMS[-1], {})
    assert all(
        sentence in said for sentence in ("config: is empty", "redis: no Redis is named", "planhat: no token")
    )


def test_notes_name_the_next_commands_and_no_secret(tmp_path: pathlib.Path) -> None:
    chart = tmp_path / "chart"
    shutil.copytree(HELM, chart)
    notes = chart / "templates" / "NOTES.txt"
    shown = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata:\n  notes: |\n    {{- include "notes" . | nindent 4 }}\n'
    (chart / "templates" / "_notes.tpl").write_text(
        '{{- define "notes" -}}\n' + notes.read_text() + "\n{{- end -}}\n"
    )
    (chart / "templates" / "shown.yaml").write_text(shown)
    text = one(
        objects_in(
            render_text(HELMS[-1], yaml.safe_load((CHART / "container.yaml").read_text()), chart=chart)
        ),
        "ConfigMap",
        "notes",
    )["data"]["notes"]
    assert "kubectl -n relay rollout status" in text
    assert "helm -n relay test demo" in text
    assert "invented" not in text


# --- alerts and dashboard ---------------------------------------------------------------------------------------------------

#: What the relay exports (section 4 of its contract, and the operators' gauges), as Prometheus names the series.
METRICS = {
    "relay_http_requests_total", "relay_ingest_seconds_bucket", "relay_events_total", "relay_pending_items", "relay_oldest_pending_seconds",
    "relay_dead_letters", "relay_planhat_requests_total", "relay_planhat_request_seconds_bucket", "relay_batch_items_bucket",
    "relay_end_to_end_seconds_bucket", "relay_delivery_state", "relay_calls_per_minute_used", "relay_books_balanced",
    "relay_redis_memory_bytes", "relay_redis_memory_max_bytes", "relay_worker_heartbeat_age_seconds", "relay_signature_failures_total",
    "relay_rules_reload_failures_total", "relay_redis_up", "relay_build_info", "relay_token_expiry_timestamp_seconds",
    "relay_paused_timestamp_seconds", "relay_drop_ends_timestamp_seconds", "relay_planhat_differences", "relay_company_conflicts_total",
    "relay_spool_requests", "relay_spool_set_aside_total", "relay_redis_epoch_changes_total", "relay_redis_durable",
    "relay_damaged_secrets", "relay_worker_deaths_total", "relay_processes", "relay_alerts_total",
}  # fmt: skip
ALERTS = [
    rule
    for group in yaml.safe_load((HELM / "files" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((HELM / "files" / "dashboard.json").read_text())
DASHBOARD_QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which("promtool"):
        pytest.skip("no promtool here: it comes with Debian's prometheus")
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


def test_alerts_and_dashboard_use_the_metrics_there_are() -> None:
    used = set(
        re.findall(r"\brelay_[a-z_]+", " ".join([*(rule["expr"] for rule in ALERTS), *DASHBOARD_QUERIES]))
    )
    assert used <= METRICS
    assert used >= METRICS, "a metric nobody looks at"


def test_alerts_are_rules_prometheus_takes() -> None:
    done = promtool("check", "rules", str(HELM / "files" / "alerts.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


ALERT_TESTS = sorted(CHART.glob("alerts*_test.yaml"))


@pytest.mark.parametrize("path", ALERT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_not_otherwise(path: pathlib.Path) -> None:
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("> 900", "> 9000000"),
        ("offset 1w", "offset 10w"),
        (
            "max by (namespace, job, lane, source) (increase(relay_sig",
            "sum by (namespace, job, lane, source) (increase(relay_sig",
        ),
    ],
)
def test_the_alerts_tests_would_notice_a_wrong_rule(before: str, after: str, tmp_path: pathlib.Path) -> None:
    text = (HELM / "files" / "alerts.yaml").read_text()
    assert before in text
    (tmp_path / "alerts.yaml").write_text(text.replace(before, after))
    for path in ALERT_TESTS:
        (tmp_path / path.name).write_text(path.read_text().replace("../../helm/files/", ""))
    # The quick one first: a week of samples takes its time.
    assert any(promtool("test", "rules", str(tmp_path / path.name)).returncode for path in sorted(ALERT_TESTS, key=lambda path: "week" in path.name))


def test_therendered_text_rule_is_one_prometheus_takes(tmp_path: pathlib.Path) -> None:
    found = next(o for o in rendered(CHART / "values" / "everything.yaml") if o["kind"] == "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(found["spec"]))
    done = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    rules = found["spec"]["groups"][0]["rules"]
    names = [rule["alert"] for rule in rules]
    assert "RelaySourceSilent" not in names
    assert "Mine" in names
    assert len(names) == len(ALERTS)
    assert all(
        rule["annotations"]["runbook_url"].startswith("https://runbooks.example.com/relay#")
        for rule in rules
        if rule["alert"] != "Mine"
    )


def test_every_alert_has_a_runbook() -> None:
    sections = {
        line.removeprefix("## ").strip()
        for line in (HELM / "runbooks.md").read_text().splitlines()
        if line.startswith("## ")
    }
    assert sections == {rule["alert"] for rule in ALERTS}
    assert all(
        rule["annotations"]["runbook_url"] == f"runbooks.md#{rule['alert'].lower()}" for rule in ALERTS
    )


def test_every_query_of_the_dashboard_is_one_prometheus_takes(tmp_path: pathlib.Path) -> None:
    def plain(query: str) -> str:
        return re.sub(r"\$\w+", ".*", query.replace("$__rate_interval", "1m"))

    rules = [
        {"record": f"panel:{number}", "expr": plain(query)} for number, query in enumerate(DASHBOARD_QUERIES)
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_one_grafana_takes() -> None:
    pytest.importorskip("grafana_foundation_sdk")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert list(lost_keys(DASHBOARD, kept)) == []
    text = one(rendered(CHART / "values" / "everything.yaml"), "ConfigMap", "-dashboard")["data"][
        "planhat-relay.json"
    ]
    assert json.loads(text) == DASHBOARD


def test_every_image_of_a_pod_can_be_taken_from_another_registry() -> None:
    for owner, pod in pods_of(rendered(CHART / "values" / "everything.yaml")):
        for container in containers_of(pod):
            assert container["image"].startswith("mirror.example.com/"), owner
