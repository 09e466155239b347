"""PostgreSQL tidies the tables whose rows come and go early and without rests; claims of deliveries stay on their page.

By default it waits until a fifth of a table is dead, which is much of a queue of a million rows, and rests after every
few pages. Leased deliveries change in columns that no index has: with room on the page no index grows by it.
https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-STORAGE-PARAMETERS
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0003"

# tables that are small when all is well; `parts` and `webhook_deliveries` keep theirs for days, so they are not hurried
_QUICK = "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0"
_LARGE = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000"
_ANALYZE = "autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 1000"
_ROOM = "fillfactor = 70"
_STORAGE = {
    "queue": f"{_QUICK}, {_ANALYZE}",
    "events": f"{_QUICK}, {_ANALYZE}",
    "event_cursors": _QUICK,
    "smsc_deliveries": f"{_QUICK}, {_ANALYZE}, {_ROOM}",
    "jobs": f"{_QUICK}, {_ANALYZE}, {_ROOM}",
    "idempotency": _QUICK,
    "parked_receipts": _QUICK,
    "parts": _LARGE,
    "webhook_deliveries": _LARGE,
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, storage in _STORAGE.items():
            op.execute(f"alter table {table} set ({storage})")
