#!/usr/bin/env python3
"""Run the chart's own pods with podman, as a kubelet would, and look at what they do.

Rendered with tests/helm/container.yaml: Valkey, the Planhat sandbox, web, worker, then the `helm test` pod, which posts a
signed webhook and waits until it is delivered. Each container gets its manifest's user, capabilities, read-only root,
memory and CPU limits, environment, mounted ConfigMaps and Secrets (owned by root, read through fsGroup), tmpfs for each
emptyDir, its probes, and SIGTERM with its grace at the end. All share a network namespace that leads nowhere.

What this is not: a cluster. Scheduling, Services, NetworkPolicies, rolling updates and the API server are not here.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from typing import Any

import yaml

Json = dict[str, Any]
TOP = pathlib.Path(__file__).resolve().parent.parent
POD = "planhat-relay-ci"
#: In the order they start.
COMPONENTS = ("valkey", "sandbox", "web", "worker")
#: Webhooks sent while the worker is stopped and started again.
LOAD = 3000
#: Series that begin with the first of their kind: nothing is dead and no changed config was refused here.
NOT_YET = {
    "relay_alerts_total",
    "relay_company_conflicts_total",
    "relay_dead_letters",
    "relay_drop_ends_timestamp_seconds",
    "relay_paused_timestamp_seconds",
    "relay_rules_reload_failures_total",
    "relay_spool_requests",
    "relay_spool_set_aside_total",
    "relay_token_expiry_timestamp_seconds",
    "relay_worker_deaths_total",
}

PROBE = """
import socket, sys, urllib.error, urllib.request
kind, host, port, path = sys.argv[1:5]
if kind == "http":
    try:
        urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=float(sys.argv[5])).read()
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code} {error.read(500).decode(errors='replace')}")
else:
    socket.create_connection((host, int(port)), timeout=float(sys.argv[5])).close()
"""

INSIDE = """
import json, os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
def writable(path):
    try:
        open(path + "/.probe", "w").close(); os.remove(path + "/.probe"); return True
    except OSError as error:
        return error.strerror
print(json.dumps({"uid": os.getuid(), "gid": os.getgid(), "capabilities": status["CapEff"].strip(),
    "no_new_privileges": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "root": writable("/"), "tmp": writable("/tmp"), "config": writable("/etc/relay"),
    "secrets": sorted(os.listdir("/run/secrets/relay")) if os.path.isdir("/run/secrets/relay") else []}))
"""


def expand(text: str, environment: dict[str, str]) -> str:
    """`$(NAME)` as Kubernetes expands it: from variables set earlier."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), text)


class Podman:
    """`podman` on the lab's own storage."""

    def __init__(self, lab: pathlib.Path) -> None:
        self._base = [
            "podman",
            "--root",
            str(lab / "storage"),
            "--runroot",
            str(lab / "run"),
            "--storage-driver",
            "overlay",
        ]

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*self._base, *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(
                f"podman {' '.join(arguments[:3])} failed: {(done.stderr or done.stdout).strip()[-2000:]}"
            )
        return done


class Cluster:
    """The rendered objects, and the folder where volumes are made."""

    def __init__(self, objects: list[Json], folder: pathlib.Path, podman: Podman) -> None:
        self.objects, self.folder, self.podman = objects, folder, podman
        self.running: list[tuple[str, Json, Json]] = []

    def data(self, kind: str, name: str) -> dict[str, str]:
        found = self.find(kind, name)
        decoded = (
            {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}
            if kind == "Secret"
            else found.get("data") or {}
        )
        return {**decoded, **(found.get("stringData") or {})}

    def find(self, kind: str, name: str) -> Json:
        for found in self.objects:
            if (found["kind"], found["metadata"]["name"]) == (kind, name):
                return found
        raise SystemExit(f"the chart renders no {kind} {name}")

    def volume(self, pod: Json, volume: Json) -> tuple[str, bool]:
        """A host folder for the volume and whether it is a tmpfs instead (empty path)."""
        group = pod["securityContext"]["fsGroup"]
        if "emptyDir" in volume:
            return "", True
        folder = self.folder / f"{volume['name']}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        files: dict[str, str] = {}
        if "configMap" in volume:
            files = self.data("ConfigMap", volume["configMap"]["name"])
        for source in volume.get("projected", {}).get("sources", []):
            content = self.data("Secret", source["secret"]["name"])
            items = source["secret"].get("items") or [{"key": key, "path": key} for key in content]
            files |= {item["path"]: content[item["key"]] for item in items}
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o440 if "projected" in volume else 0o444)
            os.chown(target, 0, group)
        if "persistentVolumeClaim" in volume:
            os.chown(folder, 0, group)
            folder.chmod(0o2775)
        return str(folder), False

    def start(
        self, name: str, pod: Json, container: Json, *, wait: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run one container of a pod. Refuses what the restricted Pod Security standard would refuse."""
        security = {**pod["securityContext"], **container["securityContext"]}
        assert security["runAsNonRoot"]
        assert not security["allowPrivilegeEscalation"]
        assert security["readOnlyRootFilesystem"]
        assert security["capabilities"]["drop"] == ["ALL"]
        assert security["seccompProfile"]["type"] == "RuntimeDefault"
        command = ["run", "--pod", POD, "--name", name, "--no-healthcheck", "--cap-drop", "all", "--read-only", "--read-only-tmpfs=false",
                   "--security-opt", "no-new-privileges", "--user", f"{security['runAsUser']}:{security['runAsGroup']}",
                   "--group-add", str(security["fsGroup"]), "--pids-limit", "256"]  # fmt: skip
        command += ["-v", f"{self.folder / 'hosts'}:/etc/hosts:ro"]
        limits = container.get("resources", {}).get("limits", {})
        if "memory" in limits:
            memory = limits["memory"].replace("Mi", "m").replace("Gi", "g")
            command += ["--memory", memory, "--memory-swap", memory]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            volume = volumes.get(mount["name"], {"name": mount["name"], "persistentVolumeClaim": {}})
            folder, tmpfs = self.volume(pod, volume)
            if tmpfs:
                size = volume["emptyDir"].get("sizeLimit", "64Mi").replace("Mi", "m")
                command += ["--tmpfs", f"{mount['mountPath']}:rw,size={size},mode=1777"]
            else:
                command += ["-v", f"{folder}:{mount['mountPath']}:{'ro' if mount.get('readOnly') else 'rw'}"]
        environment = self.environment(container)
        command += [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        if "command" in container:
            command += ["--entrypoint", json.dumps(container["command"])]
        if not wait:
            command.append("--detach")
        arguments = [expand(argument, environment) for argument in container.get("args", [])]
        done = self.podman(*command, container["image"], *arguments, check=not wait)
        if not wait:
            self.running.append((name, pod, container))
        return done

    def environment(self, container: Json) -> dict[str, str]:
        found: dict[str, str] = {}
        for entry in container.get("env", []):
            if "value" in entry:
                found[entry["name"]] = expand(entry["value"], found)
            else:
                reference = entry["valueFrom"]["secretKeyRef"]
                found[entry["name"]] = self.data("Secret", reference["name"])[reference["key"]]
        return found

    def probe(self, name: str, container: Json, probe: Json) -> str:
        """What is wrong; empty: nothing."""
        if "exec" in probe:
            done = self.podman("exec", name, *probe["exec"]["command"], check=False)
            return "" if done.returncode == 0 else f"exit {done.returncode}: {done.stdout}{done.stderr}"
        kind = "http" if "httpGet" in probe else "tcp"
        aim = probe.get("httpGet") or probe["tcpSocket"]
        port = next((p["containerPort"] for p in container["ports"] if p["name"] == aim["port"]), aim["port"])
        pid = self.podman("inspect", name, "--format", "{{.State.Pid}}").stdout.strip()
        seconds = str(probe.get("timeoutSeconds", 1))
        command = [
            "nsenter",
            f"--net=/proc/{pid}/ns/net",
            sys.executable,
            "-c",
            PROBE,
            kind,
            "127.0.0.1",
            str(port),
            aim.get("path", "-"),
            seconds,
        ]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        return "" if asked.returncode == 0 else asked.stderr.strip().splitlines()[-1]

    def wait_for_probes(self, name: str, container: Json) -> str:
        """Startup, then readiness, then liveness, as a kubelet asks; how long each took."""
        took = []
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container.get(kind)
            if not probe:
                continue
            began = time.monotonic()
            allowed = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
            while wrong := self.probe(name, container, probe):
                state = self.podman(
                    "inspect", name, "--format", "{{.State.Status}}", check=False
                ).stdout.strip()
                if state != "running" or time.monotonic() - began > allowed:
                    log = self.podman("logs", "--tail", "30", name, check=False)
                    raise SystemExit(
                        f"{name}: {kind} did not pass in {allowed} s ({state}): {wrong}\n{log.stdout}{log.stderr}"
                    )
                time.sleep(0.2)
            took.append(f"{kind.removesuffix('Probe')} {time.monotonic() - began:.1f} s")
        return ", ".join(took)

    def peak_memory_mib(self, name: str) -> float:
        pid = self.podman("inspect", name, "--format", "{{.State.Pid}}").stdout.strip()
        for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for place in (
                f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes",
                f"/sys/fs/cgroup{path}/memory.peak",
            ):
                if ("memory" in controllers or not controllers) and os.path.exists(place):
                    return int(pathlib.Path(place).read_text()) / 2**20
        return float("nan")


def pod_of(found: Json) -> Json:
    return found["spec"] if found["kind"] == "Pod" else found["spec"]["template"]["spec"]


def look_at_image(podman: Podman, image: str) -> None:
    """What must not be in it is not in it; what it is, as one line."""
    facts = json.loads(podman("inspect", "--type", "image", image).stdout)[0]
    labels = {
        key.rsplit(".", 1)[-1]: value
        for key, value in facts["Labels"].items()
        if key.startswith("org.opencontainers")
    }
    script = (
        "import importlib.util, json, shutil;"
        "print(json.dumps([t for t in ('gcc', 'cc', 'make', 'ld', 'rustc') if shutil.which(t)]"
        " + [m for m in ('setuptools', 'pip') if importlib.util.find_spec(m)]))"
    )
    extra = podman(
        "run", "--rm", "--network", "none", "--entrypoint", '["/opt/venv/bin/python", "-c"]', image, script
    ).stdout
    if json.loads(extra):
        raise SystemExit(f"the image holds what it should not: {extra.strip()}")
    if facts["User"] != "10001:10001":
        raise SystemExit(f"the image's user is {facts['User']!r}, not 10001:10001")
    base = json.loads(
        podman("inspect", "--type", "image", "docker.io/library/python:3.13-slim-trixie").stdout
    )[0]
    print(
        f"image: {facts['Size'] / 1e6:.0f} MB, of which the stand-in base is {base['Size'] / 1e6:.0f} MB; user {facts['User']}; "
        f"version {labels['version']} ({labels['revision']}); no compiler, no pip",
        flush=True,
    )


def build_valkey(podman: Podman, lab: pathlib.Path) -> None:
    """A stand-in for the official image: Debian's valkey on the same base."""
    if podman("image", "exists", "localhost/valkey:stand-in", check=False).returncode == 0:
        return
    file = lab / "Valkey.Dockerfile"
    file.write_text(
        "FROM docker.io/library/python:3.13-slim-trixie\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends valkey-server valkey-tools\n"
    )
    storage = ["--root", str(lab / "storage"), "--runroot", str(lab / "run"), "--storage-driver", "overlay"]
    options = [
        "--isolation",
        "chroot",
        "--network",
        "host",
        "--pull-never",
        "--tag",
        "localhost/valkey:stand-in",
    ]
    command = ["buildah", *storage, "build", *options, "-f", str(file), str(lab)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"no stand-in for Valkey: {done.stderr[-1500:]}")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("lab", "helm", "image"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    lab = pathlib.Path(options.lab)
    podman = Podman(lab)
    look_at_image(podman, options.image)
    build_valkey(podman, lab)

    values = TOP / "tests" / "helm" / "container.yaml"
    render = [options.helm, "template", "ci", str(TOP / "helm"), "-f", str(values)]
    text = subprocess.run(render, check=True, capture_output=True, text=True).stdout
    objects = [found for found in yaml.safe_load_all(text) if found]
    folder = lab / "volumes"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    cluster = Cluster(objects, folder, podman)
    # Services are names of the loopback address. (Podman 4.3 does not pass a pod's --add-host on to its containers.)
    services = [found["metadata"]["name"] for found in objects if found["kind"] == "Service"]
    (folder / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ["localhost", *services]))
    podman("pod", "rm", "-f", POD, check=False)
    podman("pod", "create", "--name", POD, "--network", "none")
    try:
        run(cluster, podman)
    finally:
        if not os.environ.get("RELAY_IMAGE_KEEP"):
            podman("pod", "rm", "-f", "-t", "2", POD, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def run(cluster: Cluster, podman: Podman) -> None:
    start_pods(cluster, podman)
    look_inside(podman)
    refuse_a_wrong_config(cluster)
    run_helm_test(cluster, podman)
    stop_the_worker_in_the_middle(cluster, podman)
    look_at_metrics(podman)
    end_pods(cluster, podman)
    print("image: built, run and stopped under the chart's own security context", flush=True)


def start_pods(cluster: Cluster, podman: Podman) -> None:
    for component in COMPONENTS:
        kind = "StatefulSet" if component == "valkey" else "Deployment"
        pod = pod_of(cluster.find(kind, f"relay-{component}"))
        for first in pod.get("initContainers", []):
            done = cluster.start(f"{component}-{first['name']}", pod, first, wait=True)
            if done.returncode:
                raise SystemExit(f"{component}: {first['name']} failed:\n{done.stdout}{done.stderr}")
            print(f"{component}: init container {first['name']}: {done.stdout.strip()}", flush=True)
        container = pod["containers"][0]
        cluster.start(component, pod, container)
        print(f"{component}: {cluster.wait_for_probes(component, container)}", flush=True)


def look_inside(podman: Podman) -> None:
    """Confined as the chart says? Asked from within."""
    wanted = {"uid": 10001, "gid": 10001, "capabilities": "0" * 16, "no_new_privileges": "1", "seccomp": "2"}
    wanted |= {"root": "Read-only file system", "tmp": True, "config": "Read-only file system"}
    for component in ("web", "worker"):
        inside = json.loads(podman("exec", component, "python", "-c", INSIDE).stdout)
        limit = podman("inspect", component, "--format", "{{.HostConfig.Memory}}").stdout.strip()
        print(f"{component}: {inside} memory limit {int(limit) // 2**20} MiB", flush=True)
        if {key: inside[key] for key in wanted} != wanted:
            raise SystemExit(f"{component}: not confined as the chart says: {inside}, wanted {wanted}")
        needed = {"web": ["operator-token"], "worker": ["planhat-token"]}[component]
        if inside["secrets"] != needed:
            raise SystemExit(f"{component}: has the secrets {inside['secrets']}, and needs {needed}")


def refuse_a_wrong_config(cluster: Cluster) -> None:
    """A roll-out with a wrong file stops at the init container; the old pods stay."""
    data = cluster.find("ConfigMap", "relay-config")["data"]
    good = data["relay.yaml"]
    data["relay.yaml"] = good.replace("adapter: slack", "adapter: slak")
    pod = pod_of(cluster.find("Deployment", "relay-web"))
    done = cluster.start("wrong-config", pod, pod["initContainers"][0], wait=True)
    data["relay.yaml"] = good
    if done.returncode != 2:
        raise SystemExit(
            f"a wrong config was not refused: exit {done.returncode}: {done.stdout}{done.stderr}"
        )
    print(f"a wrong config is refused: {done.stderr.strip()[:200]}", flush=True)


def run_helm_test(cluster: Cluster, podman: Podman) -> None:
    test = pod_of(cluster.find("Pod", "relay-test"))
    done = cluster.start("test", test, test["containers"][0], wait=True)
    print(
        "".join(f"helm test: {line}\n" for line in (done.stdout + done.stderr).splitlines()),
        end="",
        flush=True,
    )
    if done.returncode:
        for name in ("web", "worker"):
            print(podman("logs", "--tail", "20", name, check=False).stderr, file=sys.stderr)
        raise SystemExit("helm test failed")
    listed = podman("exec", "worker", "relay", "conversations", "list", "--json", check=False)
    if listed.returncode or "Slack thread" not in listed.stdout:
        raise SystemExit(f"the conversation is not in the sandbox: {listed.stdout}{listed.stderr}")
    found = json.loads(listed.stdout)[0]
    shown = {key: found.get(key) for key in ("_id", "externalId", "companyId", "type", "date")}
    print(f"the conversation came out: {shown}", flush=True)


def ledger(podman: Podman) -> dict[str, int]:
    stats = json.loads(podman("exec", "web", "relay", "stats", "--json").stdout)
    if stats["balanced"] is not True:
        raise SystemExit(f"the books do not balance: {stats}")
    return {key: value for key, value in stats["sources"]["slack"].items() if isinstance(value, int)}


def stop_the_worker_in_the_middle(cluster: Cluster, podman: Podman) -> None:
    """SIGTERM while events wait and come: what was accepted is delivered by the next worker, all of it."""
    test = pod_of(cluster.find("Pod", "relay-test"))
    send = {**test["containers"][0], "command": ["relay", "send"]}
    send["args"] = ["--source=slack", f"--count={LOAD}", "--url=http://relay-web:8080"]
    before = ledger(podman)["accepted"]
    began = time.monotonic()
    cluster.start("load", test, send)
    cluster.running.pop()
    while (now := ledger(podman))["accepted"] - before < LOAD // 4:
        if time.monotonic() - began > 60:
            raise SystemExit(
                f"the webhooks are not accepted: {now}; {podman('logs', 'load', check=False).stderr}"
            )
    stopping = time.monotonic()
    podman("stop", "-t", "35", "worker")
    took = time.monotonic() - stopping
    code = podman("inspect", "worker", "--format", "{{.State.ExitCode}}").stdout.strip()
    if podman("wait", "load").stdout.strip() != "0":
        raise SystemExit(f"relay send failed: {podman('logs', 'load', check=False).stderr}")
    waiting = ledger(podman)
    podman("start", "worker")
    while (now := ledger(podman))["pending"]:
        if time.monotonic() - began > 120:
            raise SystemExit(f"not delivered: {now}")
        time.sleep(0.2)
    if now["accepted"] - before != LOAD or now.get("dead"):
        raise SystemExit(f"{LOAD} webhooks were sent, and the ledger says {now}")
    print(
        f"{LOAD} webhooks while the worker was stopped (exit {code} after {took:.1f} s, {waiting['pending']} waiting) and "
        f"started again: all settled after {time.monotonic() - began:.1f} s, {now}",
        flush=True,
    )


def look_at_metrics(podman: Podman) -> None:
    """Every metric that an alert or the dashboard asks for is exported, once there is something to count."""
    wrong = "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8080/hooks/slack', b'{}', {'content-type': 'application/json'}))"
    podman("exec", "web", "python", "-c", wrong, check=False)
    time.sleep(2)  # the web side writes its shared counters once a second
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081/metrics').read().decode())"
    text = podman("exec", "web", "python", "-c", ask).stdout
    (TOP / ".tools/image/metrics.txt").write_text(text)
    asked = (TOP / "helm/files/alerts.yaml").read_text() + (TOP / "helm/files/dashboard.json").read_text()
    series = set(re.findall(r"^(relay_[a-z_]+)", text, re.MULTILINE))
    asked = re.sub(r"^#.*$", "", asked, flags=re.MULTILINE)
    absent = set(re.findall(r"\brelay_[a-z_]+", asked)) - series - NOT_YET
    if absent:
        raise SystemExit(f"alerts or dashboard ask for what /metrics has not: {', '.join(sorted(absent))}")
    if shutil.which("promtool"):
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 3):  # 3: it parses, and promtool would word it otherwise
            raise SystemExit(f"promtool check metrics: {done.stdout}{done.stderr}")
    print(f"metrics: {len(series)} series names, all that alerts and dashboard ask for", flush=True)


def end_pods(cluster: Cluster, podman: Podman) -> None:
    """As in a roll-out: web and worker first."""
    for name, pod, _ in sorted(cluster.running, key=lambda entry: COMPONENTS.index(entry[0]), reverse=True):
        peak = cluster.peak_memory_mib(name)
        grace = pod.get("terminationGracePeriodSeconds", 30)
        began = time.monotonic()
        podman("stop", "-t", str(grace), name)
        took = time.monotonic() - began
        code, killed = podman(
            "inspect", name, "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}"
        ).stdout.split()
        print(
            f"{name}: peak {peak:.0f} MiB; SIGTERM, then exit {code} after {took:.1f} s of {grace} s grace; "
            f"out of memory: {killed}",
            flush=True,
        )
        if killed != "false" or (name != "sandbox" and (code != "0" or took >= grace)):
            raise SystemExit(f"{name} did not end cleanly")


if __name__ == "__main__":
    main()
