"""`chappe ledger`: the audit of a store, and entries through the API."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path

from chappe import accounts
from chappe.billing import reports
from chappe.storage import open_store
from tests.accounts.runtime import start
from tests.api.conftest import open_world
from tests.billing.reports.town import HOUR_MS, Town
from tests.cli.conftest import Command

EUR = 1_000_000


async def _past(url: str, folder: Path) -> int:
    rt = await start(url, folder)
    try:
        acme = await accounts.create_account(rt, "test", slug="acme", name="Acme")
        for ago in (HOUR_MS, 0):
            town = Town(rt.store, ago=ago)
            await town.open(acme.id)
            await town.top_up(acme.id, EUR)
            await town.settle(await town.accept(acme.id, 72_500, cost=40_000))
        return acme.id
    finally:
        await rt.close()


def test_the_audit_says_that_the_books_balance_or_where_not(command: Command, store_url: str, tmp_path: Path) -> None:
    acme = asyncio.run(_past(store_url, tmp_path))
    environment = {"CHAPPE_DATABASE": store_url, "CHAPPE_DATA_DIR": str(tmp_path), "CHAPPE_SECRET_KEY": "test"}
    good = command("ledger", "audit", **environment)
    assert (good.code, good.stderr) == (0, "")
    assert "1 accounts, 2 messages, 8 entries" in good.stdout and "The books balance." in good.stdout
    told = json.loads(command("ledger", "audit", "--account", "acme", "--json", **environment).stdout)
    assert (told["balanced"], told["books"]["EUR"]["revenue"], told["books"]["USD"]["cost"]) == (True, "0.145", "-0.08")

    async def embezzle() -> None:
        store = await open_store(store_url)
        await store.write(Town(store).move(acme, -EUR, 0))
        await store.close()

    asyncio.run(embezzle())
    bad = command("ledger", "audit", **environment)
    assert bad.code == 1
    assert "balance_differs: Its balance says 0.855 EUR and 0.00 EUR held, its entries come to 1.855 EUR" in bad.stderr
    assert "The books do not balance: 1 differences." in bad.stderr
    asked = command("ledger", "audit", "--json", **environment)
    assert (asked.code, json.loads(asked.stdout)["differences"][0]["code"]) == (1, "balance_differs")
    unknown = command("ledger", "audit", "--account", "nobody", **environment)
    assert (unknown.code, unknown.stderr) == (1, "There is no account nobody.\n")


async def test_entries_are_listed_and_written_to_a_file(
    command: Command, make_sqlite: Callable[[Path], str], tmp_path: Path
) -> None:
    world = await open_world(make_sqlite(tmp_path), tmp_path)
    try:
        acme = world.account_ids["acme"]
        await Town(world.rt.store, ago=0).open(acme)
        for number in range(3):
            await reports.book(
                world.rt, "test", acme, kind="top_up", amount=EUR, currency="EUR", reference=f"bank [{number}]"
            )
        environment = {"CHAPPE_API_URL": world.base, "CHAPPE_API_KEY": world.keys["acme"]}
        shown = await asyncio.to_thread(command, "ledger", "entries", "--limit", "2", **environment)
        assert shown.code == 0, shown
        assert "bank [2]" in shown.stdout and "bank [0]" not in shown.stdout and "There are more" in shown.stderr
        file = tmp_path / "entries.csv"
        written = await asyncio.to_thread(command, "ledger", "entries", "--out", str(file), **environment)
        assert (written.code, written.stdout) == (0, f"written to {file}\n")
        rows = list(csv.DictReader(file.read_text().splitlines()))
        assert [row["reference"] for row in rows] == ["bank [2]", "bank [1]", "bank [0]"]
        wrong = await asyncio.to_thread(command, "ledger", "entries", "--kind", "gift", **environment)
        assert wrong.code == 1 and "invalid_value" in wrong.stderr
    finally:
        await world.stop()
