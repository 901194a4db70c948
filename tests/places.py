"""Where the tests find the project's own files."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PAYLOADS = TESTS / "payloads"
CONFIGS = TESTS / "configs"
#: Real payloads that may lie beside the repository; nothing of them is in it.
FIXTURES = ROOT.parent / "shared" / "fixtures"
