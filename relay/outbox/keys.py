"""Every key of a lane in Redis, and nothing else spells one: a test looks for it. The scripts (`*.lua`) build theirs behind
the same prefix; the test holds that each is listed here.

All lie under `<base>:{<lane>}:`. One hash tag, so that a lane lies in one slot of a cluster; a base of its own
(`RELAY_KEY_PREFIX`) for each installation, so that two may share a Redis. `<x>` is an externalId.

    due:<source>        zset    externalId -> when (ms); a lease is a later "when"
    patches:<x>         list    event, source, accepted_ms, counted, patch; what waits, oldest arrival first
    held                hash    externalId -> token, crashes, refusals, first_ms; what was claimed and is not settled (no pause holds it)
    waiting             zset    externalId -> when its oldest patch came (ms); likewise
    document:<x>        string  the folded document; expires `keep.documents` after the last delivery
    planhat:<_id>       string  externalId
    delivered:<year>    set     marks of what was delivered in that year of 365 days: 10 hex digits of the externalId's SHA-1
    doubt               zset    externalId -> when to look again at what Planhat has of it (ms)
    newer               zset    externalId -> when it was last found to be a newer release's to read (ms)
    seen:<source>:<key> string  event id; dedupe memory of every key but the event's own id, for which `event:<id>` stands
    proof               string  since when that is so (ms), 0 where it always was: for an hour an older release may write beside
    event:<id>          string  1 letter state, 13 digits settled_ms, then the archived raw event; empty where that was taken away. Stays
                                while a patch waits that is its end (see `vault.py`), then expires
    log:<source>:<min>  list    event ids by the minute they came in
    minutes:<source>:<day>  string  a bit for each minute of the day in which some came in; expires a day after its events
    index               hash    cursor: what of the lists is in the index; revision, see `relay.outbox.index.store`
    index:tail          list    chunks of the index: the newest events and their terms; expires
    index:blocks        hash    number -> JSON: which minutes a block is of, and how it is read
    index:block:<n>     string  a block of the index, see `relay.outbox.index.block`; expires with its events
    ids:<x>             string  event ids of one conversation, 12 bytes each, the last 1,000 at least
    events:<x>          list    likewise, as an older release wrote them, and those that are of another form
    known:<source>:<id> string  event id; the provider's delivery id, where the event id is not made of it
    thread:<key>        string  of a key of a mail (see `relay/thread_ids.py`): another key, or a mark and the thread's name
    threaded:<key>      list    event ids of a thread whose first mail has not come yet, the last 1,000
    rethread            list    event ids whose thread turned out to be part of another: to be mapped again
    notes:<event id>    list    what a person did with an event: replayed, edited, discarded
    ledger:<source>     hash    the counts, moved only inside the scripts that move events
    rate:<source>       hash    token bucket
    sources             set     names of sources that ever sent something
    lanes               set     names of the lanes that the config ever had
    paused              set     names of paused sources
    pauses              hash    a paused source, "" for all delivery -> since when (ms), and by whom
    rejected            list    the last refused requests, newest first
    drops               hash    what the kill switch drops: id -> JSON
    dropped:<drop id>   hash    what a drop has dropped: source -> events; expires
    dead                zset    dead letters: id -> when (ms)
    dead:<id>           hash    at, source, external, events, record
    dead:<id>:patches   list    as `patches:<x>`: what a replay sends
    redriven:<dead id>  string  the order by which a letter was put back and what that moved; expires
    deadof:<x>          set     dead letters of one conversation
    cause:<digest>      hash    what people say of a cause of dead letters: muted, muted_until_ms, assigned, note, by, at_ms; expires
    unposted            set     dead letters without a failed RQ job yet
    delivery            hash    state, until_ms, reason, failures, reopened_ms
    calls               zset    the calls of the last minute
    call_number         string  counts calls
    tune                hash    items, bytes, calls: what the controller found best; learned: what it knows, as JSON
    wake                string  generation of the flush job that owns the lane; expires
    taken               string  generation of the flush job that began last
    generation          string  counts flush jobs
    claims              string  counts claims: their tokens
    readback            hash    type -> when a conversation of it was last read back (ms)
    warnings            hash    "by|rule|field" -> JSON: what Planhat stored otherwise than it was sent, or shows to nobody
    readback:texts      hash    "rule" -> a description as it was sent and as it stands (sealed); expires
    tenant:fields       string  JSON: the tenant's custom fields of conversations, and when they were read (ms)
    tenant:tags         string  JSON: the tenant's activity tags, likewise
    metrics             hash    counters and histograms that more than one process moves
    samples             list    what the console's plots show
    samples:taken       string  that a sample is fresh; expires
    operation:<id>      hash    a long operation: who asked, how far it is
    operations          zset    operation -> when it began (ms)
    heartbeats          zset    workers' signs of life: who -> when (ms)
    processes           hash    who is alive, with what
    owner               hash    which Planhat the lane belongs to, see `owner.py`
    epoch               string  names this store, see `epoch.py`
    life                hash    that it was set back or adopted: number, what, at_ms, ...
    looks               hash    process -> the number of its last look at the store; expires
    clock               string  the latest time of Redis's clock that was seen (ms)
    accepted            string  counts accepted events
    ready               string  written to see whether a write goes through; expires
    audit               zset    who changed or looked at what: line -> when (ms)
    audit_number        string  counts lines
    alerts              hash    what is wrong and told, by name -> JSON (sealed); revision: counts changes
    alerts:unsent       zset    messages that are to be sent -> when (ms); a lease is a later "when"
    alerts:messages     hash    message -> JSON (sealed)
    session:<hash>      string  a signed-in operator; expires
    code:<hash>         string  a sign-in link; expires
    veil_key            string  the key of redacted values
    erased              zset    erased events: id -> when (ms)
    erased_names        hash    keyed hash of an address or conversation -> when (ms)
    erased_standing     hash    keyed hash -> what of it still stands in Planhat, encrypted

What companies and people were found, and who waits for one (addresses are hashed, values hold ids only):

    directory:email:<hash>  string  JSON: [[enduser id, company id], ...]; [] for nobody; expires
    directory:team          hash    hash of an address -> user id: our own people; expires
    directory:team:next     hash    the list that is about to replace it
    directory:team:at       string  when the list was read (ms); expires
    directory:team:domains  string  JSON: the domains of our own people; expires
    directory:domains       hash    domain -> company ids, blank between them; the whole table is replaced at once
    directory:domains:next  hash    the table that is about to replace it
    directory:domains:at    string  when the table was read (ms); expires
    directory:parked        zset    dead letters that wait for a company -> when to look again (ms)
    directory:config        string  version of the config under which the parked ones were last looked at
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

from relay.errors import SettingsInvalid
from relay.lane_name import MAIN

BASE: Final = "relay"
LANE: Final = MAIN
#: What RQ's keys are tagged with in a cluster, where all of them must lie together.
RQ_TAG: Final = "rq"

SOURCES: Final = "sources"
LANES: Final = "lanes"
PAUSED: Final = "paused"
PAUSES: Final = "pauses"
HELD: Final = "held"
DOUBT: Final = "doubt"
NEWER: Final = "newer"
WAITING: Final = "waiting"
REJECTED: Final = "rejected"
RETHREAD: Final = "rethread"
DROPS: Final = "drops"
DEAD: Final = "dead"
UNPOSTED: Final = "unposted"
DELIVERY: Final = "delivery"
CALLS: Final = "calls"
CALL_NUMBER: Final = "call_number"
TUNE: Final = "tune"
WAKE: Final = "wake"
TAKEN: Final = "taken"
GENERATION: Final = "generation"
CLAIMS: Final = "claims"
READBACK: Final = "readback"
WARNINGS: Final = "warnings"
READBACK_TEXTS: Final = "readback:texts"
TENANT_FIELDS: Final = "tenant:fields"
TENANT_TAGS: Final = "tenant:tags"
METRICS: Final = "metrics"
SAMPLES: Final = "samples"
SAMPLES_TAKEN: Final = "samples:taken"
OPERATIONS: Final = "operations"
HEARTBEATS: Final = "heartbeats"
PROCESSES: Final = "processes"
OWNER: Final = "owner"
LIFE: Final = "life"
LOOKS: Final = "looks"
CLOCK: Final = "clock"
ACCEPTED: Final = "accepted"
EPOCH: Final = "epoch"
READY: Final = "ready"
AUDIT: Final = "audit"
AUDIT_NUMBER: Final = "audit_number"
ALERTS: Final = "alerts"
ALERTS_UNSENT: Final = "alerts:unsent"
ALERTS_MESSAGES: Final = "alerts:messages"
VEIL_KEY: Final = "veil_key"
ERASED: Final = "erased"
ERASED_NAMES: Final = "erased_names"
ERASED_STANDING: Final = "erased_standing"
TEAM: Final = "directory:team"
TEAM_NEXT: Final = "directory:team:next"
TEAM_AT: Final = "directory:team:at"
TEAM_DOMAINS: Final = "directory:team:domains"
DOMAINS: Final = "directory:domains"
DOMAINS_NEXT: Final = "directory:domains:next"
DOMAINS_AT: Final = "directory:domains:at"
PARKED: Final = "directory:parked"
DIRECTORY_CONFIG: Final = "directory:config"
INDEX: Final = "index"
INDEX_TAIL: Final = "index:tail"
INDEX_BLOCKS: Final = "index:blocks"
PROOF: Final = "proof"
#: What every log and every entry of the dedupe memory begins with.
LOGS: Final = "log:"
SEEN: Final = "seen:"


def lane_prefix(lane: str, base: str = BASE) -> str:
    """Return what every key of `lane` begins with."""
    return f"{base}:{{{lane}}}:"


def set_rq_prefix(
    base: str, environ: MutableMapping[str, str] | None = None, *, clustered: bool = False
) -> None:
    """Puts RQ's keys beside ours where the base is not the usual one, and under one hash tag where they lie in a cluster. Before
    `rq` is imported: it reads its own variable then. One that somebody has set stays; raises SettingsInvalid where it lacks the tag."""
    environ = os.environ if environ is None else environ
    word = f"{{{RQ_TAG}}}" if clustered else RQ_TAG
    prefix = word if base == BASE else f"{base}:{word}"
    if prefix != RQ_TAG:
        environ.setdefault("RQ_KEY_PREFIX", prefix)
    if clustered and word not in environ["RQ_KEY_PREFIX"]:
        raise SettingsInvalid(f"RQ_KEY_PREFIX should hold {word} on a cluster; leave it out")


def due(source: str) -> str:
    return f"due:{source}"


def patches(external_id: str) -> str:
    return f"patches:{external_id}"


def document(external_id: str) -> str:
    return f"document:{external_id}"


def delivered(year: int) -> str:
    return f"delivered:{year}"


def planhat_id(record_id: str) -> str:
    return f"planhat:{record_id}"


def seen(source: str, delivery_key: str) -> str:
    return f"{SEEN}{source}:{delivery_key}"


def event(event_id: str) -> str:
    return f"event:{event_id}"


def log_of(source: str, minute: int | str) -> str:
    return f"{LOGS}{source}:{minute}"


def minutes_of(source: str, day: int) -> str:
    return f"minutes:{source}:{day}"


def index_block(number: int | str) -> str:
    return f"index:block:{number}"


def events_of(external_id: str) -> str:
    return f"events:{external_id}"


def ids_of(external_id: str) -> str:
    return f"ids:{external_id}"


def known(source: str, delivery_id: str) -> str:
    return f"known:{source}:{delivery_id}"


def thread(key: str) -> str:
    return f"thread:{key}"


def threaded(key: str) -> str:
    return f"threaded:{key}"


def notes(event_id: str) -> str:
    return f"notes:{event_id}"


def ledger(source: str) -> str:
    return f"ledger:{source}"


def rate(source: str) -> str:
    return f"rate:{source}"


def dead_letter(dead_id: str) -> str:
    return f"dead:{dead_id}"


def dead_patches(dead_id: str) -> str:
    return f"dead:{dead_id}:patches"


def redriven(dead_id: str) -> str:
    return f"redriven:{dead_id}"


def dead_of(external_id: str) -> str:
    return f"deadof:{external_id}"


#: How long it is known what a drop has dropped, after the last event of it.
DROPPED_KEPT_S: Final = 30 * 86_400


def dropped(drop_id: str) -> str:
    return f"dropped:{drop_id}"


def cause(digest: str) -> str:
    return f"cause:{digest}"


def operation(operation_id: str) -> str:
    return f"operation:{operation_id}"


def session(digest: str) -> str:
    return f"session:{digest}"


def code(digest: str) -> str:
    return f"code:{digest}"


def looked_up_enduser(digest: str) -> str:
    return f"directory:email:{digest}"
