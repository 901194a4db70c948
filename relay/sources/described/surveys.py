"""Answers to surveys and forms."""

from __future__ import annotations

from relay.sources.described.shape import Preset, Shape, Who
from relay.sources.proof.choose import ProofPreset

#: Source: Typeform, "Webhooks", "Secure your webhooks", "Example payload". Read by `providers/typeform.py`.
TYPEFORM = Preset(
    ProofPreset(
        signature={
            "hash": "sha256",
            "encoding": "base64",
            "header": "typeform-signature",
            "prefix": "sha256=",
        },
        wants="secrets: [the webhook's secret]",
    ),
    shapes=(
        Shape(
            type=("event_type",),
            kinds={"form_response": "message.created", "form_response_partial": "- partial"},
            thread="form_response.token event_id",
            message="form_response.token event_id",
            identity="event_id",
            time="form_response.submitted_at form_response.landed_at",
            subject="form_response.definition.title",
            sender=Who(
                name="form_response.hidden.name form_response.hidden.full_name",
                email="form_response.hidden.email",
            ),
            channel_id="form_response.form_id",
            channel_name="form_response.definition.title",
        ),
    ),
    sample=(
        {
            "event_id": "{thread}",
            "event_type": "form_response",
            "form_response": {
                "form_id": "FORM1",
                "token": "{thread}",
                "landed_at": "{iso}",
                "submitted_at": "{iso}",
                "definition": {
                    "id": "FORM1",
                    "title": "How was the onboarding?",
                    "fields": [
                        {"id": "F1", "ref": "r-1", "type": "long_text", "title": "What could be better?"},
                        {"id": "F2", "ref": "r-2", "type": "rating", "title": "How do you rate it?"},
                        {"id": "F3", "ref": "r-3", "type": "email", "title": "Your address"},
                    ],
                },
                "answers": [
                    {"type": "text", "text": "The export.", "field": {"id": "F1", "type": "long_text"}},
                    {"type": "number", "number": 4, "field": {"id": "F2", "type": "rating"}},
                    {"type": "email", "email": "ana@example.com", "field": {"id": "F3", "type": "email"}},
                ],
            },
        },
    ),
)

#: Source: Delighted, "Webhooks". The private API key signs them. Read by `providers/delighted.py`.
DELIGHTED = Preset(
    ProofPreset(
        signature={
            "hash": "sha256",
            "encoding": "hex",
            "header": "x-delighted-webhook-signature",
            "prefix": "sha256=",
        },
        wants="secrets: [the private API key]",
    ),
    shapes=(
        Shape(
            type=("event_type",),
            kinds={
                "survey_response.created": "message.created",
                "survey_response.updated": "message.created",
            },
            thread="event_data.id",
            message="event_data.id",
            identity="event_id",
            time="event_data.updated_at event_data.created_at",
            text=(("Score", "event_data.score"), ("", "event_data.comment")),
            sender=Who(
                id="event_data.person.id",
                name="event_data.person.name",
                email="event_data.person.email",
            ),
            url="event_data.permalink",
            tags="event_data.tags",
        ),
    ),
    sample=(
        {
            "event_type": "survey_response.updated",
            "event_id": "{thread}",
            "event_data": {
                "id": "{number}",
                "person": {"id": "7", "email": "ana@example.com", "name": "Ana Example"},
                "score": 9,
                "comment": "Your support is quick.",
                "permalink": "https://delighted.com/r/{thread}",
                "created_at": "{s}",
                "updated_at": "{s}",
                "notes": [],
                "tags": [],
                "additional_answers": [],
            },
        },
    ),
)
