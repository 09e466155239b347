"""One's own data and sources as files: ranges and ported numbers that are imported, sources that are declared."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chappe import accounts, declared, lookups
from chappe.accounts import Account
from chappe.cli import build
from chappe.clock import Clock
from chappe.declared import Invalid, Secrets
from chappe.lookups import Report
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings

HOLDER = "+33637000001"
MOVED = "+33637000002"
DECLARED = """\
[[lookup_sources]]
name = "telnyx"
kind = "telnyx"
countries = ["US", "CA"]
cost = "0.0025"
currency = "USD"
credentials = { api_key = { env = "TELNYX_KEY" } }

[[lookup_sources]]
name = "hlr"
kind = "template"
position = 50
cache = { absent_s = 60 }
credentials = { key = { env = "HLR_KEY" } }

[lookup_sources.settings]
url = "https://hlr.example.com/v1?n={number}&k={secret.key}"
find = { reachable = "/state" }
"""
SECRETS = {"TELNYX_KEY": "KEY-telnyx", "HLR_KEY": "KEY-hlr"}


@pytest.fixture
async def rt(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await open_runtime(Settings(data_dir=tmp_path, database=sqlite_url, secret_key="test"), clock=Clock())
    await declared.start(rt)
    await lookups.chain(rt).data.open()
    yield rt
    await lookups.chain(rt).close()
    await rt.close()


@pytest.fixture
async def acme(rt: Runtime) -> Account:
    return await accounts.create_account(rt, "test", slug="acme", name="Acme")


async def look(rt: Runtime, account: Account, number: str) -> Report:
    [report] = await lookups.chain(rt).look([number], ("operator",), account_id=account.id)
    return report


def chappe(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """A command on the store of the test, as another process would run it; its exit status."""
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        for name in [name for name in os.environ if name.startswith("CHAPPE_")]:
            patch.delenv(name)
        patch.setenv("CHAPPE_DATABASE", url)
        patch.setenv("CHAPPE_DATA_DIR", str(tmp_path))
        patch.setenv("CHAPPE_SECRET_KEY", "test")
        build(arguments)(arguments, prog_name="chappe")
    return ended.value.code


async def test_sources_are_declared_in_a_file_and_exported_again_without_their_secrets(
    rt: Runtime, tmp_path: Path
) -> None:
    secrets = Secrets(SECRETS, tmp_path)
    plan = declared.make_plan(rt, declared.SECTIONS, DECLARED, "x.toml", secrets)
    await declared.apply_plan(rt, plan, "test")
    telnyx, hlr = sorted(lookups.chain(rt).declared.values(), key=lambda source: source.kind == "template")
    assert (telnyx.cost_micros, telnyx.countries, telnyx.gives) == (2_500, ("US", "CA"), ("line_type", "operator"))
    assert (hlr.position, hlr.cache.absent_s, hlr.gives) == (50, 60, ("reachability",))
    assert not declared.make_plan(rt, declared.SECTIONS, DECLARED, "x.toml", secrets)
    written = declared.export(rt, declared.SECTIONS)
    assert "KEY-" not in written and 'env = "LOOKUP_SOURCE_TELNYX_API_KEY"' in written
    # variables that are not there keep what is stored
    assert not declared.make_plan(rt, declared.SECTIONS, written, "x.toml", Secrets({}, tmp_path))
    less = DECLARED.replace("position = 50", "position = 60")
    assert [step.kind for step in declared.make_plan(rt, declared.SECTIONS, less, "x.toml", secrets).steps] == [
        "update"
    ]


async def test_a_declared_source_that_is_wrong_is_told_with_its_line(rt: Runtime, tmp_path: Path) -> None:
    text = DECLARED.replace('"US"', '"usa"').replace('reachable = "/state"', 'reachable = "state"')
    with pytest.raises(Invalid) as invalid:
        declared.make_plan(rt, declared.SECTIONS, text, "x.toml", Secrets(SECRETS, tmp_path))
    told = str(invalid.value)
    assert "x.toml:4: lookup_sources[0].countries[0]" in told
    assert re.search(r"x\.toml:\d+: lookup_sources\[1\]\.settings\.find", told), told


async def test_imported_ranges_go_before_the_published_ones_and_away_again(
    rt: Runtime, acme: Account, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await look(rt, acme, HOLDER)).original
    assert before is not None
    table = tmp_path / "tranches.csv"
    other = "20815" if before != "20815" else "20801"
    table.write_text(f"prefixe;operateur\n0637000;{other}\n", "utf-8")
    found = await in_thread(
        chappe, tmp_path, sqlite_url, monkeypatch, "ranges", "import", str(table), "--country", "FR"
    )
    assert found == 0
    await rt.snapshots.check()
    told = await look(rt, acme, HOLDER)
    assert (told.original, told.current, told.evidence["original"].source) == (other, None, "ranges")
    table.write_text("prefixe;operateur\n0637000;nobody\n", "utf-8")
    arguments = ("ranges", "import", str(table), "--country", "FR")
    assert await in_thread(chappe, tmp_path, sqlite_url, monkeypatch, *arguments) == 1
    await rt.snapshots.check()
    assert (await look(rt, acme, HOLDER)).original == other
    assert await in_thread(chappe, tmp_path, sqlite_url, monkeypatch, "ranges", "remove", "--country", "FR") == 0
    await rt.snapshots.check()
    assert (await look(rt, acme, HOLDER)).original == before


async def test_a_file_of_ported_numbers_is_put_in_force_by_a_command_and_undone(
    rt: Runtime, acme: Account, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ported.csv"
    file.write_text(f"number;operator\n{MOVED};ORANGE\n+33637000009;FREE\n", "utf-8")
    arguments = ("portability", "import", str(file), "--country", "fr", "--complete")
    arguments += ("--means", "ORANGE=20801", "--means", "SFR=20810", "--means", "FREE=20815")
    assert await in_thread(chappe, tmp_path, sqlite_url, monkeypatch, *arguments) == 0
    await rt.snapshots.check()
    moved, stayed = await look(rt, acme, MOVED), await look(rt, acme, HOLDER)
    assert (moved.current, moved.ported, moved.evidence["current"].source) == ("20801", True, "portability")
    assert stayed.ported is False and stayed.current == stayed.original is not None
    file.write_text(f"number;operator\n{MOVED};SFR\n+33637000009;FREE\n", "utf-8")
    assert await in_thread(chappe, tmp_path, sqlite_url, monkeypatch, *arguments) == 0
    await rt.snapshots.check()
    assert (await look(rt, acme, MOVED)).current == "20810"
    assert await in_thread(chappe, tmp_path, sqlite_url, monkeypatch, "portability", "undo", "--country", "FR") == 0
    await rt.snapshots.check()
    assert (await look(rt, acme, MOVED)).current == "20801"
    file.write_text("number;operator\n+447911123456;SFR\n", "utf-8")
    assert await in_thread(chappe, tmp_path, sqlite_url, monkeypatch, *arguments) == 1


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """A command has an event loop of its own."""
    return await asyncio.to_thread(work, *arguments)
