"""Calls and meetings, as what listens in on them tells."""

from __future__ import annotations

from relay.sources.described.shape import Preset, Shape, Who
from relay.sources.proof.choose import ProofPreset

_HEX = {"hash": "sha256", "encoding": "hex"}

#: Source: Fathom, "Webhooks", "Verifying webhooks". Read by `providers/fathom.py`.
FATHOM = Preset(
    ProofPreset(standard=("webhook",), wants="secrets: [the webhook's whsec_... secret]"),
    shapes=(
        Shape(
            kinds={"*": "call.ended"},
            thread="recording_id url",
            message="recording_id url",
            identity="recording_id url",
            time="recording_start_time scheduled_start_time created_at",
            subject="title meeting_title",
            sender=Who(name="recorded_by.name", email="recorded_by.email"),
            url="share_url url",
        ),
    ),
    sample=(
        {
            "title": "Quarterly review",
            "meeting_title": "Quarterly review",
            "recording_id": "{number}",
            "url": "https://fathom.video/calls/{number}",
            "share_url": "https://fathom.video/share/{thread}",
            "created_at": "{iso}",
            "recording_start_time": "{iso}",
            "recording_end_time": "{iso}",
            "transcript_language": "en",
            "recorded_by": {"name": "Sam Support", "email": "sam@example.org", "team": "CS"},
            "calendar_invitees": [
                {"name": "Sam Support", "email": "sam@example.org", "is_external": False},
                {"name": "Ana Example", "email": "ana@example.com", "is_external": True},
            ],
            "default_summary": {
                "template_name": "general",
                "markdown_formatted": "## Summary\n\nThe customer wants to add a **second team** in May.",
            },
            "action_items": [
                {"description": "Send the offer", "completed": False, "assignee": {"name": "Sam Support"}}
            ],
        },
    ),
)

#: Source: Fireflies, "Webhooks" (first and second version): ids only, the words are in its GraphQL API.
FIREFLIES = Preset(
    ProofPreset(
        signature={**_HEX, "header": "x-hub-signature", "prefix": "sha256="},
        wants="secrets: [the webhook's secret]",
    ),
    shapes=(
        Shape(
            type=("event eventType",),
            kinds={
                "meeting.transcribed": "call.ended",
                "meeting.summarized": "call.ended",
                "Transcription completed": "call.ended",
            },
            thread="meeting_id meetingId",
            message="meeting_id meetingId",
            identity="meeting_id meetingId timestamp",
            time="timestamp",
            url="https://app.fireflies.ai/view/{meeting_id meetingId}",
            label="Meeting {meeting_id meetingId}",
            thin=True,
        ),
    ),
    sample=(
        {
            "event": "meeting.transcribed",
            "meeting_id": "{thread}",
            "timestamp": "{ms}",
            "client_reference_id": None,
        },
    ),
)

#: Source: Dialpad, "Event Subscriptions", "Call Events", "SMS Events". The body is the token. Read by `providers/dialpad.py`.
DIALPAD = Preset(
    ProofPreset(jwt={"algorithms": ("HS256",)}, wants="secrets: [the webhook's secret]"),
    shapes=(),
    sample=(
        {
            "call_id": "{number}",
            "entry_point_call_id": None,
            "master_call_id": None,
            "state": "hangup",
            "direction": "inbound",
            "date_started": "{ms}",
            "date_connected": "{ms}",
            "date_ended": "{ms}",
            "event_timestamp": "{ms}",
            "talk_time": 312_000.0,
            "external_number": "+15550101",
            "internal_number": "+15550100",
            "contact": {
                "id": "c-1",
                "type": "local",
                "name": "Ana Example",
                "email": "ana@example.com",
                "phone": "+15550101",
            },
            "target": {"id": "t-1", "type": "user", "name": "Sam Support", "email": "sam@example.org"},
            "was_recorded": False,
            "recording_details": [],
        },
    ),
)
