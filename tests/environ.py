"""What the environment of a test says."""

from typing import Final

#: The secrets of most tests are short enough to be read.
WEAK: Final = {"RELAY_ALLOW_WEAK_SECRETS": "true"}
