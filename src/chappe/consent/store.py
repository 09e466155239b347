"""Tables of consents and refusals. They are found by a person's key alone: the account is within the key."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.storage import delete_many, insert_many, sql, update_many
from chappe.storage.schema import Bytes, Id, Json, Millis, Small, Text, key, metadata, optional, partial_index, required

entries = sa.Table(
    "consent_entries",
    metadata,
    key("id"),
    required("account_id", Id),
    required("test", Small),
    required("person_key", Id),
    required("event", Text),
    required("channel", Text),
    required("purpose", Text),
    required("brand", Text),
    required("basis", Text),
    required("source", Text),
    required("at", Millis),
    optional("expires_at", Millis),
    required("commitment", Bytes),  # SHA-256 over the salt and what is in `proof`
    optional("salt", Bytes),  # both are null once the person is forgotten
    optional("proof", Json),
    optional("sequence", Id),  # its place in the account's chain, and the hash up to there: null until it is sealed
    optional("hash", Bytes),
    sa.Index("consent_entries_person", "person_key", "id"),
    sa.Index("consent_entries_chain", "account_id", "test", "sequence", unique=True),
    partial_index("consent_entries_unsealed", "id", where="sequence is null"),
)

consents = sa.Table(
    "consents",
    metadata,
    key("person_key"),
    key("channel", Text),
    key("purpose", Text),
    key("brand", Text),
    required("account_id", Id),
    required("test", Small),
    optional("person", Text),
    required("state", Text),
    required("basis", Text),
    required("source", Text),
    required("at", Millis),
    optional("expires_at", Millis),
    required("entry_id", Id),
    sa.Index("consents_account", "account_id", "test", "entry_id"),
    sqlite_with_rowid=False,
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    key("id"),
    required("person_key", Id),
    required("account_id", Id),  # 0: of all accounts
    required("test", Small),
    optional("person", Text),
    required("channel", Text),
    required("scope", Text),
    required("value", Text),
    required("covers", Text),
    required("reason", Text),
    required("source", Text),
    required("list_name", Text),
    required("note", Text),
    required("created_at", Millis),
    optional("expires_at", Millis),
    optional("entry_id", Id),
    # one for each source: what one list lets go the other still holds
    sa.Index("suppressions_person", "person_key", "channel", "scope", "value", "reason", "list_name", unique=True),
    sa.Index("suppressions_account", "account_id", "test", "id"),
    partial_index("suppressions_expiry", "expires_at", where="expires_at is not null"),
)

touches = sa.Table(  # when a person got, or will get, a message that counts for how many they may get
    "consent_touches",
    metadata,
    key("person_key"),
    key("message_id"),
    required("at", Millis),
    sa.Index("consent_touches_age", "at"),
    sqlite_with_rowid=False,
)

ADD_ENTRIES = insert_many(entries, [c.name for c in entries.columns if c.name not in ("sequence", "hash")])

# one question for all that is asked of a batch; the second column tells which of the two a row is of
ASK = sql(
    """select person_key, 0, id, channel, scope, value, covers, reason, expires_at from suppressions
    where person_key in each(:all, bigint)
    union all
    select person_key, 1, entry_id, channel, purpose, brand, state, basis, expires_at from consents
    where person_key in each(:marketing, bigint)""",
    name="may send",
)
# of what was said before only: an old consent that is found again lifts no refusal
_EARLIER = "t.at <= u.at"
ADD_CONSENTS = insert_many(consents, ignore=True)
CHANGE_CONSENTS = update_many(
    consents,
    ("person_key", "channel", "purpose", "brand"),
    ("person", "state", "basis", "source", "at", "expires_at", "entry_id"),
    _EARLIER,
)
# a refusal of everything withdraws what was given for a single channel or brand
WITHDRAW = update_many(
    consents,
    ("person_key",),
    (("state", "'withdrawn'"), "source", "at", "entry_id"),
    f"{_EARLIER} and u.channel in ('any', t.channel) and t.purpose = u.purpose and u.brand in ('', t.brand)",
)
LIFT = delete_many(  # `value` is a brand, or none
    suppressions,
    ("person_key",),
    "t.reason in ('opt_out', 'erased') and t.created_at <= u.created_at"
    " and (u.channel = 'any' or t.channel in ('any', u.channel))"
    " and (u.value = '' or t.scope <> 'brand' or t.value = u.value)",
)
SINCE = sql("select distinct person_key from suppressions where id > :after limit :limit", name="suppressed since")
TOUCHED = sql(
    "select person_key, message_id, at from consent_touches where person_key in each(:keys, bigint) and at > :since",
    name="touched",
)
ADD_TOUCHES = insert_many(touches, ignore=True)
DROP_TOUCHES = delete_many(touches, ("person_key", "message_id"))
PRUNE_TOUCHES = sql("delete from consent_touches where at < :before", name="prune touches")
SUPPRESSION_COLUMNS = tuple(column.name for column in suppressions.columns)
ADD_SUPPRESSIONS = insert_many(suppressions, ignore=True)
# what is there may become stricter only: more purposes, for longer
STRENGTHEN = update_many(
    suppressions,
    ("person_key", "channel", "scope", "value", "reason", "list_name"),
    (
        (
            "covers",
            "case when 'all' in (t.covers, u.covers) then 'all' "
            "when 'all_but_otp' in (t.covers, u.covers) then 'all_but_otp' else t.covers end",
        ),
        (
            "expires_at",
            "case when t.expires_at is null or u.expires_at is null then null "
            "when t.expires_at > u.expires_at then t.expires_at else u.expires_at end",
        ),
    ),
)
