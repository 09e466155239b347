"""What `chappe migrate copy` says when it must not begin."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_a_served_store_is_not_copied(command: Command, data: Path, postgres_dsn: str) -> None:
    refused = command("migrate", "copy", "--to", postgres_dsn, CHAPPE_DATA_DIR=str(data))
    assert refused.code == 1 and "another process serves" in refused.stderr and "Stop it first" in refused.stderr


def test_a_target_that_is_none_is_named(command: Command, tmp_path: Path) -> None:
    assert command("migrate", CHAPPE_DATA_DIR=str(tmp_path)).code == 0
    refused = command("migrate", "copy", "--to", "sqlite:///other.db", CHAPPE_DATA_DIR=str(tmp_path))
    assert refused.code == 1 and "the target must be postgresql://" in refused.stderr
    missing = command("migrate", "copy", "--from", "sqlite:///none.db", "--to", "postgresql://there/chappe")
    assert missing.code == 1 and "no embedded store" in missing.stderr
