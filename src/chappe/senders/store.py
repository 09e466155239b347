"""Tables of senders, and of what belongs to them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.senders.model import Sender
from chappe.senders.pools import Default, Pool
from chappe.senders.protect import Protected
from chappe.senders.registrations import Document, Registration
from chappe.senders.ten_dlc import Brand, Campaign
from chappe.storage import Store, sql, update_many
from chappe.storage.schema import Bytes, Id, Int, Json, Millis, Small, Text, key, metadata, optional, required

ROOM = "senders"

senders = sa.Table(
    "senders",
    metadata,
    key("id"),
    required("account_id", Id),
    required("address", Text),
    required("kind", Text),
    required("countries", Json),
    required("status", Text),
    required("inbound", Small),
    required("connector_ids", Json),
    required("created_at", Millis),
    required("overrides", Json, "'{}'"),
    optional("campaign_id", Id),
    sa.Index("senders_address", "account_id", "address", unique=True),
)

registrations = sa.Table(
    "sender_registrations",
    metadata,
    key("id"),
    required("account_id", Id),
    required("sender_id", Id),
    required("country", Text),
    required("operator", Text),
    required("state", Text),
    required("particulars", Json),
    optional("fees", Json),
    optional("reference", Text),
    optional("reason", Text),
    optional("submitted_by", Text),
    optional("requested_at", Millis),
    optional("approved_at", Millis),
    optional("valid_until", Millis),
    optional("warned_at", Millis),
    required("created_at", Millis),
    required("version", Int),
    sa.Index("sender_registrations_place", "sender_id", "country", "operator", unique=True),
)

documents = sa.Table(
    "sender_documents",
    metadata,
    key("id"),
    required("account_id", Id),
    required("registration_id", Id),
    required("name", Text),
    required("media_type", Text),
    required("size", Int),
    required("sha256", Text),
    required("created_at", Millis),
    required("created_by", Text),
    required("content", Bytes),
)

pools = sa.Table(
    "sender_pools",
    metadata,
    key("id"),
    required("account_id", Id),
    required("name", Text),
    required("sender_ids", Json),
    required("created_at", Millis),
    sa.Index("sender_pools_name", "account_id", "name", unique=True),
)

defaults = sa.Table(
    "sender_defaults",
    metadata,
    key("id"),
    required("account_id", Id),
    required("country", Text),
    required("sender", Text),
    required("created_at", Millis),
    sa.Index("sender_defaults_country", "account_id", "country", unique=True),
)

protected = sa.Table(
    "protected_senders",
    metadata,
    key("id"),
    required("name", Text),
    required("account_ids", Json),
    required("countries", Json),
    required("contained", Small),
    required("created_at", Millis),
    sa.Index("protected_senders_name", "name", unique=True),
)

brands = sa.Table(
    "ten_dlc_brands",
    metadata,
    key("id"),
    required("account_id", Id),
    required("reference", Text),
    required("details", Json),
    optional("registry_id", Text),
    required("identity_status", Text),
    optional("vetting_score", Int),
    required("created_at", Millis),
    sa.Index("ten_dlc_brands_reference", "account_id", "reference", unique=True),
)

campaigns = sa.Table(
    "ten_dlc_campaigns",
    metadata,
    key("id"),
    required("account_id", Id),
    required("brand_id", Id),
    required("reference", Text),
    required("details", Json),
    optional("registry_id", Text),
    required("status", Text),
    required("carriers", Json),
    required("created_at", Millis),
    sa.Index("ten_dlc_campaigns_reference", "account_id", "reference", unique=True),
)


class _Filed(Records[Registration]):
    """Of two who change one at the same time the second gets a conflict, not the last word."""

    def __init__(self) -> None:
        super().__init__(ROOM, "sender_registration", "srg", registrations, Registration, json=("particulars", "fees"))
        others = [column.name for column in registrations.columns if column.name != "id"]
        self._update = update_many(registrations, ("id",), others, guard="t.version = u.version - 1")


class _Papers(Records[Document]):
    """Documents stay in the store: what lies in memory has no `content`."""

    async def load(self, store: Store) -> list[Document]:
        return [Document(*row) for row in await store.scan(_METADATA())]


_METADATA = sql(
    "select id, account_id, registration_id, name, media_type, size, sha256, created_at, created_by "
    "from sender_documents order by id"
)
_CONTENT = sql("select content from sender_documents where id = :id")

# the audit log is written in the unit of each change, so it is the history too
_HISTORY = sql(
    "select at, actor, action, before, after from audit_log "
    "where account_id = :account_id and id >= :since and kind = 'sender_registration' and object = :object order by id"
)

SENDERS = Records(ROOM, "sender", "snd", senders, Sender, json=("countries", "connector_ids", "overrides"))
REGISTRATIONS = _Filed()
DOCUMENTS = _Papers(ROOM, "sender_document", "sdc", documents, Document, secret=("content",))
POOLS = Records(ROOM, "sender_pool", "spl", pools, Pool, json=("sender_ids",))
DEFAULTS = Records(ROOM, "sender_default", "sdf", defaults, Default)
PROTECTED = Records(ROOM, "protected_sender", "spr", protected, Protected, json=("account_ids", "countries"))
BRANDS = Records(ROOM, "ten_dlc_brand", "tdb", brands, Brand, json=("details",))
CAMPAIGNS = Records(ROOM, "ten_dlc_campaign", "tdc", campaigns, Campaign, json=("details", "carriers"))


async def content_of(store: Store, document_id: int) -> bytes | None:
    """What is in a document."""
    rows = await store.scan(_CONTENT({"id": document_id}))
    return bytes(rows[0][0]) if rows else None


async def history_of(store: Store, registration: Registration, since: int) -> list[tuple[Any, ...]]:
    """(at, actor, action, before, after) of every change, oldest first; `since` is the id to look from."""
    bind = {
        "account_id": registration.account_id,
        "since": since,
        "object": REGISTRATIONS.public(registration.id),
    }
    return await store.scan(_HISTORY(bind))
