"""`chappe rates` against a running server: lists, previews, imports, exports, versions, rates of exchange."""

from __future__ import annotations

import asyncio
from pathlib import Path

from typer.testing import CliRunner, Result

from chappe.billing import rating
from chappe.cli import build
from tests.api.conftest import World, world

__all__ = ["world"]


async def run(world: World, *arguments: str, answer: str = "") -> Result:
    """The command in a thread, as it would run elsewhere."""
    environment = {"CHAPPE_API_URL": world.base, "CHAPPE_API_KEY": world.keys["operator"]}
    line = ["rates", *arguments]
    return await asyncio.to_thread(
        lambda: CliRunner().invoke(build(line), line, env=environment, input=answer, catch_exceptions=False)
    )


async def test_a_file_is_looked_at_imported_exported_and_undone(world: World, tmp_path: Path) -> None:
    await rating.create_list(world.rt, "test", name="standard", kind="customer", currency="EUR")
    file, bad = tmp_path / "prices.csv", tmp_path / "bad.csv"
    file.write_text("Land;Tarif\nFR;0,07\nBE;0,06\n")
    bad.write_text("country,price\nFR,-1\n")
    columns = ("--column", "amount=Tarif", "--column", "country=1")

    seen = await run(world, "preview", str(file), "--list", "standard", *columns)
    assert (seen.exit_code, "2 added, 0 changed, 0 removed; 2 rows afterwards." in seen.output) == (0, True), (
        seen.output
    )
    assert len(rating.book(world.rt).card(next(iter(rating.book(world.rt).lists)))) == 0

    declined = await run(world, "import", str(file), "--list", "standard", *columns, answer="n\n")
    assert (declined.exit_code, (await run(world, "versions", "standard")).output.count("prices.csv")) == (1, 0)
    done = await run(world, "import", str(file), "--list", "standard", *columns, "--yes")
    assert "standard: version 1 with 2 rows is in force." in done.output, done.output
    faulty = await run(world, "import", str(bad), "--list", "standard", "--yes")
    assert (faulty.exit_code, "line 2: amount: -1 is negative. (price_negative)" in faulty.output) == (1, True)

    out = tmp_path / "out.csv"
    assert (await run(world, "export", "standard", "--out", str(out))).exit_code == 0
    same = await run(world, "import", str(out), "--list", "standard", "--yes")
    assert "0 added, 0 changed, 0 removed" in same.output and "in force" not in same.output
    later = tmp_path / "later.csv"
    later.write_text("country,price\nFR,0.08\n")
    options = ("--mode", "merge", "--valid-from", "2027-01-01", "--note", "notice 7", "--yes")
    assert "version 2 with 3 rows" in (await run(world, "import", str(later), "--list", "standard", *options)).output
    assert "notice 7" in (await run(world, "versions", "standard")).output
    assert "version 3 with 2 rows" in (await run(world, "restore", "standard", "1")).output
    listed = await run(world, "list")
    assert "standard" in listed.output and "customer" in listed.output
    missing = await run(world, "export", "nothing")
    assert (missing.exit_code, "there are: standard" in missing.output) == (1, True)


async def test_rates_of_exchange_are_added(world: World, tmp_path: Path) -> None:
    file = tmp_path / "eurofxref-hist.csv"
    file.write_text("Date,USD,JPY,\n2026-11-20,1.0823,160.25,\n2026-11-19,1.0811,N/A,\n")
    done = await run(world, "fx", str(file))
    assert "3 rates of 2026-11-19 to 2026-11-20: ECB" in done.output, done.output
    assert rating.book(world.rt).convert(1_000_000, "EUR", "USD", 1_795_132_800_000) == 1_082_300
