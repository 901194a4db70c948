"""What no schema sees: faults between rendered objects, each as a sentence."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

#: Objects that carry a pod template, and where.
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
#: Secrets and ConfigMaps that the example values name and the chart does not make.
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True}


def pods_of(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    """Every pod that would run: its owner's name, and metadata and spec."""
    for found in objects:
        if found["kind"] in WORKLOADS:
            yield f"{found['kind']} {found['metadata']['name']}", found["spec"]["template"]
        elif found["kind"] == "Pod":
            yield f"Pod {found['metadata']['name']}", found


def containers_of(pod: Json) -> list[Json]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def find_faults(objects: list[Json]) -> list[str]:
    faults = [
        *_names(objects),
        *_references(objects),
        *_selectors(objects),
        *_scaling(objects),
        *_secrets(objects),
    ]
    for owner, pod in pods_of(objects):
        faults += [
            f"{owner}: {fault}"
            for fault in (*_security(pod), *_ports(pod), *_volumes(pod), *_environment(pod))
        ]
    return faults


def _names(objects: list[Json]) -> Iterator[str]:
    seen = set()
    for found in objects:
        key = (found["kind"], found["metadata"]["name"])
        if key in seen:
            yield f"{key} is rendered twice"
        seen.add(key)
        if len(key[1]) > 63:
            yield f"{key}: the name is longer than 63 characters"
        for label in {**found["metadata"].get("labels", {})}.values():
            if not isinstance(label, str) or len(label) > 63:
                yield f"{key}: label {label!r} is no string of at most 63 characters"


def _security(pod: Json) -> Iterator[str]:
    spec = pod["spec"]
    if spec.get("automountServiceAccountToken") is not False:
        yield "mounts the service account's token"
    if spec.get("enableServiceLinks") is not False:
        yield "takes environment variables from Services (RELAY_PORT of a Service named relay)"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"sets {name}"
    for volume in spec.get("volumes", []):
        if not {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"} & set(volume):
            yield f"volume {volume['name']} is of a kind the restricted standard does not allow"
    for container in containers_of(pod):
        name = container["name"]
        context = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
        for key, wanted in RESTRICTED.items():
            if context.get(key) is not wanted:
                yield f"{name}: {key} is not {wanted}"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: does not drop all capabilities"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: seccomp is not RuntimeDefault"
        if not context.get("runAsUser"):
            yield f"{name}: no fixed user, or root"
        resources = container.get("resources", {})
        if "memory" not in resources.get("limits", {}) or not {"cpu", "memory"} <= set(
            resources.get("requests", {})
        ):
            yield f"{name}: no memory limit, or no requests"
        image = container["image"]
        if image.endswith(":latest") or (":" not in image.rsplit("/", 1)[-1] and "@" not in image):
            yield f"{name}: image {image} is not pinned to a version"


def _ports(pod: Json) -> Iterator[str]:
    for container in containers_of(pod):
        names = {port["name"] for port in container.get("ports", [])}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container.get(kind, {})
            port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
            if isinstance(port, str) and port not in names:
                yield f"{container['name']}: {kind} asks a port {port!r} that it has not"
        if container.get("livenessProbe", {}).get("httpGet", {}).get("path") == "/readyz":
            yield f"{container['name']}: liveness asks Redis"


def _volumes(pod: Json) -> Iterator[str]:
    owned = {volume["name"] for volume in pod["spec"].get("volumes", [])} | set(pod.get("_claims", []))
    used = set()
    for container in containers_of(pod):
        places = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        if len(places) != len(set(places)):
            yield f"{container['name']}: two volumes on one path"
        for inner in places:
            if any(inner != outer and inner.startswith(outer.rstrip("/") + "/") for outer in places):
                yield f"{container['name']}: {inner} is mounted inside another volume"
        for mount in container.get("volumeMounts", []):
            used.add(mount["name"])
            if mount["name"] not in owned and mount["name"] != "data":
                yield f"{container['name']}: mounts a volume {mount['name']!r} that the pod has not"
    for name in sorted(owned - used):
        yield f"volume {name!r} is mounted nowhere"


def _environment(pod: Json) -> Iterator[str]:
    for container in containers_of(pod):
        names = [entry["name"] for entry in container.get("env", [])]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{container['name']}: {name} is set twice"
        paths = {mount["mountPath"] for mount in container.get("volumeMounts", [])}
        for entry in container.get("env", []):
            value = str(entry.get("value", ""))
            if entry["name"].startswith("RELAY_") and f"{entry['name']}_FILE" in names:
                yield f"{container['name']}: {entry['name']} and its _FILE are both set"
            if value.startswith("/run/secrets/") and not any(value.startswith(path + "/") for path in paths):
                yield f"{container['name']}: {entry['name']} names {value}, where nothing is mounted"
            for earlier in names[names.index(entry["name"]) :]:
                if f"$({earlier})" in value:
                    yield f"{container['name']}: {entry['name']} uses {earlier}, which is set later"


def _references(objects: list[Json]) -> Iterator[str]:
    """Keys of Secrets and ConfigMaps the chart makes itself, and ports of Services."""
    made = {
        (found["kind"], found["metadata"]["name"]): set(found.get("data") or {})
        | set(found.get("stringData") or {})
        for found in objects
        if found["kind"] in ("Secret", "ConfigMap")
    }
    own = {
        name.removesuffix("-secrets") for kind, name in made if kind == "Secret" and name.endswith("-secrets")
    }
    for owner, pod in pods_of(objects):
        for container in containers_of(pod):
            for entry in container.get("env", []):
                reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
                if reference and reference["key"] not in made.get(
                    ("Secret", reference["name"]), {reference["key"]}
                ):
                    yield f"{owner}: {entry['name']} names key {reference['key']} that Secret {reference['name']} has not"
        for volume in pod["spec"].get("volumes", []):
            for source in volume.get("projected", {}).get("sources", []):
                secret = source["secret"]
                keys = made.get(("Secret", secret["name"]))
                if (
                    keys is None
                    and secret["name"].endswith("-secrets")
                    and secret["name"].removesuffix("-secrets") in own
                ):
                    yield f"{owner}: volume {volume['name']} names a Secret {secret['name']} that is not rendered"
                for item in secret.get("items", []):
                    if keys is not None and item["key"] not in keys:
                        yield f"{owner}: volume {volume['name']} names key {item['key']} that Secret {secret['name']} has not"
    services = {found["metadata"]["name"]: found for found in objects if found["kind"] == "Service"}
    for found in objects:
        for name, port in _backends(found):
            ports = (
                {p["name"] for p in services[name]["spec"]["ports"]}
                | {p["port"] for p in services[name]["spec"]["ports"]}
                if name in services
                else set()
            )
            if port not in ports:
                yield f"{found['kind']} {found['metadata']['name']}: leads to {name}:{port}, which no Service is"


def _backends(found: Json) -> Iterator[tuple[str, str | int]]:
    if found["kind"] == "Ingress":
        for rule in found["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                yield service["name"], service["port"].get("name") or service["port"]["number"]
    if found["kind"] == "HTTPRoute":
        for rule in found["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                yield backend["name"], backend["port"]


def _selectors(objects: list[Json]) -> Iterator[str]:
    pods = [pod for _, pod in pods_of(objects)]

    def chosen(labels: Json) -> list[Json]:
        return [pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items()]

    for found in objects:
        kind, name, spec = found["kind"], found["metadata"]["name"], found.get("spec", {})
        if kind in WORKLOADS:
            if not spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items():
                yield f"{kind} {name}: its selector does not choose its own pods"
            if len(chosen(spec["selector"]["matchLabels"])) != 1:
                yield f"{kind} {name}: its selector chooses other pods too"
        elif kind == "Service":
            if len(chosen(spec["selector"])) != 1:
                yield f"Service {name}: chooses {len(chosen(spec['selector']))} kinds of pods"
            ports = {
                port["name"]
                for pod in chosen(spec["selector"])
                for container in containers_of(pod)
                for port in container.get("ports", [])
            }
            for port in spec["ports"]:
                if isinstance(port["targetPort"], str) and port["targetPort"] not in ports:
                    yield f"Service {name}: its pods have no port {port['targetPort']!r}"
        elif kind == "PodDisruptionBudget" and len(chosen(spec["selector"]["matchLabels"])) != 1:
            yield f"PodDisruptionBudget {name}: chooses {len(chosen(spec['selector']['matchLabels']))} kinds of pods"
        elif kind == "NetworkPolicy":
            aims = chosen(spec["podSelector"]["matchLabels"])
            if len(aims) != 1:
                yield f"NetworkPolicy {name}: chooses {len(aims)} kinds of pods"
            ports = {
                port["name"]
                for pod in aims
                for container in containers_of(pod)
                for port in container.get("ports", [])
            }
            for rule in spec.get("ingress", []):
                for port in rule.get("ports", []):
                    if isinstance(port["port"], str) and port["port"] not in ports:
                        yield f"NetworkPolicy {name}: its pods have no port {port['port']!r}"
        elif kind == "ServiceMonitor":
            aims = [
                o
                for o in objects
                if o["kind"] == "Service"
                and spec["selector"]["matchLabels"].items() <= o["metadata"]["labels"].items()
            ]
            names = {port["name"] for service in aims for port in service["spec"]["ports"]}
            if len(aims) != 1 or {endpoint["port"] for endpoint in spec["endpoints"]} - names:
                yield f"ServiceMonitor {name}: does not choose one Service with its port"


def _scaling(objects: list[Json]) -> Iterator[str]:
    deployments = {found["metadata"]["name"]: found for found in objects if found["kind"] == "Deployment"}
    for found in objects:
        if found["kind"] not in ("HorizontalPodAutoscaler", "ScaledObject"):
            continue
        name = found["spec"]["scaleTargetRef"]["name"]
        if name not in deployments:
            yield f"{found['kind']} {found['metadata']['name']}: scales {name}, which is no Deployment"
        elif "replicas" in deployments[name]["spec"]:
            yield f"Deployment {name}: sets replicas, though {found['kind']} owns them"
        if min(found["spec"].get("minReplicas", 1), found["spec"].get("minReplicaCount", 1)) < 1:
            yield f"{found['kind']} {found['metadata']['name']}: may scale to none"


def _secrets(objects: list[Json]) -> Iterator[str]:
    """No secret value of the chart's own Secrets stands anywhere else."""
    values = [
        text
        for found in objects
        if found["kind"] == "Secret"
        for text in (
            *(found.get("stringData") or {}).values(),
            *(b64decode(text).decode() for text in (found.get("data") or {}).values()),
        )
        if len(text) > 7
    ]
    for found in objects:
        if found["kind"] != "Secret":
            text = str(found)
            for value in values:
                if value in text:
                    yield f"{found['kind']} {found['metadata']['name']}: holds a secret value in clear"
