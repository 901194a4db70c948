"""Zoom Phone: calls that ended, voicemails, recordings, transcripts and text messages.

One call is told under many names (ended for the caller and for each device that rang, call log, call history): all of
them are one entry of one thread, the newest stands.
Source: Zoom, "Phone events", "Call history migration".
"""

from __future__ import annotations

from collections.abc import Iterator

from relay.errors import PayloadInvalid
from relay.event import Attachment, Channel, Event, Person, Recipient, event_id
from relay.source_options import SourceOptions
from relay.sources.base import Parsed, Skipped, content_key, iso_from_us
from relay.sources.foreign_json import Walk
from relay.sources.read.attached import read_files
from relay.sources.read.markdown import read_markdown
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us

#: Where an event brings several at once.
_LISTS = ("recordings", "call_logs", "call_history", "call_histories", "call_elements")
_THREADS = ("session_id", "call_id", "call_history_uuid", "call_history_id", "call_log_id", "id")
_TIMES = ("date_time", "end_time", "call_end_time", "start_time")


def phone_events(
    options: SourceOptions, body: Walk, item: Walk, change: str, *, now_s: float
) -> list[Parsed]:
    """Return the events of one notification; what is not over, or may come back from the trash, is skipped. Raises
    PayloadInvalid where a call or message has no id."""
    part = _part(change)
    if not part:
        return [Skipped("type")]
    return [_event(options, body, one, change, part, n, now_s) for n, one in enumerate(_each(item))]


def _part(change: str) -> str:
    """Which entry of the thread an event is about; "" for what is none."""
    if change in ("sms_received", "sms_sent", "sms_campaign_received"):
        return "sms"
    if change.startswith("voicemail_transcript"):
        return "voicemail transcript"
    if change.startswith("voicemail_") and not change.endswith("_trashed"):
        return "voicemail"
    if change.startswith("recording_transcript"):
        return "transcript"
    if change.startswith(("recording_completed", "recording_deleted", "recording_permanently_deleted")):
        return "recording"
    if change.startswith("ai_call_summary"):
        return "summary"
    if change.endswith(("_ended", "_missed", "_missed_call", "_rejected")):
        return "call"
    if any(word in change for word in ("call_log_", "call_history_", "call_element_")):
        return "call" if change.endswith(("_completed", "_deleted")) else ""
    return ""


def _each(item: Walk) -> Iterator[Walk]:
    for name in _LISTS:
        if found := item.items(name):
            for one in found:
                yield Walk({**item.value, name: None, **one.value}, one.path)
            return
    yield item


def _event(
    options: SourceOptions, body: Walk, item: Walk, change: str, part: str, n: int, now_s: float
) -> Parsed:
    thread = next((found for key in _THREADS if (found := item.maybe_ident(key))), "")
    if not thread:
        raise PayloadInvalid("wanted an id", "payload.object.call_id")
    if part == "voicemail transcript" and item.maybe_text("download_url"):
        # It brings all of the voicemail along; else it stands beside it.
        part = "voicemail"
    event_us = moment_us(body.value.get("event_ts"))
    time_us = event_us or _moment(item) or int(now_s * 1_000_000)
    deleted = change.endswith("_deleted") or item.maybe_text("action") == "deleted"
    text, html = ("", "") if deleted else _said(item, change, part)
    files = () if deleted else _files(item, part)
    if part in ("summary", "voicemail transcript") and not (text or deleted):
        return Skipped("thin")
    message_id = item.maybe_ident("message_id") if part == "sms" else f"{thread}:{part}"
    if deleted and part == "call":
        message_id = thread
    key = f"phone.{change}:{thread}:{item.maybe_ident('id')}:{body.maybe_ident('event_ts') or time_us}:{n}"
    caller, callee = _party(item, "caller"), _party(item, "callee")
    sender = _member(item.maybe("sender")) if part == "sms" else caller
    return Event(
        id=event_id(options.name, key),
        source=options.name,
        adapter=options.adapter,
        kind="message.deleted" if deleted else "message.created" if part == "sms" else "call.ended",
        time=iso_from_us((_moment(item) if part == "sms" else None) or time_us),
        version=time_us,
        thread=thread,
        subject="" if part == "sms" else _subject(caller, callee),
        text=text,
        html=html,
        sender=sender,
        recipients=_recipients(item, part, callee),
        channel=Channel(id=callee.id, name="sms" if part == "sms" else "phone"),
        message_id=message_id or content_key(text, str(time_us)),
        attachments=files,
        delivery_id=key,
        label=f"Text messages with {sender.name or sender.id}" if part == "sms" else _label(caller, callee),
        payload=body.value,
    )


def _moment(item: Walk) -> int | None:
    return next((found for key in _TIMES if (found := moment_us(item.value.get(key))) is not None), None)


def _said(item: Walk, change: str, part: str) -> tuple[str, str]:
    if part == "sms":
        text = item.maybe_text("message")
        return text, html_of_text(text)
    if part == "summary":
        return read_markdown(_summary(item))
    lasted = _lasted(item)
    if part == "voicemail":
        head = "Voicemail" + (f", {lasted}" if lasted else "")
        words = item.maybe("transcription").maybe_text("content") or item.maybe_text("transcript")
        text = f"{head}\n{words}" if words else head
    elif part == "voicemail transcript":
        text = item.maybe("transcription").maybe_text("content") or item.maybe_text("transcript")
    elif part in ("recording", "transcript"):
        text = part.capitalize() + (f", {lasted}" if lasted else "")
    else:
        missed = "missed" in change or "reject" in change
        result = (
            item.maybe_text("result") or item.maybe_text("call_result") or item.maybe_text("handup_result")
        )
        way = item.maybe_text("direction").capitalize()
        head = "Missed call" if missed else f"{way} call".strip().capitalize()
        text = ", ".join(part for part in (head, result, _span(item) or lasted) if part)
        if note := item.maybe_text("note"):
            text += f"\n{note}"
    return text, html_of_text(text)


def _summary(item: Walk) -> str:
    inside = item.maybe("call_summary")
    told = [
        item.maybe_text("call_summary"),
        *(
            one.maybe_text(key)
            for one in (item, inside)
            for key in ("summary", "content", "detailed_summary")
        ),
    ]
    for key in ("next_steps", "action_items"):
        steps = item.texts(key) or inside.texts(key)
        told.append(
            "\n".join(f"- {step}" for step in steps) or item.maybe_text(key) or inside.maybe_text(key)
        )
    return "\n\n".join(dict.fromkeys(one for one in told if one))


def _lasted(item: Walk) -> str:
    seconds = item.maybe_number("duration")
    if seconds is None or not 0 <= seconds < 86_400 * 7:
        return ""
    whole = int(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _span(item: Walk) -> str:
    begun_us = moment_us(item.value.get("start_time"))
    ended_us = moment_us(item.value.get("call_end_time")) or moment_us(item.value.get("end_time"))
    if begun_us is None or ended_us is None or ended_us < begun_us:
        return ""
    return (
        f"{iso_from_us(begun_us)[:16].replace('T', ' ')} UTC, {round((ended_us - begun_us) / 60_000_000)} min"
    )


def _subject(caller: Person, callee: Person) -> str:
    """What the call is called once both are known: a later notice may know one of them."""
    both = [caller.id or caller.name, callee.id or callee.name]
    return " -> ".join(both) if all(both) else ""


def _label(caller: Person, callee: Person) -> str:
    who = next((name for one in (caller, callee) if (name := one.name or one.id)), "")
    return f"Call with {who}" if who else "Call"


def _party(item: Walk, side: str) -> Person:
    """Who called or was called: an object, or fields that begin with the side's name."""
    party = item.maybe(side)
    number = (
        party.maybe_ident("phone_number")
        or item.maybe_ident(f"{side}_number")
        or item.maybe_ident(f"{side}_did_number")
        or party.maybe_ident("extension_number")
    )
    return Person(
        id=number or party.maybe_ident("user_id"),
        name=party.maybe_text("name") or item.maybe_text(f"{side}_name"),
        email=party.maybe_text("email") or item.maybe_text(f"{side}_email"),
    )


def _member(member: Walk) -> Person:
    return Person(
        id=member.maybe_ident("phone_number") or member.maybe_ident("id"),
        name=member.maybe_text("display_name") or member.maybe_text("name"),
        email=member.maybe_text("email"),
    )


def _recipients(item: Walk, part: str, callee: Person) -> tuple[Recipient, ...]:
    """Those who were written to or called; further entries of a call do not repeat them."""
    people = [_member(one) for one in item.items("to_members")] if part == "sms" else [callee]
    if part not in ("sms", "call", "voicemail"):
        return ()
    return tuple(
        Recipient(name=one.name or one.id, email=one.email)
        for one in people
        if one.name or one.id or one.email
    )


def _files(item: Walk, part: str) -> tuple[Attachment, ...]:
    if part == "sms":
        return read_files(item.value.get("attachments"))
    url = (part == "transcript" and item.maybe_text("transcript_download_url")) or item.maybe_text(
        "download_url"
    )
    return (Attachment(name=part, url=url),) if url.startswith(("https://", "http://")) else ()
