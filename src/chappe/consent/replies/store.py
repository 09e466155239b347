"""Tables of replies: which are due or were given lately, and the texts of accounts."""

from __future__ import annotations

from typing import Annotated, Literal

import sqlalchemy as sa
from msgspec import Meta, Struct

from chappe.accounts import Records
from chappe.consent.store import suppressions
from chappe.storage import delete_many, insert_many, sql, update_many
from chappe.storage.schema import Id, Millis, Small, Text, key, metadata, optional, partial_index, required

EVERY_MS = 24 * 3_600_000  # a person gets one reply of a kind from a sender in so long
PENDING, GIVEN, DROPPED = 0, 1, 2

replies = sa.Table(
    "consent_replies",
    metadata,
    key("person_key"),
    key("sender", Text),  # what was written to, without a plus
    key("kind", Text),
    required("account_id", Id),
    required("test", Small),
    optional("person", Text),  # until it is answered
    required("language", Text),
    required("country", Text),
    required("inbound_id", Id),  # what it answers
    required("state", Small),
    required("tries", Small),
    required("asked_at", Millis),
    required("due_at", Millis),
    required("expires_at", Millis),
    sa.Index("consent_replies_age", "asked_at"),
    partial_index("consent_replies_due", "due_at", where="state = 0"),
    sqlite_with_rowid=False,
)

reply_texts = sa.Table(
    "consent_reply_texts",
    metadata,
    key("id"),
    required("account_id", Id),
    required("kind", Text),
    required("language", Text),
    required("text", Text),
    required("created_at", Millis),
    sa.Index("consent_reply_texts_one", "account_id", "kind", "language", unique=True),
)


class ReplyText(Struct, frozen=True):
    """What an account answers in a language (empty: in all others), or its `name` and help `contact` in ours."""

    id: int
    account_id: int
    kind: Literal["stop", "help", "start", "name", "contact"]
    language: Annotated[str, Meta(pattern=r"^([a-z]{2})?$")]
    text: Annotated[str, Meta(min_length=1, max_length=306)]  # two segments
    created_at: int


# the consent room's: nothing of it is kept in memory
REPLY_TEXTS = Records("consent", "opt_out_reply", "rpl", reply_texts, ReplyText)
OWN_TEXTS = sql(
    "select id, account_id, kind, language, text, created_at from consent_reply_texts "
    "where account_id in each(:accounts, bigint) order by id",
    name="reply texts",
)

COLUMNS = tuple(column.name for column in replies.columns)
ADD_REPLIES = insert_many(replies, ignore=True)
# of two nodes that hear the same, one answers; and nobody is answered twice a day
RENEW_REPLIES = update_many(
    replies, ("person_key", "sender", "kind"), COLUMNS[3:], f"t.asked_at + {EVERY_MS} <= u.asked_at"
)
DUE_REPLIES = sql(
    f"select {', '.join(COLUMNS)} from consent_replies "
    f"where state = {PENDING} and due_at <= :now order by due_at limit :limit",
    name="due replies",
)
CLOSE_REPLIES = update_many(
    replies,
    ("person_key", "sender", "kind"),
    ("state", ("person", "null")),
    f"t.state = {PENDING} and t.inbound_id = u.inbound_id",
)
POSTPONE_REPLIES = update_many(
    replies,
    ("person_key", "sender", "kind"),
    ("tries", "due_at"),
    f"t.state = {PENDING} and t.inbound_id = u.inbound_id",
)
PRUNE_REPLIES = sql(
    "delete from consent_replies where (person_key, sender, kind) in "
    f"(select person_key, sender, kind from consent_replies where asked_at < :before and state <> {PENDING} "
    "order by asked_at limit :limit)",
    name="prune replies",
)

# -- what was said before, for who says something now --------------------------------------------------------------
SAID_BEFORE = sql(
    """select person_key, 0, sender, kind, '', asked_at from consent_replies where person_key in each(:keys, bigint)
    union all
    select person_key, 1, scope, value, covers, 0 from suppressions
    where person_key in each(:keys, bigint) and channel = 'sms' and reason = 'opt_out' and expires_at is null
    union all
    select distinct person_key, 2, brand, '', '', 0 from consent_entries
    where person_key in each(:keys, bigint)
    and event = 'given' and purpose = 'marketing' and channel in ('any', 'sms')""",
    name="said before",
)
# who comes back to one sender has not come back to the others that they refused
LIFT_SOME = delete_many(
    suppressions,
    ("person_key", "scope", "value"),
    "t.reason in ('opt_out', 'erased') and t.channel in ('any', 'sms')",
)
