"""What Planhat's records look like to the type checker. The table in `fields.py` rules: a test holds the two together.

Answers are not forced into these shapes: a property may be missing from any of them, and unknown ones stay.
"""

from __future__ import annotations

from typing import Any, TypedDict


class Reference(TypedDict, total=False):
    id: str
    name: str
    isOwner: bool


"""An element of `users` and `endusers`. `isOwner` only on users."""


class ConversationRequest(TypedDict, total=False):
    """What may be sent. `_id` only addresses a record in a bulk upsert."""

    _id: str
    companyId: str
    externalId: str
    sourceId: str
    type: str
    subject: str
    description: str
    snippet: str
    date: str
    outDate: str
    users: list[Reference]
    endusers: list[Reference]
    activityTags: list[str]
    starred: bool
    pinned: bool
    archived: bool
    custom: dict[str, Any]
    useSubject: bool
    ownerId: str
    source: str
    transcript: str
    category: str
    taskId: str
    startDate: str
    endDate: str
    companyExternalId: str


class Conversation(ConversationRequest, total=False):
    """What comes back: the above and what Planhat generates."""

    companyName: str
    createDate: str
    emailTemplateIds: list[str]
    isOpen: bool
    tags: list[str]
    waitsToBeFiltered: bool
    timeBucket: list[str]
    numberOfParts: int
    sender: list[dict[str, Any]]
    history: list[Any]
    userIds: list[str]
    hasMore: bool
    isCustomType: bool
    assigneeName: str
    numberOfRelevantParts: int
    hasAttachments: bool
    isSeen: bool
    days: int
    owner: str
    followers: list[Any]
    userId: str
    nickName: str
    note: str
    autoTags: list[str]


class Company(TypedDict, total=False):
    _id: str
    name: str
    externalId: str
    sourceId: str
    domains: list[str]


class Enduser(TypedDict, total=False):
    _id: str
    companyId: str
    companyName: str
    email: str
    otherEmails: list[str]
    name: str
    externalId: str
    sourceId: str
    archived: bool
    primary: bool


class User(TypedDict, total=False):
    _id: str
    email: str
    firstName: str
    lastName: str
    nickName: str


class CustomField(TypedDict, total=False):
    """`parent` is the model that has it: company, enduser, conversation, ..."""

    _id: str
    name: str
    parent: str
    type: str
    isLocked: bool
    isMandatory: bool


class ActivityTag(TypedDict, total=False):
    _id: str
    name: str
