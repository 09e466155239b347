"""A month is closed once: the invoice, its number and its entries are one unit, whoever closes and when they die."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from chappe import accounts
from chappe.accounts import audit_entries
from chappe.billing import closing, rating
from chappe.billing.closing import Invoice, Month, Registered
from chappe.billing.closing import store as tables
from chappe.billing.closing.close import _decode
from chappe.billing.closing.model import National
from chappe.billing.closing.store import LAST_NUMBER
from chappe.billing.ledger.store import ADD_ENTRIES, ADD_USAGE_NEWS, MOVE
from chappe.errors import Refused
from chappe.settings import Seller
from chappe.storage import Conflict, StoreError, migrate, open_store, sql
from tests.billing.closing.conftest import (
    DAY_MS,
    LODZ,
    OCTOBER,
    SELLER,
    Open,
    Town,
    no_names,
    november,
)

ALL = sql("select data from invoices order by id")
CLOSED = sql("select account_id, month, invoice_id from closed_months order by account_id, month")
EUR = 1_000_000


async def close(town: Town, account_id: int, month: Month = OCTOBER) -> Invoice:
    return await closing.close(town.rt, account_id, month, no_names, by="test")


async def invoices(town: Town) -> list[Invoice]:
    return [_decode(data) for (data,) in await town.rt.store.scan(ALL())]


async def refused(town: Town, account_id: int, month: Month = OCTOBER) -> Refused:
    with pytest.raises(Refused) as caught:
        await close(town, account_id, month)
    return caught.value


async def test_a_month_becomes_an_invoice_and_its_entries(town: Town) -> None:
    conditions = rating.Conditions(
        tiers=(rating.Tier(from_messages=0, discount_ppm=100_000),),
        fees=(rating.Fee(kind="monthly", amount=5 * EUR), rating.Fee(kind="set_up", amount=7 * EUR)),
        commitments=(rating.Commitment(amount=100 * EUR),),
    )
    acme = await town.account("acme", await town.list(), conditions=conditions)
    await town.count(acme, 3, 10_005_000)
    await town.count(acme, 3, 10_000_000, day=OCTOBER.days[-1])
    await town.count(acme, 1, 3_333, purpose="service", day=OCTOBER.days[5])
    await town.count(acme, 9, 99 * EUR, day=OCTOBER.days.stop)
    await town.count(acme, 9, 99 * EUR, day=OCTOBER.days.start - 1)
    november(town)
    made = await close(town, acme)
    assert [(one.kind, one.quantity, one.exact, one.amount) for one in made.lines] == [
        ("usage", 6, 20_005_000, 20_010_000),
        ("usage", 1, 3_333, 0),
        ("discount", 7, -2_000_833, -2_000_000),
        ("monthly_fee", 1, 5 * EUR, 5 * EUR),
        ("set_up_fee", 1, 7 * EUR, 7 * EUR),
        ("commitment", 1, 69_992_500, 69_990_000),
    ]
    assert (made.charged, made.exact, made.net, made.tax, made.gross) == (
        20_008_333,
        100 * EUR,
        100 * EUR,
        20 * EUR,
        120 * EUR,
    )
    assert (made.number, made.due_at, made.seller.name) == ("2026-000001", made.issued_at + 14 * DAY_MS, SELLER.name)
    booked = [entry for entry in await town.entries(acme) if entry[0] != "settle"]
    assert booked == [
        ("discount", 2_000_833, 0, -2_000_833, 0, "2026-000001"),
        ("commitment", -69_992_500, 0, 69_992_500, 0, "2026-000001"),
        ("fee", -12 * EUR, 0, 12 * EUR, 0, "2026-000001"),
        ("tax", -20 * EUR, 0, 0, 20 * EUR, "2026-000001"),
    ]
    await town.check_books(acme)
    [issued] = [one for one in await audit_entries(town.rt, acme) if one.kind == "invoice"]
    assert (issued.actor, issued.after) == ("test", {"number": "2026-000001", "total": "120.00", "currency": "EUR"})


async def test_books_and_paper_agree_to_the_cent_and_the_rounding_is_booked(town: Town) -> None:
    acme = await town.account("acme", await town.list())
    for nth, operator in enumerate(("20801", "20810", "20815", "20820")):
        await town.count(acme, 10, 1_235_000 + nth, operator=operator)
    before = await town.wallet(acme)
    november(town)
    made = await close(town, acme)
    assert (made.net, made.exact, made.tax) == (4_960_000, 4_940_006, 990_000)
    booked = [entry for entry in await town.entries(acme) if entry[0] != "settle"]
    assert [(entry[0], entry[1], entry[3]) for entry in booked] == [("adjust", -19_994, 19_994), ("tax", -990_000, 0)]
    assert await town.wallet(acme) - before == made.charged - made.gross
    revenue = sum(entry[3] for entry in await town.entries(acme))
    assert revenue == made.net
    await town.check_books(acme)


async def test_closing_again_gives_the_same_invoice_and_books_nothing(town: Town) -> None:
    acme = await town.account("acme", await town.list())
    await town.count(acme, 1, EUR)
    november(town)
    first = await close(town, acme)
    await town.count(acme, 5, 5 * EUR, day=OCTOBER.days[3])
    assert await close(town, acme) == first
    assert sorted(entry[0] for entry in await town.entries(acme)) == ["settle", "settle", "tax"]
    assert await closing.preview(town.rt, acme, OCTOBER, no_names, by="x") == first


async def test_a_preview_shows_and_does_nothing(town: Town) -> None:
    acme = await town.account("acme", await town.list())
    await town.count(acme, 1, EUR)
    shown = await closing.preview(town.rt, acme, OCTOBER, no_names, by="x")
    assert (shown.id, shown.number, shown.gross) == (0, "", 1_200_000)
    assert await invoices(town) == [] and len(await town.entries(acme)) == 1
    with pytest.raises(Refused) as early:
        await closing.preview(town.rt, acme, OCTOBER.next, no_names, by="x")
    assert (early.value.code, early.value.param) == ("month_not_over", "month")


async def test_what_cannot_be_closed_is_refused_and_nothing_is_taken(town: Town) -> None:
    listed = await town.list()
    acme = await town.account("acme", listed)
    nobody = await accounts.create_account(town.rt, "test", slug="nobody", name="nobody")
    unnamed = await town.account("unnamed", listed, particulars=rating.Particulars(country="FR"))
    abroad = await town.account(
        "abroad", listed, particulars=rating.Particulars(legal_name="Kft", address=("Fő utca 1",), country="HU")
    )
    for account_id in (acme, unnamed, abroad):
        await town.count(account_id, 1, EUR)
    assert (await refused(town, acme)).code == "month_not_over"
    town.rt.clock.advance((OCTOBER.ends - town.rt.clock.now()) / 1000 + 3_599)  # type: ignore[attr-defined]
    assert (await refused(town, acme)).code == "month_not_over"
    november(town)
    assert (await refused(town, nobody.id)).code == "account_not_billed"
    assert (await refused(town, acme, Month(2026, 9))).param == "month"
    missing = await refused(town, unnamed)
    assert (missing.code, missing.param) == ("customer_incomplete", "particulars.legal_name")
    assert [one.param for one in missing.details] == ["particulars.legal_name", "particulars.address"]
    assert (await refused(town, abroad)).code == "vat_rate_unknown"
    town.rt.settings.billing.seller.address = ""
    incomplete = await refused(town, acme)
    town.rt.settings.billing.seller.address = "12 rue de la Paix\n75002 Paris"
    assert (incomplete.code, incomplete.param) == ("seller_incomplete", "billing.seller.address")
    assert await town.rt.store.scan(LAST_NUMBER({"seller_id": 0, "series": "2026"})) == []
    assert (await close(town, acme)).number == "2026-000001"


async def test_a_month_waits_until_its_usage_is_added_up(town: Town) -> None:
    acme = await town.account("acme", await town.list())
    row = (town.rt.ids.next(), OCTOBER.days[-1], acme, "", "FR", "", 1, 1, "x", "otp", "EUR", "", 1, 1, 1, 0, EUR, 0)
    await town.rt.store.write(ADD_USAGE_NEWS([row]))
    november(town)
    waits = await refused(town, acme)
    assert (waits.code, waits.retry_after) == ("usage_pending", 60)
    await town.rt.store.write(sql("delete from usage_news")())
    await town.count(acme, 1, EUR)
    assert (await close(town, acme)).charged == EUR


async def test_a_month_without_anything_to_pay_is_closed_without_a_number(town: Town) -> None:
    listed = await town.list()
    idle, free = await town.account("idle", listed), await town.account("free", listed)
    await town.count(free, 5, 0)
    november(town)
    for account_id in (idle, free):
        assert (await refused(town, account_id)).code == "nothing_to_invoice"
        assert (await refused(town, account_id)).code == "nothing_to_invoice"
    assert await closing.due(town.rt, idle) == []
    assert [row[2] for row in await town.rt.store.scan(CLOSED())] == [None, None]


async def test_tax_is_booked_or_owed_by_the_customer(town: Town) -> None:
    listed = await town.list()
    paris, lodz = await town.account("paris", listed), await town.account("lodz", listed, particulars=LODZ)
    for account_id in (paris, lodz):
        await town.count(account_id, 1, 2_500_000)
    november(town)
    assert (await close(town, paris)).tax == 500_000
    there = await close(town, lodz)
    assert (there.tax, there.vat.treatment, there.gross) == (0, "reverse_charge", 2_500_000)
    assert there.customer.address == ("ul. Piotrkowska 104", "90-926 Łódź", "Poland")
    assert [entry[0] for entry in await town.entries(lodz)] == ["settle"]


async def test_the_tax_is_shown_in_the_currency_of_the_sellers_country_too(open_: Open) -> None:
    warsaw = Seller(name="Chappe sp. z o.o.", address="ul. Prosta 1", country="PL", vat_id="PL7251234567")
    town = await open_(seller=warsaw)
    acme = await town.account("acme", await town.list(), particulars=LODZ)
    await town.count(acme, 1, 10 * EUR)
    november(town)
    missing = await refused(town, acme)
    assert missing.code == "fx_rate_missing" and "PLN" in missing.message
    await rating.import_fx(town.rt, "test", [rating.FxRate("EUR", "PLN", OCTOBER.days[-3], 4_250_000_000, "test")])
    made = await close(town, acme)
    assert (made.tax, made.national) == (2_300_000, National("PLN", 9_780_000))
    note = await credit(town, made, {0: 5 * EUR})
    assert (note.tax, note.national) == (1_150_000, National("PLN", 4_890_000))


async def test_the_invoice_of_a_prepaid_account_is_paid_and_may_take_the_wallet_below_zero(town: Town) -> None:
    acme = await town.account("acme", await town.list(), credit_limit=0)
    top_up = (town.rt.ids.next(), acme, "EUR", "top_up", 0, EUR, 0, 0, 0, 0, -EUR, 0, "bank")
    await town.rt.store.write(ADD_ENTRIES([top_up]), MOVE([(acme, EUR, 0)], expect=1))
    await town.count(acme, 1, EUR)
    november(town)
    made = await close(town, acme)
    assert made.prepaid and made.due_at is None
    assert await town.wallet(acme) == -200_000


async def test_where_delivery_is_charged_only_what_was_delivered_counts(town: Town) -> None:
    tier = rating.Conditions(tiers=(rating.Tier(from_messages=0, amount=80_000),))
    acme = await town.account("acme", await town.list(charge_on="delivered"), conditions=tier)
    await town.count(acme, 100, 9 * EUR, delivered=90)
    november(town)
    [usage, discount] = (await close(town, acme)).lines
    assert (usage.quantity, usage.price, discount.exact) == (90, 100_000, -(9 * EUR - 90 * 80_000))


async def test_a_reseller_pays_for_its_customers_and_invoices_them_itself(town: Town) -> None:
    seller = rating.Particulars(
        legal_name="Resale GmbH", address=("Hauptstr. 1", "10115 Berlin"), country="DE", vat_id="DE123456789"
    )
    reseller = await town.account("reseller", await town.list(), particulars=seller)
    theirs = await town.list("theirs", account_id=reseller)
    shop = await town.account(
        "shop",
        theirs,
        reseller_id=reseller,
        particulars=rating.Particulars(legal_name="Shop", address=("Weg 2",), country="DE"),
    )
    await town.count(reseller, 2, 2 * EUR)
    await town.count(shop, 10, 15 * EUR)
    upstream = (town.moment(OCTOBER.days[3]), reseller, "EUR", "settle", 10, -10 * EUR, 0, 10 * EUR, 0, 0, 0, 0, None)
    await town.rt.store.write(ADD_ENTRIES([upstream]), MOVE([(reseller, -10 * EUR, 0)], expect=1))
    november(town)
    made = await close(town, shop)
    assert (made.seller_id, made.seller.name, made.vat.rate_ppm) == (reseller, "Resale GmbH", 190_000)
    assert made.number == "2026-000001"
    assert (await closing.invoice_of(town.rt, made.id, reseller))[0] == made
    with pytest.raises(Refused):
        await closing.invoice_of(town.rt, made.id, reseller + 1)
    bill = await close(town, reseller)
    assert [(one.kind, one.text, one.quantity, one.exact) for one in bill.lines] == [
        ("usage", "Messages to France, Orange (20801), otp", 2, 2 * EUR),
        ("sub_accounts", "Messages of 1 sub-account", 10, 10 * EUR),
    ]
    assert (bill.seller_id, bill.number, bill.charged) == (0, "2026-000001", 12 * EUR)
    for account_id in (reseller, shop):
        await town.check_books(account_id)


async def test_names_in_registers_are_billed_as_they_are_told(town: Town) -> None:
    fees = rating.Conditions(fees=(rating.Fee(kind="sender_name", amount=2 * EUR),))
    acme = await town.account("acme", await town.list(), conditions=fees)
    asked: list[tuple[int, Month]] = []

    async def names(account_id: int, month: Month) -> list[Registered]:
        asked.append((account_id, month))
        return [Registered("Acme", "ES", "21401", month.starts)]

    november(town)
    made = await closing.close(town.rt, acme, OCTOBER, names, by="test")
    assert asked == [(acme, OCTOBER)]
    assert [(one.kind, one.text, one.amount) for one in made.lines] == [
        ("sender_fee", "Sender name Acme, Spain, Vodafone (21401)", 2 * EUR)
    ]


async def test_the_job_closes_every_month_that_is_due_after_its_grace_and_only_once(open_: Open) -> None:
    town = await open_(close_after_days=5)
    listed = await town.list()
    acme, other = await town.account("acme", listed), await town.account("other", listed)
    broken = await town.account("broken", listed, particulars=rating.Particulars())
    for account_id in (acme, other, broken):
        await town.count(account_id, 1, EUR)
        await town.count(account_id, 1, EUR, day=OCTOBER.next.days.start)
    november(town)
    assert await closing.close_due(town.rt, no_names) == 0
    town.rt.clock.advance(86_400)  # type: ignore[attr-defined]
    assert await closing.close_due(town.rt, no_names) == 2
    town.rt.clock.advance(30 * 86_400)  # type: ignore[attr-defined]
    assert [str(month) for month in await closing.due(town.rt, acme)] == ["2026-11"]
    assert [str(month) for month in await closing.due(town.rt, broken)] == ["2026-10", "2026-11"]
    assert await closing.close_due(town.rt, no_names) == 2
    assert await closing.close_due(town.rt, no_names) == 0
    assert sorted(one.number for one in await invoices(town)) == [f"2026-{n:06d}" for n in range(1, 5)]
    assert {one.by for one in await invoices(town)} == {"chappe"}


async def test_a_year_has_a_series_of_its_own(town: Town) -> None:
    acme = await town.account("acme", await town.list())
    await town.count(acme, 1, EUR)
    await town.count(acme, 1, EUR, day=Month(2026, 12).days.start)
    november(town)
    assert (await close(town, acme)).number == "2026-000001"
    town.rt.clock.advance(70 * 86_400)  # type: ignore[attr-defined]
    assert (await close(town, acme, Month(2026, 12))).number == "2027-000001"


async def test_what_was_issued_is_never_changed_whoever_asks(empty_store_url: str) -> None:
    made = import_module("chappe.storage.migrations.versions.0013_invoices")

    def migrated(connection: sa.Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            made.upgrade()

    await asyncio.to_thread(migrate._locked, empty_store_url, migrated)
    store = await open_store(empty_store_url)
    try:
        await store.write(
            tables.ADD_INVOICE([(1, 2, 0, 202610, "2026-000001", "EUR", 100, 0, 5, "{}")]),
            tables.ADD_CREDIT_NOTE([(3, 2, 0, 1, "CN-2026-000001", "EUR", 40, 6, "{}", "x")]),
            tables.CREDIT([(1, 40, 40)], expect=1),
        )
        for change in (
            "update invoices set data = '[]'",
            "update invoices set number = '2026-000002', credited = 0",
            "update credit_notes set gross = 1",
            "delete from credit_notes",
            "delete from invoices",
        ):
            with pytest.raises(StoreError, match="what was issued is never changed"):
                await store.write(sql(change)())
        for double in (
            tables.ADD_INVOICE([(4, 2, 0, 202610, "2026-000002", "EUR", 100, 0, 5, "{}")]),
            tables.ADD_INVOICE([(4, 3, 0, 202610, "2026-000001", "EUR", 100, 0, 5, "{}")]),
            tables.ADD_CREDIT_NOTE([(4, 2, 0, 1, "CN-2026-000001", "EUR", 40, 6, "{}", None)]),
            tables.ADD_CREDIT_NOTE([(4, 2, 0, 1, "CN-2026-000002", "EUR", 40, 6, "{}", "x")]),
        ):
            with pytest.raises(Conflict):
                await store.write(double)
        assert [tuple(row) for row in await store.scan(tables.INVOICE({"id": 1}))] == [("{}", 40)]
    finally:
        await store.close()


# -- several at once, and in the middle -----------------------------------------------------------------------------


async def test_two_nodes_that_close_at_once_leave_no_gap_and_make_no_double(open_: Open) -> None:
    one, two = await open_(), await open_()
    listed = await one.list()
    whose = [await one.account(f"a{nth}", listed) for nth in range(8)]
    for account_id in whose:
        await one.count(account_id, 1, EUR)
    november(one)
    november(two)
    await two.rt.snapshots.check()
    made = await asyncio.gather(*(close(town, account_id) for account_id in whose for town in (one, two, one)))
    assert Counter(invoice.account_id for invoice in made) == dict.fromkeys(whose, 3)
    stored = await invoices(one)
    assert sorted(invoice.number for invoice in stored) == [f"2026-{n:06d}" for n in range(1, 9)]
    assert {invoice.id for invoice in made} == {invoice.id for invoice in stored}
    for account_id in whose:
        assert [entry[0] for entry in await one.entries(account_id)] == ["settle", "tax"]
        await one.check_books(account_id)


async def test_a_unit_that_fails_takes_no_number(town: Town) -> None:
    acme, other = [await town.account(slug, await town.list(slug)) for slug in ("acme", "other")]
    for account_id in (acme, other):
        await town.count(account_id, 1, EUR)
    november(town)
    await town.rt.store.write(sql("delete from balances where account_id = :id")({"id": acme}))
    assert (await refused(town, acme)).code == "conflict"
    assert (await close(town, other)).number == "2026-000001"
    assert await town.rt.store.scan(CLOSED()) == [(other, 202610, (await invoices(town))[0].id)]


CHILD = """
import asyncio, sys
from pathlib import Path
from chappe.billing import closing
from tests.billing.closing.conftest import no_names, november, open_town

async def main():
    town = await open_town(sys.argv[1], Path(sys.argv[2]))
    november(town)
    print("ready", flush=True)
    await closing.close_due(town.rt, no_names)
    print("done", flush=True)

asyncio.run(main())
"""


async def test_a_node_that_is_killed_in_the_middle_leaves_no_gap_and_no_half_of_anything(
    url: str, open_: Open, tmp_path: Path
) -> None:
    town = await open_()
    listed = await town.list()
    whose = [await town.account(f"a{nth}", listed) for nth in range(40)]
    for account_id in whose:
        await town.count(account_id, 1, EUR)
    folder = tmp_path / "child"
    folder.mkdir()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, url, str(folder)),
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(60):
            assert await child.stdout.readline() == b"ready\n"
            while len(await invoices(town)) < 5:
                await asyncio.sleep(0.002)
        child.send_signal(signal.SIGKILL)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
    left = await invoices(town)
    assert 5 <= len(left) < 40, "it was killed too late to be in the middle"
    await check_whole(town, left)
    november(town)
    await closing.close_due(town.rt, no_names)
    made = await invoices(town)
    assert len(made) == 40
    await check_whole(town, made)
    for account_id in whose:
        assert [entry[0] for entry in await town.entries(account_id)] == ["settle", "tax"]
        await town.check_books(account_id)


async def check_whole(town: Town, made: list[Invoice]) -> None:
    """Numbers without a gap, each with its entry."""
    assert sorted(one.number for one in made) == [f"2026-{n:06d}" for n in range(1, len(made) + 1)]
    for one in made:
        assert [entry[5] for entry in await town.entries(one.account_id)] == [None, one.number]


# -- credit notes ---------------------------------------------------------------------------------------------------


async def credit(town: Town, invoice: Invoice, amounts: dict[int, int] | None = None) -> closing.CreditNote:
    return await closing.credit(town.rt, invoice.id, by="test", reason="Wrong price.", amounts=amounts)


async def not_credited(town: Town, invoice: Invoice, amounts: dict[int, int] | None) -> tuple[str, str | None]:
    with pytest.raises(Refused) as caught:
        await credit(town, invoice, amounts)
    return caught.value.code, caught.value.param


async def invoiced(town: Town) -> Invoice:
    """A line of 10.01, one of 5.00 and a discount of -1.50; 20% VAT."""
    tier = rating.Conditions(tiers=(rating.Tier(from_messages=0, discount_ppm=100_000),))
    acme = await town.account("acme", await town.list(), conditions=tier)
    await town.count(acme, 10, 10_010_000)
    await town.count(acme, 10, 5 * EUR, purpose="service")
    november(town)
    return await close(town, acme)


async def test_a_credit_note_gives_back_a_part_and_then_the_rest_never_more(town: Town) -> None:
    invoice = await invoiced(town)
    assert [one.amount for one in invoice.lines] == [10_010_000, 5_000_000, -1_500_000]
    assert (invoice.net, invoice.tax) == (13_510_000, 2_700_000)
    wallet = await town.wallet(invoice.account_id)
    first = await credit(town, invoice, {0: 1_030_000})
    assert (first.number, first.net, first.tax, first.gross) == ("CN-2026-000001", 1_030_000, 210_000, 1_240_000)
    assert await town.wallet(invoice.account_id) == wallet + 1_240_000
    assert (await town.entries(invoice.account_id))[-1] == (
        *("credit_note", 1_240_000, 0, -1_030_000, -210_000),
        "CN-2026-000001",
    )
    for amounts, param in (
        ({0: 8_990_000}, "lines[0].amount"),
        ({1: 1_000_000, 2: 1_000_000}, "lines[1].amount"),
        ({2: -2_000_000}, "lines[0].amount"),
        ({2: -1_000_000}, "lines"),
        ({1: 5_000_000, 0: 8_980_000}, "lines"),
    ):
        assert await not_credited(town, invoice, amounts) == ("credit_too_high", param)
    assert await not_credited(town, invoice, {9: 1}) == ("invalid_value", "lines[0].line")
    assert await not_credited(town, invoice, {0: 5_000}) == ("invalid_value", "lines[0].amount")
    rest = await credit(town, invoice)
    assert (rest.net, rest.tax) == (invoice.net - first.net, invoice.tax - first.tax)
    assert await town.wallet(invoice.account_id) == wallet + invoice.gross
    assert await not_credited(town, invoice, None) == ("credit_too_high", "lines")
    assert (await closing.invoice_of(town.rt, invoice.id))[1] == invoice.gross
    assert [note.number for note in await closing.credit_notes_of(town.rt, invoice.id)] == [first.number, rest.number]
    await town.check_books(invoice.account_id)


async def test_a_credit_note_that_is_asked_for_again_by_its_reference_is_issued_once(open_: Open) -> None:
    one, two = await open_(), await open_()
    invoice = await invoiced(one)

    async def ask(town: Town, reason: str = "Wrong.", cents: int = 100) -> closing.CreditNote:
        amounts = {0: cents * 10_000}
        return await closing.credit(
            town.rt, invoice.id, by="test", reason=reason, amounts=amounts, reference="ticket 7"
        )

    notes = await asyncio.gather(*(ask(town) for town in (one, two) * 3))
    assert len({note.id for note in notes}) == 1
    assert (await closing.invoice_of(one.rt, invoice.id))[1] == notes[0].gross
    for other in (ask(one, reason="Other."), ask(one, cents=200)):
        with pytest.raises(Refused) as reused:
            await other
        assert (reused.value.code, reused.value.param) == ("reference_reused", "reference")
    await one.check_books(invoice.account_id)


async def test_credit_notes_of_several_at_once_stay_within_the_invoice(open_: Open) -> None:
    one, two = await open_(), await open_()
    invoice = await invoiced(one)

    async def some(town: Town) -> int:
        try:
            return (await credit(town, invoice, {1: 1_990_000})).gross
        except Refused as refused_:
            assert refused_.code == "credit_too_high"
            return 0

    given = await asyncio.gather(*(some(town) for town in (one, two) * 4))
    assert sorted(given) == [0] * 6 + [2_390_000] * 2
    notes = await closing.credit_notes_of(one.rt, invoice.id)
    assert [note.number for note in notes] == ["CN-2026-000001", "CN-2026-000002"]
    await one.check_books(invoice.account_id)


async def test_credit_notes_may_be_numbered_along_with_invoices(open_: Open) -> None:
    town = await open_(credit_note_series="same")
    other = await town.account("other", await town.list("others"))
    await town.count(other, 1, EUR)
    assert (await credit(town, await invoiced(town))).number == "2026-000002"
    assert (await close(town, other)).number == "2026-000003"


async def test_the_database_lets_nobody_credit_more_than_was_invoiced(town: Town) -> None:
    invoice = await invoiced(town)
    with pytest.raises(Conflict):
        await town.rt.store.write(
            sql("update invoices set credited = gross + 1 where id = :id")({"id": invoice.id}, expect=1)
        )
