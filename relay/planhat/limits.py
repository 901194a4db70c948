"""Planhat's limits, each with where it is written. Those that nobody documents say so."""

from __future__ import annotations

from typing import Final

MAX_ITEMS: Final = 5_000
"""Items in one bulk upsert. Source: Conversation API, "There is an upper limit of 5,000 items per request"."""

CALLS_PER_MINUTE: Final = 200
"""Soft quota. Source: docs.planhat.com, introduction. Per token or per tenant: not stated, so taken as per token."""

CALLS_PER_SECOND: Final = 150
"""Hard limit. Source: docs.planhat.com, introduction."""

PARALLEL_CALLS: Final = 50
"""Calls under way at one time. Source: docs.planhat.com, introduction."""

QUOTA_RESET_S: Final = (60, 120)
"""After a 429 the quota is "reset every 60-120 seconds". Source: Planhat's documentation of 2017."""

LIST_DEFAULT: Final = 30
LIST_MAX: Final = 2_000
"""`limit` of GET /conversations. Source: Conversation API."""

COMPANIES_DEFAULT: Final = 100
COMPANIES_MAX: Final = 5_000
ENDUSERS_DEFAULT: Final = 100
ENDUSERS_MAX: Final = 2_000
USERS_DEFAULT: Final = 10_000
USERS_MAX: Final = 10_000
CUSTOM_FIELDS_MAX: Final = 2_000
"""`limit` of the other lists. Source: Planhat's pages on companies, endusers, custom fields and users."""

REQUEST_BYTES_MAX: Final = 32_000_000
"""Documented for analytics.planhat.com only; for this API nobody says. An assumption, tested by the contract suite."""
