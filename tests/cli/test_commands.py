from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from chappe.cli import COMMANDS, build

FILE = """\
[[accounts]]
slug = "acme"
name = "Acme"

[[accounts.senders]]
address = "Acme"
"""


@dataclass(frozen=True, slots=True)
class Done:
    stdout: str
    stderr: str


Chappe = Callable[..., Done]


@pytest.fixture
def chappe(
    tmp_path: Path, empty_store_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Chappe:
    """Runs a command line on an empty database, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAPPE_DATABASE", empty_store_url)
    monkeypatch.setenv("CHAPPE_SECRET_KEY", "test")

    def run(*arguments: str, code: int = 0, answer: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        with pytest.raises(SystemExit) as ended:
            build(arguments)(arguments, prog_name="chappe")
        done = Done(*capsys.readouterr())
        assert ended.value.code == code, done
        return done

    return run


def test_a_file_is_applied_shown_exported_and_pruned(chappe: Chappe, tmp_path: Path) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(FILE)
    shown = chappe("apply", "acme.toml", "--dry-run").stdout
    assert shown == "+ account acme\n+ sender acme / Acme\n"
    assert chappe("apply", "acme.toml").stdout == shown + "Done: 2 created.\n"
    assert chappe("apply", "acme.toml").stdout == "Nothing to change.\n"
    assert chappe("export").stdout == FILE
    file.write_text(FILE.replace('"Acme"\n\n[[accounts.senders]]\naddress = "Acme"', '"Acme & Co"'))
    assert "Nothing was changed." in chappe("apply", "acme.toml", "--prune", code=1, answer="n\n").stderr
    done = chappe("apply", "acme.toml", "--prune", "--yes").stdout
    assert done == "~ account acme\n    name: Acme -> Acme & Co\n- sender acme / Acme\nDone: 1 updated, 1 deleted.\n"


def test_a_wrong_file_is_told_by_line_and_changes_nothing(chappe: Chappe, tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(FILE + 'contries = ["FR"]\n')
    told = chappe("apply", "acme.toml", code=1).stderr
    assert told == (
        "acme.toml:7: accounts[0].senders[0].contries: There is no field contries. Did you mean countries?\n"
    )
    assert chappe("export").stdout == ""


def test_a_key_is_shown_once_listed_and_revoked(chappe: Chappe, tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(FILE)
    chappe("apply", "acme.toml")
    made = chappe("keys", "create", "--account", "acme", "--name", "backend", "--test", "--scope", "webhooks")
    secret = made.stdout.strip()
    assert secret.startswith("ck_test_") and "\n" not in secret
    listed = chappe("keys", "list").stdout
    assert secret not in listed and secret[-4:] in listed
    key = next(word for word in listed.split() if word.startswith("key_"))
    chappe("keys", "revoke", key)
    assert "There is no key key_1." in chappe("keys", "revoke", "key_1", code=1).stderr


def test_help_lists_every_command_at_once() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", "from chappe.cli import main; main()", "--help"], capture_output=True, text=True
        )
        times.append(time.perf_counter() - start)
    assert min(times) < 0.6  # 0.15 on an idle machine
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


def test_every_listed_command_exists() -> None:
    for name in COMMANDS:
        names = {command.name for command in build([name]).registered_commands} - {None}
        groups = {group.name for group in build([name]).registered_groups}
        assert name in names | groups


def test_settings_that_cannot_be_used_are_told(chappe: Chappe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPPE_HTTP__PORT", "x")
    assert "CHAPPE_HTTP__PORT" in chappe("export", code=1).stderr
    monkeypatch.delenv("CHAPPE_HTTP__PORT")
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHAPPE_DATABASE", f"sqlite:///{tmp_path}/file/chappe.db")
    assert "The database does not answer" in chappe("export", code=1).stderr
