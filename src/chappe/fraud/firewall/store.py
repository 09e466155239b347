"""Tables of the firewall: policies, reviews, the messages that wait for one, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.fraud.firewall.policy import PolicyLayer
from chappe.fraud.firewall.review import Review
from chappe.fraud.store import ROOM
from chappe.storage import Op, Statement, Store, delete_many, insert_many, sql, update_many
from chappe.storage.schema import (
    Id,
    Int,
    Json,
    Millis,
    Small,
    Text,
    key,
    metadata,
    optional,
    partial_index,
    required,
)

REVIEWS_ROOM = "fraud_reviews"

content_policies = sa.Table(
    "content_policies",
    metadata,
    key("id"),
    required("account_id", Id),  # 0: everybody's
    required("by_operator", Small),
    required("layer", Json),
    required("changed_at", Millis),
    sa.Index("content_policies_account", "account_id", "by_operator", unique=True),
)

# one row for texts that are one to a reviewer; opened again when what was decided is out of date
content_reviews = sa.Table(
    "content_reviews",
    metadata,
    key("account_id"),
    key("digest", Text),
    key("sender", Text),
    required("id", Id),
    required("state", Text),
    required("sample", Text),
    required("country", Text),
    required("purpose", Text),
    required("findings", Json),
    required("count", Int),  # messages that came, all in all
    required("opened_at", Millis),
    optional("until", Millis),  # how long the decision is remembered
    optional("decided_at", Millis),
    optional("decided_by", Text),
    required("note", Text),
    required("unsettled", Small),  # decided, and messages may still wait for it
    required("revision", Int),
    sa.Index("content_reviews_id", "id", unique=True),
    sa.Index("content_reviews_account", "account_id", "id"),
    partial_index("content_reviews_open", "id", where="state = 'open'"),
    partial_index("content_reviews_unsettled", "id", where="unsettled = 1"),
)

content_held = sa.Table(
    "content_held",
    metadata,
    key("message_id"),
    required("account_id", Id),
    required("digest", Text),
    required("sender", Text),
    required("settled", Small),  # 1: let go, and perhaps not sent yet
    sa.Index("content_held_review", "account_id", "digest", "sender", "settled", "message_id"),
    partial_index("content_held_let_go", "message_id", where="settled = 1"),
)

content_counts = sa.Table(
    "content_counts",
    metadata,
    key("day", Int),  # since 1970, UTC
    key("account_id"),
    key("verdict", Text),
    key("code", Text),
    required("count", Id),
)

_REVIEW = ", ".join(f"r.{column.name}" for column in content_reviews.columns)
_OF = "account_id = :account_id and digest = :digest and sender = :sender"
_KEY = ("account_id", "digest", "sender")


@lru_cache
def _reviews_like(columns: tuple[str, ...]) -> Statement:
    """The newest with these columns; each of both is asked for by an index of its own."""
    same = "".join(f" and r.{column} = :{column}" for column in columns)
    text = f"select {_REVIEW} from content_reviews r where r.id < :before{same} order by r.id desc limit :limit"
    return sql(text, name="reviews")


class _Reviews(Records[Review]):
    """In memory is what was decided and is still remembered."""

    def __init__(self) -> None:
        super().__init__(REVIEWS_ROOM, "content_review", "crv", content_reviews, Review, json=("findings",))
        to = ("state", "until", "decided_at", "decided_by", "note", ("unsettled", "1"), "revision")
        self._decide = update_many(content_reviews, _KEY, to, guard="t.revision = u.revision - 1")
        self._one = sql(f"select {_REVIEW} from content_reviews r where r.id = :id", name="review")
        self._unsettled = sql(
            f"select {_REVIEW} from content_reviews r where r.unsettled = 1 order by r.id limit :limit"
        )
        self._open = sql(
            f"select {_REVIEW} from content_reviews r where r.state = 'open' and r.id > :after "
            "order by r.id limit :limit",
            name="open reviews",
        )

    def update(self, values: Sequence[Review]) -> Op:
        """Of two who decide at the same time the second gets a conflict."""
        rows = [
            (r.account_id, r.digest, r.sender, r.state, r.until, r.decided_at, r.decided_by, r.note, r.revision)
            for r in values
        ]
        return self._decide(rows, expect=len(rows))

    async def listed(
        self, store: Store, account_id: int | None, state: str | None, before: int, limit: int
    ) -> list[Review]:
        """Newest first."""
        bind = {"account_id": account_id, "state": state}
        asked = {name: value for name, value in bind.items() if value is not None}
        statement = _reviews_like(tuple(asked))
        return [self._value(row) for row in await store.scan(statement({**asked, "before": before, "limit": limit}))]

    async def one(self, store: Store, review_id: int) -> Review | None:
        rows = await store.read(self._one({"id": review_id}))
        return self._value(rows[0]) if rows else None

    async def unsettled(self, store: Store, limit: int) -> list[Review]:
        return [self._value(row) for row in await store.scan(self._unsettled({"limit": limit}))]

    async def open(self, store: Store, after: int, limit: int) -> list[Review]:
        """Those with ids above `after`, the oldest first."""
        return [self._value(row) for row in await store.scan(self._open({"after": after, "limit": limit}))]


POLICIES = Records(ROOM, "content_policy", "cpo", content_policies, PolicyLayer, json=("layer",))
REVIEWS = _Reviews()

# -- holding -------------------------------------------------------------------------------------------------------
# first: what was decided there is out of date, or was ended; it begins anew
REOPEN = update_many(
    content_reviews,
    _KEY,
    (
        "id",
        "sample",
        "country",
        "purpose",
        "findings",
        "opened_at",
        ("state", "'open'"),
        ("count", "0"),
        ("until", "null"),
        ("decided_at", "null"),
        ("decided_by", "null"),
        ("note", "''"),
        ("unsettled", "0"),
        ("revision", "t.revision + 1"),
    ),
    "t.state in ('expired', 'withdrawn') or (t.state in ('approved', 'rejected') and t.until < u.opened_at)",
)
OPEN = insert_many(content_reviews, adding=("count",))
HELD_BEFORE = delete_many(content_held, ("message_id",))
HELD = insert_many(content_held)

# -- settling ------------------------------------------------------------------------------------------------------
DECIDED = sql(
    "select account_id, digest, sender, state, until, note from content_reviews "
    "where state in ('approved', 'rejected') and until > :now",
    name="decided reviews",
)
APPROVED = sql("select account_id, count(*) from content_reviews where state = 'approved' group by account_id")
HELD_OF = sql(
    f"select message_id from content_held where {_OF} and settled in each(:settled, bigint) "
    "order by settled, message_id limit :limit",
    name="held of",
)
COUNT_HELD = sql(f"select count(*) from content_held where {_OF} and settled = 0", name="count held")
LET_GO = update_many(content_held, ("message_id",), (("settled", "1"),), "t.settled = 0")
NO_LONGER_HELD = delete_many(content_held, ("message_id",))
SETTLED = update_many(content_reviews, _KEY, (("unsettled", "0"),), "t.revision = u.revision")
EXPIRED = update_many(
    content_reviews,
    _KEY,
    (("state", "'expired'"), "decided_at", ("revision", "t.revision + 1")),
    "t.state = 'open' and t.count = u.count and t.revision = u.revision",
)
HELD_IN_REVIEW = sql(
    "select r.id, r.state from content_held h join content_reviews r on r.account_id = h.account_id "
    "and r.digest = h.digest and r.sender = h.sender where h.message_id = :message_id and h.settled = 0",
    name="held in review",
)
OLDEST_OPEN = sql("select count(*), min(opened_at) from content_reviews where state = 'open' and opened_at < :before")
FORGET = sql(
    "delete from content_reviews where id in (select id from content_reviews where state <> 'open' "
    "and unsettled = 0 and decided_at < :before and coalesce(until, 0) < :now limit :limit)",
    name="forget reviews",
)
LET_GO_SLICE = sql(
    "select message_id from content_held where settled = 1 and message_id > :after order by message_id limit :limit",
    name="let go",
)

# -- counting ------------------------------------------------------------------------------------------------------
ADD_COUNTS = insert_many(content_counts, adding=("count",))
COUNTS = sql(
    "select day, verdict, code, count from content_counts where account_id = :account_id "
    "and day in each(:days, bigint) order by day desc, verdict, code",
    name="content counts",
)
FORGET_COUNTS = sql("delete from content_counts where day < :before")
TOTALS = sql(
    "select account_id, day, cast(sum(count) as bigint) from content_counts where day in each(:days, bigint) "
    "and verdict in ('allow', 'review', 'block') group by account_id, day",
    name="content totals",
)
