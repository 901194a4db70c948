"""Which of the providers' own packages are tried, pinned; and putting them into a folder of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Package:
    """`registry` is "pip" or "npm"; `signs` and `verifies` say what it can do."""

    name: str
    version: str
    registry: str
    signs: bool
    verifies: bool

    @property
    def key(self) -> str:
        """Unique among both registries."""
        return f"{self.registry}:{self.name}"


PACKAGES = (
    Package("slack-sdk", "3.47.0", "pip", signs=True, verifies=True),
    Package("slack-bolt", "1.30.0", "pip", signs=False, verifies=True),
    Package("twilio", "9.13.0", "pip", signs=True, verifies=True),
    Package("svix", "2.9.1", "pip", signs=True, verifies=True),
    Package("standardwebhooks", "1.1.0", "pip", signs=True, verifies=True),
    Package("stripe", "16.1.0", "pip", signs=True, verifies=True),
    Package("hubspot-api-client", "12.0.0", "pip", signs=True, verifies=True),
    Package("cloudevents", "2.2.0", "pip", signs=True, verifies=True),
    Package("sendgrid", "6.12.5", "pip", signs=False, verifies=True),
    Package("resend", "2.51.0", "pip", signs=False, verifies=True),
    Package("fathom-python", "0.0.43", "pip", signs=False, verifies=True),
    Package("google-auth", "2.62.2", "pip", signs=True, verifies=False),
    Package("@slack/bolt", "5.1.0", "npm", signs=False, verifies=True),
    Package("twilio", "6.2.0", "npm", signs=True, verifies=True),
    Package("svix", "2.5.0", "npm", signs=True, verifies=True),
    Package("standardwebhooks", "1.1.1", "npm", signs=True, verifies=True),
    Package("stripe", "23.1.0", "npm", signs=True, verifies=True),
    Package("@hubspot/api-client", "14.0.1", "npm", signs=True, verifies=True),
    Package("cloudevents", "10.0.0", "npm", signs=True, verifies=True),
    Package("@sendgrid/eventwebhook", "8.0.0", "npm", signs=False, verifies=True),
    Package("resend", "6.38.0", "npm", signs=False, verifies=True),
    Package("@octokit/webhooks-methods", "6.0.0", "npm", signs=True, verifies=True),
    Package("sns-validator", "0.3.5", "npm", signs=False, verifies=True),
    Package("@linear/sdk", "98.0.0", "npm", signs=False, verifies=True),
    Package("@team-plain/typescript-sdk", "5.12.1", "npm", signs=False, verifies=True),
    Package("fathom-typescript", "0.0.37", "npm", signs=False, verifies=True),
    Package("crisp-api", "11.3.0", "npm", signs=False, verifies=True),
    Package("@zoom/rivet", "0.4.0", "npm", signs=False, verifies=True),
)


def install(package: Package, folder: Path) -> Path:
    """Put a package and what it needs into a folder of its own, once. Returns the folder; raises CalledProcessError."""
    place = folder / f"{package.registry}-{package.name.replace('/', '-').lstrip('@')}-{package.version}"
    done = place / "installed"
    place.mkdir(parents=True, exist_ok=True)
    if package.registry == "npm":
        # Beside `node_modules`, where an import finds the package.
        shutil.copy(HERE / "drive.mjs", place / "drive.mjs")
    if done.exists():
        return place
    if package.registry == "pip":
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(place)]
        command = [*pip, "--disable-pip-version-check", f"{package.name}=={package.version}"]
    else:
        # No package's own script is run.
        npm = ["npm", "install", "--prefix", str(place), "--ignore-scripts", "--no-audit", "--no-fund"]
        command = [*npm, "--silent", f"{package.name}@{package.version}"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    done.touch()
    return place
