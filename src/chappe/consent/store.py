"""Tables of consents and refusals. They are found by a person's key alone: the account is within the key."""

from __future__ import annotations

from functools import lru_cache

import sqlalchemy as sa

from chappe.storage import Statement, delete_many, insert_many, sql, update_many
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
    sa.Index("suppressions_account", "test", "account_id", "id"),
    partial_index("suppressions_expiry", "expires_at", where="expires_at is not null"),
)

ADD_ENTRIES = insert_many(entries, [c.name for c in entries.columns if c.name not in ("sequence", "hash")])

# one question for all that is asked of a batch; the second column tells which of the two a row is of
ASK = sql(
    """select person_key, 0, id, channel, scope, value, covers, reason, expires_at from suppressions
    where person_key in each(:people, bigint)
    union all
    select person_key, 1, entry_id, channel, purpose, brand, state, null, expires_at from consents
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
        (  # what was refused again is lifted by what was said after that only
            "created_at",
            "case when t.reason in ('opt_out', 'erased') and u.created_at > t.created_at "
            "then u.created_at else t.created_at end",
        ),
    ),
    "t.covers <> u.covers or t.expires_at is not null"
    " or (t.reason in ('opt_out', 'erased') and u.created_at > t.created_at)",
)

# -- links, and what a person may see and undo ---------------------------------------------------------------------
links = sa.Table(  # of messages whose rows are gone
    "consent_links",
    metadata,
    key("message_id"),
    required("account_id", Id),
    required("test", Small),
    required("person_key", Id),
    required("sender", Text),
    required("until", Millis),
    sa.Index("consent_links_until", "until"),
)

KEEP_LINKS = insert_many(links, ignore=True)
KEPT_LINK = sql(
    "select message_id, account_id, test, person_key, sender from consent_links where message_id = :message_id",
    name="kept link",
)
FORGET_LINKS = sql(
    "delete from consent_links where message_id in "
    "(select message_id from consent_links where until <= :now order by until limit :limit)",
    name="forget links",
)
ENTRIES_OF = sql(
    """select id, event, channel, purpose, brand, basis, source, at, expires_at, proof from consent_entries
    where person_key = :key order by id desc limit :limit""",
    name="entries of a person",
)
REFUSALS_OF = sql(
    """select id, channel, scope, value, covers, reason, list_name from suppressions
    where person_key = :key and expires_at is null order by id""",
    name="refusals of a person",
)
CHANGED_BY = sql(
    "select channel, purpose, brand from consents where person_key = :key and entry_id = :entry_id",
    name="consents changed by",
)
RESTORE_CONSENT = sql(
    """update consents set state = :state, basis = :basis, source = :source, at = :at, expires_at = :expires_at,
    entry_id = :was where person_key = :key and channel = :channel and purpose = :purpose and brand = :brand
    and entry_id = :entry_id""",
    name="restore consent",
)
DROP_CONSENTS = delete_many(consents, ("person_key", "channel", "purpose", "brand"), "t.entry_id = u.entry_id")
DROP_REFUSALS_OF = delete_many(suppressions, ("person_key", "entry_id"))
DROP_REFUSALS = delete_many(suppressions, ("person_key", "id"))
SOFTEN = update_many(suppressions, ("person_key", "id"), ("covers",))

# -- the chain -----------------------------------------------------------------------------------------------------

chains = sa.Table(  # the end of each account's chain: a shortened one is noticed
    "consent_chains",
    metadata,
    key("account_id"),
    key("test", Small),
    required("sequence", Id),
    required("hash", Bytes),
    sqlite_with_rowid=False,
)

_PUBLIC = "id, account_id, test, event, channel, purpose, brand, basis, source, at, expires_at, commitment"
UNSEALED = sql(
    f"select {_PUBLIC} from consent_entries where sequence is null order by id limit :limit", name="unsealed consents"
)
HEADS = sql(
    "select account_id, test, sequence, hash from consent_chains where account_id in each(:account_ids, bigint)",
    name="heads of chains",
)
ALL_HEADS = sql("select account_id, test, sequence, hash from consent_chains", name="all heads of chains")
BEGIN_CHAINS = insert_many(chains, ignore=True)
MOVE_CHAINS = update_many(chains, ("account_id", "test"), ("sequence", "hash"), "t.sequence < u.sequence")
SEAL = update_many(entries, ("id",), ("sequence", "hash"), "t.sequence is null")
CHAINED = sql(
    f"""select {_PUBLIC}, sequence, hash, salt, proof, person_key from consent_entries
    where account_id = :account_id and test = :test and sequence > :after and sequence <= :until
    order by sequence limit :limit""",
    name="chain of consents",
)
NEXT_CHAIN = sql(  # by the index, from one to the next
    """select account_id, test from consent_entries where (account_id, test) > (:account_id, :test)
    order by account_id, test limit 1""",
    name="next chain",
)
COUNT_UNSEALED = sql(
    """select count(*), min(id) from consent_entries
    where account_id = :account_id and test = :test and sequence is null and id < :before""",
    name="count unsealed",
)

# -- reading -------------------------------------------------------------------------------------------------------

ENTRY = sql(
    f"select {_PUBLIC}, coalesce(sequence, 0), hash, salt, proof, person_key from consent_entries "
    "where id = :id and account_id = :account_id and test = :test",
    name="consent entry",
)
SAID = sql(
    """select person_key, event, channel, purpose, brand, at from consent_entries
    where person_key in each(:keys, bigint)""",
    name="said before",
)
_STATES = {
    "given": "state = 'given' and (expires_at is null or expires_at > :now)",
    "expired": "state = 'given' and expires_at <= :now",
    "withdrawn": "state = 'withdrawn'",
}


@lru_cache
def consents_like(state: str | None, *equal: str) -> Statement:
    """The consents of an account behind a place, newest word first; of a state, and with these columns as given."""
    wanted = [f"{column} = :{column}" for column in equal] + ([_STATES[state]] if state else [])
    return sql(
        f"""select entry_id, channel, purpose, brand, person, state, basis, source, at, expires_at from consents
        where account_id = :account_id and test = :test and entry_id <= :entry_id
        and (entry_id, channel, purpose, brand) < (:entry_id, :after_channel, :after_purpose, :after_brand)
        {"".join(f" and {one}" for one in wanted)}
        order by entry_id desc, channel desc, purpose desc, brand desc limit :limit""",
        name="consents",
    )
