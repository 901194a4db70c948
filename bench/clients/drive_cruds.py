"""Every operation of cruds 1.9.1 on the models that the sandbox has: `drive_cruds.py URL`."""

from __future__ import annotations

from typing import Any

from cruds.interfaces.planhat import Planhat, logic
from steps import COMPANY, added, step, url_and_tag


def crud(
    model: Any, name: str, first: dict[str, Any], second: dict[str, Any] | None, changes: dict[str, Any]
) -> None:
    """Create, read, change (PATCH), list, upsert in bulk and delete records of one model."""
    made = step(f"{name}.create", lambda: model.create(first), lambda got: got["_id"])
    key = made["_id"] if made else "0" * 24
    step(f"{name}.get_by_id", lambda: model.get_by_id(key), lambda got: got["_id"] == key)
    if "externalId" in first:
        step(
            f"{name}.get_by_id(extid)",
            lambda: model.get_by_id(f"extid-{first['externalId']}"),
            lambda got: got["_id"] == key,
        )
    step(
        f"{name}.update",
        lambda: model.update(key, changes),
        lambda got: all(got[word] == value for word, value in changes.items()),
    )
    step(
        f"{name}.get_list",
        lambda: [row for page in model.get_list() for row in page],
        lambda got: got and got[0]["_id"] and got == sorted(got, key=lambda row: row["_id"], reverse=True),
    )
    step(
        f"{name}.get_list(select)",
        lambda: next(model.get_list(select="_id, createDate", limit=1)),
        lambda got: len(got) == 1 and set(got[0]) <= {"_id", "createDate"},
    )
    if second is not None:
        step(
            f"{name}.bulk_upsert",
            lambda: model.bulk_upsert([{"_id": key, **first}, second], raise_on_error=True),
            lambda got: added(got, created=1, updated=1),
        )
    step(f"{name}.delete", lambda: model.delete(key), lambda got: got is not None)


def main() -> None:
    url, tag = url_and_tag()
    logic.PLANHAT_API_HOST = url
    client = Planhat(api_token="token", retries=0)
    company = {"name": f"One {tag}", "externalId": f"one-{tag}", "status": "lost"}
    crud(
        client.company,
        "company",
        company,
        {"name": f"Two {tag}", "externalId": f"two-{tag}"},
        {"name": "New"},
    )
    step("company.get_lean_list", client.company.get_lean_list)
    step(
        "company.get_lean_list(external_id)",
        lambda: client.company.get_lean_list(external_id="acme"),
        lambda got: [row["name"] for row in got] == ["Acme"],
    )
    step(
        "company.get_lean_list(status)",
        lambda: client.company.get_lean_list(status=["lost", "prospect"]),
        lambda got: (
            {"Hooli", "Umbrella"} <= {row["name"] for row in got}
            and "Acme" not in {row["name"] for row in got}
        ),
    )
    for name in ("conversation", "note"):
        talk = {"companyId": COMPANY, "type": "note", "subject": name, "externalId": f"{name}-{tag}"}
        crud(
            getattr(client, name),
            name,
            talk,
            {**talk, "externalId": f"{name}-2-{tag}"},
            {"subject": "Changed"},
        )
    field = {"name": f"Field {tag}", "parent": "conversation", "type": "text", "isHidden": False}
    crud(client.custom_field, "custom_field", field, None, {"isFeatured": True})
    enduser = {"companyId": COMPANY, "email": f"one-{tag}@example.com", "externalId": f"eu-{tag}"}
    crud(
        client.enduser,
        "enduser",
        enduser,
        {**enduser, "email": f"two-{tag}@example.com", "externalId": f"eu2-{tag}"},
        {"position": "CFO"},
    )
    user = {
        "email": f"una-{tag}@ourteam.example",
        "firstName": "Una",
        "lastName": "User",
        "nickName": "Una",
        "externalId": f"u-{tag}",
    }
    crud(
        client.user,
        "user",
        user,
        {**user, "email": f"two-{tag}@ourteam.example", "externalId": f"v-{tag}"},
        {"lastName": "New"},
    )
    ticket = {
        "sourceId": f"t-{tag}",
        "source": "zendesk",
        "email": "ada@example.com",
        "title": "Help",
        "description": "x",
        "status": "open",
        "companyId": COMPANY,
    }
    step(
        "ticket.bulk_upsert",
        lambda: client.ticket.bulk_upsert([ticket], raise_on_error=True),
        lambda got: added(got, created=1),
    )
    step(
        "ticket.get_list",
        lambda: [row for page in client.ticket.get_list(select=None) for row in page],
        lambda got: got and got[0]["type"] == "ticket",
    )


main()
