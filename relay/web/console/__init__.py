"""The operators' page at `/console`: rendered here, readable without JavaScript, nothing fetched from elsewhere."""

from relay.web.console import pages
from relay.web.console.pages import routes

__all__ = ["pages", "routes"]
