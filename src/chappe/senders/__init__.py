"""Senders: which addresses an account may send from, and which account an incoming message belongs to.

Doors and the pipeline ask `choose` and `check`, which answer from memory. Around them: the rules of countries
(`rules.py`), registrations with their documents (`filing.py`), pools and defaults (`groups.py`), protected names
(`guarding.py`), 10DLC brands and campaigns (`campaigning.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.senders import room
from chappe.senders.campaigning import (
    brand_named,
    campaign_named,
    create_brand,
    create_campaign,
    delete_brand,
    delete_campaign,
    found_brand,
    found_campaign,
    update_brand,
    update_campaign,
)
from chappe.senders.filing import (
    Step,
    add_document,
    approve,
    create_registration,
    delete_document,
    delete_registration,
    documents_of,
    found_registration,
    history,
    read_document,
    reject,
    resume,
    review,
    submit,
    suspend,
    update_registration,
    watch_expiry,
    withdraw,
)
from chappe.senders.groups import (
    create_default,
    create_pool,
    defaults_of,
    delete_default,
    delete_pool,
    found_default,
    found_pool,
    pools_of,
    update_default,
    update_pool,
)
from chappe.senders.guarding import (
    check_protected,
    create_protected,
    delete_protected,
    found_protected,
    lookalikes,
    update_protected,
)
from chappe.senders.kinds import Capabilities, Key, Kind, Overrides, Per, Throughput, capabilities, kind_of
from chappe.senders.model import Book, Enforcement, Sender, canonical, owner
from chappe.senders.pools import PREFIX, Default, Pool, Ring
from chappe.senders.protect import Names, Protected
from chappe.senders.registrations import MAX_DOCUMENT, STATES, Document, Fees, Particulars, Registration, State
from chappe.senders.room import book
from chappe.senders.rules import Rule, Word, all_rules, rules_of, words_of
from chappe.senders.store import DEFAULTS, POOLS, PROTECTED, ROOM, SENDERS
from chappe.senders.ten_dlc import (
    Brand,
    BrandDetails,
    Campaign,
    CampaignDetails,
    CampaignStatus,
    CarrierStatus,
    IdentityStatus,
)
from chappe.senders.verbs import check_ownership, create_sender, delete_sender, new_sender, update_sender
from chappe.senders.verdict import Finding, check, choose, fault, findings
from chappe.text.confusable import fold

if TYPE_CHECKING:
    from chappe.runtime import Runtime

EXPIRY_EVERY_S = 3600.0


async def start(rt: Runtime) -> None:
    """Read the room's tables, follow them, and have one node watch what expires; before `rt.jobs.start`."""
    await room.start(rt)
    rt.jobs.every("senders.expiry", EXPIRY_EVERY_S, watch_expiry)


__all__ = [
    "DEFAULTS",
    "MAX_DOCUMENT",
    "POOLS",
    "PREFIX",
    "PROTECTED",
    "ROOM",
    "SENDERS",
    "STATES",
    "Book",
    "Brand",
    "BrandDetails",
    "Campaign",
    "CampaignDetails",
    "CampaignStatus",
    "Capabilities",
    "CarrierStatus",
    "Default",
    "Document",
    "Enforcement",
    "Fees",
    "Finding",
    "IdentityStatus",
    "Key",
    "Kind",
    "Names",
    "Overrides",
    "Particulars",
    "Per",
    "Pool",
    "Protected",
    "Registration",
    "Ring",
    "Rule",
    "Sender",
    "State",
    "Step",
    "Throughput",
    "Word",
    "add_document",
    "all_rules",
    "approve",
    "book",
    "brand_named",
    "campaign_named",
    "canonical",
    "capabilities",
    "check",
    "check_ownership",
    "check_protected",
    "choose",
    "create_brand",
    "create_campaign",
    "create_default",
    "create_pool",
    "create_protected",
    "create_registration",
    "create_sender",
    "defaults_of",
    "delete_brand",
    "delete_campaign",
    "delete_default",
    "delete_document",
    "delete_pool",
    "delete_protected",
    "delete_registration",
    "delete_sender",
    "documents_of",
    "fault",
    "findings",
    "fold",
    "found_brand",
    "found_campaign",
    "found_default",
    "found_pool",
    "found_protected",
    "found_registration",
    "history",
    "kind_of",
    "lookalikes",
    "new_sender",
    "owner",
    "pools_of",
    "read_document",
    "reject",
    "resume",
    "review",
    "rules_of",
    "submit",
    "suspend",
    "update_brand",
    "update_campaign",
    "update_default",
    "update_pool",
    "update_protected",
    "update_registration",
    "update_sender",
    "watch_expiry",
    "withdraw",
    "words_of",
]
