"""As much of a Kubernetes API server as Helm asks for before it installs: what kinds there are, and a namespace's Secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_KINDS = {
    "v1": ["ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"],
    "apps/v1": ["Deployment", "StatefulSet"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
}


def _discovery() -> dict[str, Json]:
    found: dict[str, Json] = {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    groups = []
    for version, kinds in _KINDS.items():
        resources = [
            {
                "name": f"{kind.lower()}s".replace("policys", "policies"),
                "singularName": kind.lower(),
                "namespaced": True,
                "kind": kind,
                "verbs": ["create", "get", "list", "patch", "update"],
            }
            for kind in kinds
        ]
        path = f"/apis/{version}" if "/" in version else "/api/v1"
        found[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        if "/" in version:
            named = {"groupVersion": version, "version": "v1"}
            groups.append({"name": version.split("/")[0], "versions": [named], "preferredVersion": named})
    found["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    return found


_ANSWERS = _discovery()


@contextmanager
def cluster(folder: Path, secrets: dict[str, Json]) -> Iterator[dict[str, str]]:
    """The environment in which Helm asks a cluster that has `secrets` (namespace `relay`, by name)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].rstrip("/")
            above, _, name = path.rpartition("/")
            found = _ANSWERS.get(path)
            if path == "/api/v1/namespaces/relay/secrets":
                listed = {"kind": "SecretList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}}
                found = {**listed, "items": list(secrets.values())}
            elif above == "/api/v1/namespaces/relay/secrets":
                found = secrets.get(name)
            status = 200 if found else 404
            body = found or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    config = folder / f"kubeconfig-{server.server_port}"
    named = [{"name": "c", "cluster": {"server": address}}]
    context = [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "relay"}}]
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": named,
                "contexts": context,
                "current-context": "c",
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    try:
        yield {"KUBECONFIG": str(config), "HOME": str(folder), "NO_PROXY": "127.0.0.1"}
    finally:
        server.shutdown()
        server.server_close()
