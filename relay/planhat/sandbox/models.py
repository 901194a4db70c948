"""Planhat's models beside conversations: which properties each takes, what it needs, how its list is asked.

Source: Planhat's pages on companies, endusers, users and custom fields; activity tags by a public client alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from relay.planhat import limits


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `keys`: what finds a record in a bulk upsert beside `_id`, strongest first. `per_company`: keys that
    are unique in a company only. `properties`: what may be written, each with its Python type. `filters`: a query's
    parameter and the property that it must equal; several words are separated by commas."""

    name: str
    singular: str
    keys: tuple[str, ...]
    per_company: frozenset[str]
    required: tuple[str, ...]
    properties: Mapping[str, type]
    defaults: Mapping[str, Any]
    filters: Mapping[str, str]
    list_default: int
    list_max: int


def _model(
    name: str,
    singular: str,
    *,
    texts: str,
    lists: str = "",
    flags: str = "",
    numbers: str = "",
    keys: tuple[str, ...] = ("sourceId", "externalId"),
    per_company: frozenset[str] = frozenset(),
    required: tuple[str, ...] = (),
    defaults: Mapping[str, Any] | None = None,
    filters: Mapping[str, str] | None = None,
    size: tuple[int, int],
) -> Model:
    kinds = ((texts, str), (lists, list), (flags, bool), (numbers, int))
    properties: dict[str, type] = {name: kind for names, kind in kinds for name in names.split()}
    return Model(
        name,
        singular,
        keys,
        per_company,
        required,
        MappingProxyType({**properties, "custom": dict}),
        MappingProxyType(dict(defaults or {})),
        MappingProxyType(dict(filters or {})),
        *size,
    )


COMPANIES: Final = _model(
    "companies",
    "company",
    texts="name owner coOwner externalId sourceId phase status description address country city zip phonePrimary web "
    "customerFrom customerTo hProfile",
    lists="domains tags products collaborators followers segments",
    numbers="h csmScore",
    required=("name",),
    defaults={"status": "prospect", "domains": [], "tags": [], "products": [], "followers": []},
    # `s`: a segment's id, by a client of 2019.
    filters={"companyId": "_id", "s": "segments"},
    size=(limits.COMPANIES_DEFAULT, limits.COMPANIES_MAX),
)

ENDUSERS: Final = _model(
    "endusers",
    "enduser",
    texts="email firstName lastName name companyId externalId sourceId position phone",
    lists="tags otherEmails relatedEndusers",
    flags="featured primary archived npsUnsubscribed",
    keys=("sourceId", "externalId", "email"),
    per_company=frozenset({"externalId", "email"}),
    defaults={"otherEmails": [], "archived": False, "primary": False, "featured": False, "tags": []},
    # `c`, `cId`: a company's id, by clients of 2019.
    filters={"companyId": "companyId", "cId": "companyId", "c": "companyId", "euId": "_id", "email": "email"},
    size=(limits.ENDUSERS_DEFAULT, limits.ENDUSERS_MAX),
)

USERS: Final = _model(
    "users",
    "user",
    texts="email nickName firstName lastName externalId sourceId",
    lists="roles managers teams",
    flags="inactive isHidden notificationsEnabled isExposedAsSenderOption",
    numbers="tzOffset",
    keys=("sourceId", "externalId", "email"),
    required=("email",),
    defaults={"roles": [], "inactive": False, "isHidden": False, "notificationsEnabled": True},
    filters={"email": "email"},
    size=(limits.USERS_DEFAULT, limits.USERS_MAX),
)

CUSTOM_FIELD_TYPES: Final = frozenset(
    {
        *("number", "text", "rich text", "checkbox", "day", "date", "list", "multipicklist", "team member"),
        *("team members", "rating", "phone", "email", "enduser", "endusers", "url"),
    }
)
DATE_TYPES: Final = frozenset({"day", "date"})

CUSTOM_FIELDS: Final = _model(
    "customfields",
    "customfield",
    texts="name type parent formula numberFormat",
    lists="listValues",
    flags="isFeatured isHidden isShared isLocked isMandatory isFormula treatUndefinedAsZero",
    keys=(),
    required=("name", "type", "parent"),
    defaults={
        **dict.fromkeys(
            ("isFeatured", "isHidden", "isShared", "isLocked", "isMandatory", "isFormula"), False
        ),
        "listValues": [],
    },
    size=(100, 2_000),
)

ACTIVITY_TAGS: Final = _model(
    "activitytags", "activitytag", texts="name", keys=(), required=("name",), size=(1_000, 1_000)
)

MODELS: Final[Mapping[str, Model]] = MappingProxyType(
    {model.name: model for model in (COMPANIES, ENDUSERS, USERS, CUSTOM_FIELDS, ACTIVITY_TAGS)}
)

TICKETS_DEFAULT: Final = 500
TICKETS_MAX: Final = 10_000
"""`limit` of GET /tickets. Source: Planhat's page on tickets."""
