"""Migrations lead to exactly the tables that the rooms declare, on both engines, also when several processes start."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from structlog.testing import capture_logs

from chappe.storage import Unavailable, migrate
from chappe.storage.migrations import autogenerate

REGENERATE = "the rooms declare other tables: run python -m chappe.storage.migrations.autogenerate (see its docstring)"


def test_the_migrated_schema_is_what_the_rooms_declare(empty_store_url: str) -> None:
    declared = autogenerate.import_rooms()
    migrate.upgrade(empty_store_url)
    assert migrate._locked(empty_store_url, lambda connection: _differences(connection, declared)) == [], REGENERATE


def test_no_migration_is_left_to_write(tmp_path: Path) -> None:
    autogenerate.import_rooms()
    url = f"sqlite:///{tmp_path}/chappe.db"
    migrate.upgrade(url)
    with pytest.raises(SystemExit, match="already has everything"):
        autogenerate.render(url, revision="9999", down_revision=migrate.head(), message="nothing")


def test_a_new_table_is_rendered_into_a_migration_that_makes_it(tmp_path: Path) -> None:
    declared = autogenerate.import_rooms()
    url = f"sqlite:///{tmp_path}/chappe.db"
    migrate.upgrade(url)
    extra = sa.Table("extra", declared, sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False))
    try:
        source = autogenerate.render(url, revision="9999", down_revision=migrate.head(), message="Extra.")
    finally:
        declared.remove(extra)
    compile(source, "9999_extra.py", "exec")
    assert "op.create_table('extra'" in source
    assert source.count("create_table") == 1


def test_upgrading_twice_changes_nothing_and_is_reported(empty_store_url: str) -> None:
    assert migrate.current(empty_store_url) is None
    assert migrate.pending(empty_store_url)[-1] == migrate.head()
    migrate.upgrade(empty_store_url)
    migrate.upgrade(empty_store_url)
    assert migrate.current(empty_store_url) == migrate.head()
    assert migrate.pending(empty_store_url) == []


def test_processes_that_start_at_once_migrate_once(empty_store_url: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            migrate.upgrade(empty_store_url)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert migrate.pending(empty_store_url) == []


def test_asking_a_missing_file_does_not_make_it(tmp_path: Path) -> None:
    assert migrate.current(f"sqlite:///{tmp_path}/none.db") is None
    assert list(tmp_path.iterdir()) == []


def test_a_newer_versions_database_serves_this_one_with_a_warning(empty_store_url: str) -> None:
    """As while a cluster is renewed node by node: migrations only add."""
    migrate.upgrade(empty_store_url)

    def as_of_tomorrow(db: sa.Connection) -> None:
        db.exec_driver_sql("alter table nodes add column mood text not null default 'good'")
        db.exec_driver_sql("update alembic_version set version_num = '9999'")

    migrate._locked(empty_store_url, as_of_tomorrow)
    assert migrate.pending(empty_store_url) == []
    with capture_logs() as logs:
        migrate.upgrade(empty_store_url)
    assert [(line["log_level"], line["at"]) for line in logs] == [("warning", "9999")]
    assert migrate.current(empty_store_url) == "9999"


def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        migrate.upgrade("postgresql://nobody:wrong@127.0.0.1:1/none")


def _differences(connection: sa.Connection, declared: sa.MetaData) -> list[Any]:
    """Tables, columns, types, nullability and indexes that differ; partitions are no tables of ours."""
    partitions: set[str] = set()
    if connection.dialect.name == "postgresql":
        partitions = set(connection.exec_driver_sql("select inhrelid::regclass::text from pg_inherits").scalars())

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in partitions

    options = {"compare_type": True, "include_name": ours, "target_metadata": declared}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), declared)
    return [difference for difference in found if difference[0] != "remove_table" or "alembic" not in str(difference)]
