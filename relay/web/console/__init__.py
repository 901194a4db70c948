"""The operators' page at `/console`: rendered here, readable without JavaScript, nothing fetched from elsewhere."""

from relay.web.console.pages import routes

__all__ = ["routes"]
