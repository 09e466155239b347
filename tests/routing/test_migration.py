"""Routes of the version before keep what they did."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import command

from chappe.storage import migrate


def test_a_route_keeps_all_its_fallbacks(empty_store_url: str) -> None:
    """Its messages went on to each of them; the new limit is four connectors unless the route says otherwise."""

    def before(db: sa.Connection) -> None:
        command.upgrade(migrate._config(db), "0008")
        for number, fallbacks in ((1, []), (2, [1, 2, 3]), (3, [1, 2, 3, 4, 5])):
            db.exec_driver_sql(
                "insert into routes (id, name, position, prefix, purposes, senders, connector_id, "
                "fallback_connector_ids, status, test, created_at) "
                f"values ({number}, 'r{number}', 1, '', '[]', '[]', 9, '{json.dumps(fallbacks)}', 'active', 0, 0)"
            )

    migrate._locked(empty_store_url, before)
    migrate.upgrade(empty_store_url)
    query = "select id, most_attempts, match, groups, allow_loss from routes order by id"
    rows = migrate._locked(empty_store_url, lambda db: [tuple(row) for row in db.exec_driver_sql(query)])
    assert rows == [(1, 4, "{}", "[]", 0), (2, 4, "{}", "[]", 0), (3, 6, "{}", "[]", 0)]
