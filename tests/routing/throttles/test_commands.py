"""`chappe throttles` on a store of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command, command

__all__ = ["command"]

FILE = """
[[accounts]]
slug = "acme"
name = "Acme"

[[connectors]]
name = "orange"
credentials = { system_id = "us", password = { env = "PW" } }
settings = { host = "127.0.0.1" }
"""


@pytest.fixture
def chappe(command: Command, sqlite_url: str, tmp_path: Path) -> Command:
    """Runs a command on a store with an account and a connector."""
    file = tmp_path / "f.toml"
    file.write_text(FILE)
    environment = {"CHAPPE_DATABASE": sqlite_url, "CHAPPE_DATA_DIR": str(tmp_path), "CHAPPE_SECRET_KEY": "k" * 32}
    assert command("apply", str(file), PW="secret", **environment).code == 0
    return lambda *arguments: command(*arguments, **environment)


def test_throttles_are_added_listed_changed_and_removed(chappe: Command) -> None:
    added = chappe("throttles", "add", "france", "--scope", "country", "--country", "fr", "--limit", "100/second")
    assert (added.code, added.stdout) == (0, "france is in force.\n")
    more = ("--account", "acme", "--limit", "5000/day", "--zone", "Europe/Paris", "--over", "refuse")
    assert chappe("throttles", "add", "acme", "--scope", "account+country", *more).code == 0
    orange = ("--scope", "connector", "--connector", "orange", "--limit", "20/second", "--burst", "5")
    assert chappe("throttles", "add", "orange", *orange).code == 0
    assert chappe("throttles", "change", "france", "--limit", "0").code == 0
    rows = [line.split() for line in chappe("throttles", "list").stdout.splitlines()]
    assert rows == [
        ["name", "scope", "of", "account", "limit", "burst", "over", "zone"],
        ["france", "country", "FR", "blocked", "wait", "UTC"],
        ["acme", "account+country", "each", "acme", "5,000/day", "refuse", "Europe/Paris"],
        ["orange", "connector", "orange", "20/second", "5", "wait", "UTC"],
    ]
    assert chappe("throttles", "remove", "france").stdout == "france is removed.\n"
    assert "france" not in chappe("throttles", "list").stdout


def test_a_mistake_is_told_and_nothing_is_made(chappe: Command, subtests: pytest.Subtests) -> None:
    cases = [
        (("add", "a", "--scope", "country"), "Say how many: --limit 100/second."),
        (("add", "a", "--scope", "country", "--limit", "100"), "write it like 100/second, or 0."),
        (("add", "a", "--scope", "country", "--limit", "1/week"), "per: 'week' is not allowed here."),
        (("add", "a", "--scope", "planet", "--limit", "1/day"), "scope: 'planet' is not allowed here."),
        (("add", "a", "--scope", "account", "--account", "none", "--limit", "1/day"), "There is no account none."),
        (("add", "a", "--scope", "connector", "--connector", "x", "--limit", "1/day"), "There is no connector x."),
        (("change", "a"), "Nothing to change"),
        (("change", "a", "--over", "refuse"), "There is no throttle a. There are: none."),
        (("remove", "a"), "There is no throttle a."),
    ]
    for arguments, words in cases:
        with subtests.test(" ".join(arguments)):
            ran = chappe("throttles", *arguments)
            assert ran.code == 1 and words in ran.stderr, ran.stderr
    assert len(chappe("throttles", "list").stdout.splitlines()) == 1
