"""Rendering the chart, for its tests: with every Helm that RELAY_HELM names, or the one on the PATH. Without any, whatever
imports this is skipped."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import re
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

Json = dict[str, Any]

TOP = pathlib.Path(__file__).resolve().parents[2]
HELM = TOP / "helm"
HELMS = [path for path in os.environ.get("RELAY_HELM", shutil.which("helm") or "").split(":") if path]
if not HELMS:
    pytest.skip("no helm here: .ci/chart brings its own", allow_module_level=True)

CHART = TOP / "tests" / "helm"
VALUES = sorted(
    [
        *CHART.glob("values/*.yaml"),
        CHART / "container.yaml",
        HELM / "examples" / "kind.yaml",
        HELM / "examples" / "production.yaml",
        HELM / "examples" / "cluster.yaml",
    ]
)
KUBERNETES = ("1.25.0", "1.37.0")
MINIMAL = yaml.safe_load((CHART / "values" / "minimal.yaml").read_text())
#: Kinds that Kubernetes itself does not know.
CUSTOM = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule", "HTTPRoute"}


#: What the chart makes by chance: new in each rendering that can ask no cluster.
_MADE = re.compile(r"^(  (?:operator-token|redis-password)): [A-Za-z0-9+/=]{56}$", re.MULTILINE)


def run_helm(
    helm: str, *arguments: str, values: Json | None = None, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [helm, *arguments, *(["-f", "-"] if values is not None else [])]
    return subprocess.run(
        command,
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environ or {})},
    )


def render_text(helm: str, values: Json, *, kubernetes: str = "1.34.0", chart: pathlib.Path = HELM) -> str:
    """With one word for every secret that was made by chance."""
    done = run_helm(
        helm,
        "template",
        "demo",
        str(chart),
        "--namespace",
        "relay",
        "--kube-version",
        kubernetes,
        values=values,
    )
    assert done.returncode == 0, done.stderr
    return _MADE.sub(r"\1: bWFkZSBieSBjaGFuY2U=", done.stdout)


def objects_in(text: str) -> list[Json]:
    return [found for found in yaml.safe_load_all(text) if found]


def render(helm: str, values: Json, *, kubernetes: str = "1.34.0") -> list[Json]:
    return objects_in(render_text(helm, values, kubernetes=kubernetes))


@cache
def rendered_text(helm: str, path: pathlib.Path, kubernetes: str) -> str:
    return render_text(helm, yaml.safe_load(path.read_text()), kubernetes=kubernetes)


def rendered(path: pathlib.Path, *, helm: str = HELMS[-1], kubernetes: str = KUBERNETES[-1]) -> list[Json]:
    return objects_in(rendered_text(helm, path, kubernetes))


def refusal(helm: str, values: Json) -> str:
    done = run_helm(helm, "template", "demo", str(HELM), values=values)
    return done.stderr if done.returncode else "these values were accepted"


def changed(values: Json, changes: Json) -> Json:
    """A copy with dotted paths set."""
    out = copy.deepcopy(values)
    for path, value in changes.items():
        *above, last = path.split(".")
        place = out
        for step in above:
            if not isinstance(place.get(step), dict):
                place[step] = {}
            place = place[step]
        place[last] = value
    return out


def one(objects: list[Json], kind: str, ending: str) -> Json:
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(ending)]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} end in {ending}"
    return found[0]


by_values = pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
by_helm = pytest.mark.parametrize("helm", HELMS, ids=lambda path: pathlib.Path(path).parent.name)
