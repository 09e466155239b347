"""`chappe backup` of a Chappe that is served, and what a restore needs."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_a_served_store_is_backed_up_and_opens_elsewhere(command: Command, data: Path, tmp_path: Path) -> None:
    before = command("keys", "list", CHAPPE_DATA_DIR=str(data))
    copy, key = tmp_path / "monday.db", tmp_path / "monday.key"
    made = command("backup", str(copy), "--key", str(key), CHAPPE_DATA_DIR=str(data))
    assert (made.code, made.stderr) == (0, "")
    assert "complete and without a fault" in made.stdout and "keep them apart" in made.stdout
    assert key.stat().st_mode & 0o777 == 0o600
    restored = {"CHAPPE_DATA_DIR": str(tmp_path / "restored"), "CHAPPE_DATABASE": f"sqlite:///{copy}"}
    assert command("keys", "list", **restored, CHAPPE_SECRET_KEY_FILE=str(key)).stdout == before.stdout
    assert "secrets" not in command("export", **restored, CHAPPE_SECRET_KEY_FILE=str(key)).stderr


def test_a_backup_says_that_the_key_is_not_in_it(command: Command, data: Path, tmp_path: Path) -> None:
    made = command("backup", str(tmp_path / "monday.db"), CHAPPE_DATA_DIR=str(data))
    assert "secret key is not in it" in made.stdout and str(data / "secret.key") in made.stdout
    again = command("backup", str(tmp_path / "monday.db"), CHAPPE_DATA_DIR=str(data))
    assert again.code == 1 and "exists" in again.stderr


def test_postgresql_has_programs_of_its_own(command: Command, tmp_path: Path) -> None:
    refused = command("backup", str(tmp_path / "monday.db"), CHAPPE_DATABASE="postgresql://there/chappe")
    assert refused.code == 1 and "pg_dump" in refused.stderr
