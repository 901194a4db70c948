"""Pipedrive, Productboard: notes of what customers said, beside deals and features."""

from __future__ import annotations

from functools import partial
from typing import Any

from relay.sources.described.shape import Preset, Shape, Who
from relay.sources.proof.choose import ProofPreset

# ---- Pipedrive ---------------------------------------------------------------------------------------------

_PIPEDRIVE_TYPE = ("meta.entity meta.object", "meta.action")
_pipedrive = partial(
    Shape,
    type=_PIPEDRIVE_TYPE,
    identity="meta.entity_id meta.id meta.timestamp meta.timestamp_micro",
    time="meta.timestamp data.update_time current.update_time",
)
_PIPEDRIVE_NOTES = {
    **dict.fromkeys(("note.create", "note.added"), "ticket.commented"),
    **dict.fromkeys(("note.change", "note.updated"), "message.updated"),
    **dict.fromkeys(("note.delete", "note.deleted"), "message.deleted"),
}


def _pipedrive_notes(about: str, key: str) -> Shape:
    return _pipedrive(
        when=f"data.{key} current.{key} previous.{key}",
        kinds=_PIPEDRIVE_NOTES,
        thread=f"{about}-{{data.{key} current.{key} previous.{key}}}",
        message="note-{meta.entity_id data.id current.id previous.id meta.id}",
        subject="data.deal.title current.deal.title data.lead.title data.person.name current.person.name "
        "data.organization.name current.organization.name",
        text="data.content current.content",
        sender=Who(
            id="meta.user_id",
            name="data.user.name current.user.name",
            email="data.user.email current.user.email",
        ),
    )


def _pipedrive_sample(text: str) -> dict[str, Any]:
    return {
        "data": {
            "id": "{number}",
            "deal_id": "{thread}",
            "content": f"<p>{text}</p>",
            "user": {"name": "Sam Sales", "email": "sam@example.org"},
            "deal": {"title": "Renewal"},
            "add_time": "{iso}",
            "update_time": "{iso}",
        },
        "previous": None,
        "meta": {
            "action": "create",
            "entity": "note",
            "entity_id": "{digits}",
            "company_id": "1",
            "id": "{message}",
            "timestamp": "{iso}",
            "user_id": "7",
            "version": "2.0",
        },
    }


#: Source: Pipedrive, "Webhooks v2", "Guide for webhooks". HTTP Basic Auth is all that proves them.
PIPEDRIVE = Preset(
    ProofPreset(token_headers=(), wants="basic_auth: [user:password, as in the webhook's HTTP Auth]"),
    shapes=(
        *(
            _pipedrive_notes(about, key)
            for about, key in (
                ("deal", "deal_id"),
                ("lead", "lead_id"),
                ("person", "person_id"),
                ("organization", "org_id"),
            )
        ),
        _pipedrive(
            kinds={
                **dict.fromkeys(("deal.create", "deal.added"), "ticket.updated"),
                **dict.fromkeys(("deal.change", "deal.updated"), "ticket.updated"),
                **dict.fromkeys(("deal.delete", "deal.deleted"), "message.deleted"),
            },
            thread="deal-{data.id current.id previous.id meta.entity_id}",
            message="deal-{data.id current.id previous.id meta.entity_id}",
            subject="data.title current.title",
            customer=Who(name="data.person_name current.person_name"),
            ticket_id="data.id current.id",
            status="data.status current.status",
            solved="data.status=won|lost current.status=won|lost",
            assignee="data.owner_name current.owner_name",
        ),
    ),
    sample=(
        _pipedrive_sample("They want to add a second team in May."),
        _pipedrive_sample("The contract is signed."),
    ),
)

# ---- Productboard ------------------------------------------------------------------------------------------

#: Source: Productboard, "Create webhook subscription". The events tell ids only.
PRODUCTBOARD = Preset(
    ProofPreset(
        token_headers=("authorization",),
        handshake={"echo": "query validationToken"},
        wants="secrets: [the value of the subscription's authorization header]",
    ),
    shapes=(
        Shape(
            type=("data.eventType",),
            kinds={
                "note.created": "ticket.created",
                "note.updated": "message.updated",
                "note.deleted": "message.deleted",
            },
            thread="data.id",
            message="data.id",
            url="data.links.html",
            label="Note {data.id}",
            thin=True,
        ),
    ),
    sample=(
        {
            "data": {
                "id": "{thread}",
                "eventType": "note.created",
                "links": {"target": "https://api.productboard.com/notes/{thread}"},
            }
        },
        {
            "data": {
                "id": "{thread}",
                "eventType": "note.updated",
                "links": {"target": "https://api.productboard.com/notes/{thread}"},
            }
        },
    ),
)
