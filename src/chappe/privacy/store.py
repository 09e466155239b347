"""Tables of erasures and of the access log. Neither holds an address longer than an erasure takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from chappe.privacy.model import Access, Erasure
from chappe.storage import insert_many, sql
from chappe.storage.schema import Id, Json, Millis, Small, Text, key, metadata, optional, required

_OPEN = "status <> 'finished'"

erasures = sa.Table(
    "erasures",
    metadata,
    key("id"),
    required("account_id", Id),  # 0: of all accounts
    required("test", Small),
    required("person_key", Id),
    required("reason", Text),
    required("actor", Text),
    required("suppress", Small),
    required("status", Text),
    required("passes", Small),
    required("counts", Json),
    required("created_at", Millis),
    required("moved_at", Millis),
    optional("finished_at", Millis),
    optional("person", Text),  # until it is finished
    sa.Index("erasures_account", "account_id", "id"),
    sa.Index(
        "erasures_open",
        "account_id",
        "person_key",
        unique=True,
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    ),
)

access_log = sa.Table(
    "access_log",
    metadata,
    key("id"),
    required("account_id", Id),
    required("at", Millis),
    required("actor", Text),
    required("action", Text),
    optional("person_key", Id),
    optional("count", Id),
    sa.Index("access_log_account", "account_id", "id"),
    sa.Index("access_log_person", "person_key", "id"),
)

# -- erasures --------------------------------------------------------------------------------------------------------
_SHOWN = ", ".join(Erasure.__struct_fields__)
ADD = insert_many(erasures)
OPEN_OF = sql(
    f"select {_SHOWN} from erasures where account_id = :account_id and person_key = :person_key and {_OPEN}",
    name="open erasure",
)
ONE = sql(f"select {_SHOWN}, person from erasures where id = :id", name="erasure")
LISTED = sql(
    f"select {_SHOWN} from erasures where account_id = :account_id and id < :before order by id desc limit :limit",
    name="erasures",
)
SAVE = sql(
    "update erasures set status = :status, passes = :passes::smallint, counts = :counts, moved_at = :now::bigint "
    f"where id = :id and {_OPEN}",
    name="save erasure",
)
FINISH = sql(
    "update erasures set status = 'finished', passes = :passes::smallint, counts = :counts, moved_at = :now::bigint, "
    f"finished_at = :now::bigint, person = null where id = :id and {_OPEN}",
    name="finish erasure",
)

# -- access log ------------------------------------------------------------------------------------------------------
LOG = insert_many(access_log, ignore=True)  # who stops does not know whether what was being written is
COUNTED = sql("update access_log set count = :count::bigint where id = :id", name="access counted")
FORGET_ACCESS = sql(
    "delete from access_log where id in (select id from access_log where id < :before order by id limit :limit)",
    name="forget access",
)

# -- whose ---------------------------------------------------------------------------------------------------------
_WITH_PERSONS = ("messages", "inbound", "consent_entries", "suppressions", "webhook_deliveries", "lookup_jobs")
NEXT_ACCOUNTS = tuple(
    sql(f"select min(account_id) from {table} where account_id > :after", name=f"next account of {table}")
    for table in _WITH_PERSONS
)


def erasure(row: Sequence[Any]) -> Erasure:
    """The erasure in a row that begins with its columns."""
    fields = dict(zip(Erasure.__struct_fields__, row, strict=False))
    counts = msgspec.json.decode(fields["counts"], type=dict[str, int])
    return Erasure(**fields | {"counts": counts, "test": bool(fields["test"]), "suppress": bool(fields["suppress"])})


def access(row: Sequence[Any]) -> Access:
    return Access(*row)
