"""Every sender that a table describes, by its name in the config."""

from __future__ import annotations

from relay.sources.described.calls import DIALPAD, FATHOM, FIREFLIES
from relay.sources.described.chats import DISCOURSE, GOOGLE_CHAT, LIVECHAT, RINGCENTRAL, WHATSAPP
from relay.sources.described.desks import PYLON, UNTHREAD, ZOHO_DESK
from relay.sources.described.inboxes import KUSTOMER, PLAIN
from relay.sources.described.notes import PIPEDRIVE, PRODUCTBOARD
from relay.sources.described.shape import Preset
from relay.sources.described.surveys import DELIGHTED, TYPEFORM
from relay.sources.described.trackers import GROOVE, LINEAR, MISSIVE

PRESETS: dict[str, Preset] = {
    "pylon": PYLON,
    "plain": PLAIN,
    "unthread": UNTHREAD,
    "fathom": FATHOM,
    "fireflies": FIREFLIES,
    "linear": LINEAR,
    "zoho_desk": ZOHO_DESK,
    "dialpad": DIALPAD,
    "ringcentral": RINGCENTRAL,
    "whatsapp": WHATSAPP,
    "google_chat": GOOGLE_CHAT,
    "typeform": TYPEFORM,
    "delighted": DELIGHTED,
    "missive": MISSIVE,
    "discourse": DISCOURSE,
    "kustomer": KUSTOMER,
    "groove": GROOVE,
    "livechat": LIVECHAT,
    "pipedrive": PIPEDRIVE,
    "productboard": PRODUCTBOARD,
}
