"""The tenant beside the config, for `relay doctor` and `relay check --planhat`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from relay.config import Config
from relay.errors import SettingsInvalid
from relay.operations.lanes import LaneTenant
from relay.planhat.custom_fields import FieldKind
from relay.planhat.doctor_line import DoctorLine
from relay.rules.rule import RuleBook

#: Where the address of a tenant is written that is not a lane's own.
_ADDRESS: Final = "RELAY_PLANHAT_URL"


def tenant_checks(
    tenant: LaneTenant, config: Config | None, book: RuleBook | None, *, everything: bool = True
) -> Iterator[DoctorLine]:
    """Ask Planhat what it has, line by line. Without `everything`: what the rules write alone, reading only. Never raises."""
    from relay.planhat.address import cluster_urls
    from relay.planhat.checks import MODELS, check_planhat
    from relay.planhat.client import Planhat

    if not tenant.token():
        yield DoctorLine(
            "planhat token",
            False,
            "not set",
            "set RELAY_PLANHAT_TOKEN or RELAY_PLANHAT_TOKEN_FILE, or the lane's token",
        )
        return
    try:
        planhat = Planhat(tenant.url, tenant.token, timeout_s=15)
    except SettingsInvalid as error:
        yield DoctorLine("planhat", False, tenant.url, str(error))
        return
    own = bool(config and config.lanes and config.lanes[tenant.lane].url)
    needed = MODELS if everything else [model for model in MODELS if model[0] == "customfields"]
    with planhat:
        for line in check_planhat(
            planhat,
            types=config.planhat.types if config else (),
            token_expires=config.planhat.token_expires if config and everything else "",
            now_s=time.time(),
            today=datetime.now(UTC).date(),
            custom_fields=_written(config, book, tenant.lane) if config and book else None,
            clusters=cluster_urls(tenant.url),
            models=needed,
            writing=everything,
        ):
            # Where the lane's own address is written.
            yield replace(line, do=line.do.replace(_ADDRESS, f"lanes.{tenant.lane}.url")) if own else line


def _written(config: Config, book: RuleBook, lane: str) -> dict[str, FieldKind | None]:
    """The custom fields that rules write in this lane."""
    from relay.operations.lanes import goes_to
    from relay.rules.written import written_custom_fields

    fields = written_custom_fields(book, lambda rule: goes_to(rule, config, lane))
    return {one.name: one.kind for one in fields}
