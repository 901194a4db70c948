"""What the docs say of installing the chart is run: each `helm install` line, and every Secret that its values name is made before it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HELMS = [helm for helm in os.environ.get("RELAY_HELM", "").split(":") if helm]
PAGES = ("README.md", "docs/deploying.md", "helm/README.md")
LINES = [
    (page, line.strip())
    for page in PAGES
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines()
    if line.strip().startswith("helm install ")
]


def run(helm: str, line: str) -> str:
    """The manifests that the line would install."""
    _, _, name, chart, *options = shlex.split(line)
    done = subprocess.run(
        [helm, "template", name, chart, *options, "--api-versions", "monitoring.coreos.com/v1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def secrets_named(value: Any) -> set[str]:
    """The Secrets that pods and Ingresses want."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("secretName",) and isinstance(inner, str):
                found.add(inner)
            elif (
                key in ("secretKeyRef", "secretRef", "secret") and isinstance(inner, dict) and "name" in inner
            ):
                found.add(inner["name"])
            elif key == "imagePullSecrets":
                found |= {one["name"] for one in inner}
            found |= secrets_named(inner)
    elif isinstance(value, list):
        for inner in value:
            found |= secrets_named(inner)
    return found


@pytest.mark.skipif(not HELMS, reason="no helm: .ci/chart brings it")
def test_each_install_line_of_the_docs_works() -> None:
    assert {page for page, _ in LINES} >= {"docs/deploying.md", "helm/README.md"}
    for helm in HELMS:
        for page, line in LINES:
            assert "kind: Deployment" in run(helm, line), page


@pytest.mark.skipif(not HELMS, reason="no helm: .ci/chart brings it")
@pytest.mark.parametrize("page", ["docs/deploying.md", "helm/README.md"])
def test_every_secret_of_the_line_is_made_before_it(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    [line] = [line for at, line in LINES if at == page]
    made = set(re.findall(r"kubectl create secret [\w-]+ ([\w-]+)", text[: text.index(line)]))
    documents = [one for one in yaml.safe_load_all(run(HELMS[-1], line)) if one]
    own = {one["metadata"]["name"] for one in documents if one["kind"] == "Secret"}
    assert secrets_named(documents) - own <= made
