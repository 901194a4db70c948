"""The tenant beside the config, for `relay doctor` and `relay check --planhat`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from relay.config import Config
from relay.errors import SettingsInvalid
from relay.planhat.checks import DoctorLine
from relay.rules.rule import RuleBook
from relay.settings import Settings


def tenant_checks(
    settings: Settings, config: Config | None, book: RuleBook | None, *, everything: bool = True
) -> Iterator[DoctorLine]:
    """Ask Planhat what it has, line by line. Without `everything`: what the rules write alone, reading only. Never raises."""
    from relay.planhat.address import cluster_urls
    from relay.planhat.checks import MODELS, check_planhat
    from relay.planhat.client import Planhat
    from relay.rules.written import written_custom_fields

    if not settings.planhat_token():
        yield DoctorLine(
            "planhat token", False, "not set", "set RELAY_PLANHAT_TOKEN or RELAY_PLANHAT_TOKEN_FILE"
        )
        return
    try:
        planhat = Planhat(settings.planhat_url, settings.planhat_token, timeout_s=15)
    except SettingsInvalid as error:
        yield DoctorLine("planhat", False, settings.planhat_url, str(error))
        return
    needed = MODELS if everything else [model for model in MODELS if model[0] == "customfields"]
    with planhat:
        yield from check_planhat(
            planhat,
            types=config.planhat.types if config else (),
            token_expires=config.planhat.token_expires if config and everything else "",
            now_s=time.time(),
            today=datetime.now(UTC).date(),
            custom_fields={one.name: one.kind for one in written_custom_fields(book)} if book else None,
            clusters=cluster_urls(settings.planhat_url),
            models=needed,
            writing=everything,
        )
