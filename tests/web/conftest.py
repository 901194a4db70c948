"""The browser's fixtures for the tests of the web side."""

from __future__ import annotations

from tests.web.browsing import chromium, page

__all__ = ["chromium", "page"]
