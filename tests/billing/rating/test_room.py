"""Prices and terms in a store, on both engines: previews and imports, versions, balances, what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chappe import accounts
from chappe.accounts import Account, audit_entries
from chappe.billing import rating
from chappe.billing.ledger.store import BALANCES, NO_LIMIT
from chappe.billing.rating import Cap, Conditions, Fee, PriceList, Quote, Rate, Read, Tier, Where
from chappe.billing.rating import store as tables
from chappe.billing.rating.rates import differences, in_order, overlaid, replaced
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.tabular import Faults
from tests.accounts import runtime
from tests.support.eventually import eventually

FRANCE = Where("FR", None, "sms", "alphanumeric", "otp")


def read(*rates: Rate) -> Read:
    return Read(list(rates), list(range(len(rates))), Faults())


async def put(rt: Runtime, list_id: int, *rates: Rate) -> PriceList:
    """Preview and import."""
    seen = await rating.preview(rt, list_id, read(*rates))
    assert seen.digest is not None
    return await rating.apply_preview(rt, "test", list_id, seen.digest)


async def a_list(rt: Runtime, name: str = "standard", kind: Any = "customer", **fields: Any) -> PriceList:
    return await rating.create_list(rt, "test", name=name, kind=kind, **({"currency": "EUR"} | fields))


async def refusal(work: Any) -> tuple[str, str | None]:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value.code, caught.value.param


async def balance(rt: Runtime, account_id: int) -> list[Any]:
    return [tuple(row) for row in await rt.store.read(BALANCES({"ids": [account_id]}))]


async def test_a_list_changes_as_a_whole_and_every_node_knows(
    rt: Runtime, store_url: str, tmp_path: Path, acme: Account, carrier: int
) -> None:
    standard, supply = await a_list(rt), await a_list(rt, "supply", "supplier", charge_on="delivered")
    await put(rt, standard.id, Rate(country="FR", amount=72_500))
    await put(rt, supply.id, Rate(amount=30_000))
    await rating.set_card(rt, "test", carrier, supply.id)
    await rating.create_terms(rt, "test", acme.id, currency="EUR", price_list_id=standard.id)
    quote = rating.book(rt).quote(acme.id, carrier, FRANCE, 2, 0)
    assert quote == Quote(145_000, None, 60_000, "EUR", False, True, "EUR")

    if rt.store.engine == "sqlite":  # a file has one process that serves it
        return
    elsewhere = await runtime.start(store_url, tmp_path)
    await rating.start(elsewhere)
    assert rating.book(elsewhere).quote(acme.id, carrier, FRANCE, 2, 0) == quote
    await put(rt, standard.id, Rate(country="FR", amount=80_000))
    await eventually(lambda: rating.book(elsewhere).quote(acme.id, carrier, FRANCE, 1, 0)[0] == 80_000)
    await elsewhere.close()


async def test_an_import_does_what_its_preview_showed_or_nothing(rt: Runtime) -> None:
    standard = await a_list(rt)
    await put(rt, standard.id, Rate(country="FR", amount=70_000), Rate(country="BE", amount=1))
    first = await rating.preview(rt, standard.id, read(Rate(country="FR", amount=75_000), Rate(country="DE", amount=2)))
    assert [(step.kind, step.key[1]) for step in first.steps] == [("removed", "BE"), ("added", "DE"), ("changed", "FR")]
    assert len(rating.book(rt).card(standard.id)) == 2  # nothing is in force yet
    assert first.digest is not None

    await put(rt, standard.id, Rate(country="FR", amount=1))
    late = rating.apply_preview(rt, "test", standard.id, first.digest)
    assert await refusal(late) == ("preview_outdated", "preview_digest")
    unknown = rating.apply_preview(rt, "test", standard.id, "0" * 64)
    assert await refusal(unknown) == ("preview_outdated", "preview_digest")
    assert [rate.amount for rate in rating.book(rt).card(standard.id)] == [1]

    faults = Faults()
    faults.add(2, "amount", "price_missing", "The price is missing.")
    faulty = await rating.preview(rt, standard.id, Read([Rate(amount=1)], [2], faults))
    assert (faulty.digest, faulty.steps, len(faulty.faults)) == (None, [], 1)


async def test_of_two_who_import_at_once_one_is_refused(rt: Runtime) -> None:
    standard = await a_list(rt)
    seen = [await rating.preview(rt, standard.id, read(Rate(amount=n))) for n in (1, 2)]
    ended = await asyncio.gather(
        *(rating.apply_preview(rt, "test", standard.id, one.digest or "") for one in seen), return_exceptions=True
    )
    refused = [one for one in ended if isinstance(one, Refused)]
    assert [one.code for one in refused] in (["conflict"], ["preview_outdated"])
    assert [one.number for one in await rating.versions(rt, standard.id)] == [1]
    assert len(rating.book(rt).card(standard.id)) == 1


async def test_a_stale_change_of_a_list_brings_no_older_rates_back(rt: Runtime) -> None:
    standard = await a_list(rt)
    await put(rt, standard.id, Rate(amount=1))
    change = accounts.Change(rt, "test")
    change.update(tables.LISTS, standard, msgspec.structs.replace(standard, description="of before the import"))
    assert await refusal(change.commit()) == ("conflict", None)
    assert rating.found_list(rt, standard.id).version == 1


async def test_an_older_version_is_put_in_force_again(rt: Runtime) -> None:
    standard = await a_list(rt)
    await put(rt, standard.id, Rate(amount=1))
    await put(rt, standard.id, Rate(amount=2), Rate(country="FR", amount=3))
    restored = await rating.restore(rt, "test", standard.id, 1)
    assert (restored.version, [rate.amount for rate in rating.book(rt).card(standard.id)]) == (3, [1])
    told = [(one.number, one.rows, one.note) for one in await rating.versions(rt, standard.id)]
    assert told == [(3, 1, "version 1 again"), (2, 2, ""), (1, 1, "")]
    assert [rate.amount for rate in await rating.card_of_version(rt, standard.id, 2)] == [2, 3]
    assert (await refusal(rating.restore(rt, "test", standard.id, 9)))[0] == "not_found"
    actions = [(one.action, one.kind) for one in await audit_entries(rt)]
    assert actions[:4] == [("import", "price_list")] * 3 + [("create", "price_list")]


async def test_what_is_used_is_not_removed(rt: Runtime, acme: Account, carrier: int) -> None:
    standard, supply = await a_list(rt), await a_list(rt, "supply", "supplier")
    card = await rating.set_card(rt, "test", carrier, supply.id)
    assert (await rating.set_card(rt, "test", carrier, supply.id)).id == card.id
    assert await refusal(rating.delete_list(rt, "test", supply.id)) == ("in_use", None)
    await rating.create_terms(rt, "test", acme.id, currency="EUR", price_list_id=standard.id)
    assert await refusal(rating.delete_list(rt, "test", standard.id)) == ("in_use", None)
    await put(rt, supply.id, Rate(amount=1))
    await rating.delete_card(rt, "test", card.id)
    await rating.delete_list(rt, "test", supply.id)
    assert rating.book(rt).price_list(supply.id) is None
    assert await rt.store.scan(tables.VERSIONS({"list_id": supply.id})) == []


async def test_lists_that_cannot_be_are_refused(rt: Runtime, carrier: int) -> None:
    standard = await a_list(rt)
    assert await refusal(a_list(rt)) == ("duplicate_name", "name")
    assert await refusal(a_list(rt, "x", currency="euro")) == ("invalid_value", "currency")
    assert await refusal(a_list(rt, "x", account_id=7)) == ("invalid_value", "account_id")
    assert await refusal(rating.set_card(rt, "test", carrier, standard.id)) == ("invalid_value", "price_list_id")
    tiers = (Tier(from_messages=1, amount=5), Tier(from_messages=1, discount_ppm=5, valid_from=9))
    twice = a_list(rt, "x", conditions=Conditions(tiers=tiers))
    assert await refusal(twice) == ("invalid_value", "conditions.tiers[1]")
    both = a_list(rt, "x", conditions=Conditions(tiers=(Tier(from_messages=1, amount=5, discount_ppm=5),)))
    assert await refusal(both) == ("invalid_value", "conditions.tiers[0]")
    fee = Conditions(fees=(Fee(kind="monthly", amount=5, country="FR"),))
    changed = rating.update_list(rt, "test", standard.id, conditions=fee)
    assert await refusal(changed) == ("invalid_value", "conditions.fees[0]")


async def test_terms_open_a_balance_and_set_its_limit(rt: Runtime, acme: Account) -> None:
    standard = await a_list(rt)
    agreed = await rating.create_terms(
        rt, "test", acme.id, currency="EUR", price_list_id=standard.id, credit_limit=5, caps=(Cap(per_day=9),)
    )
    assert await balance(rt, acme.id) == [(acme.id, "EUR", 0, 0, 5)]
    await rating.update_terms(rt, "test", agreed.id, credit_limit=None, low_balance=-3)
    assert await balance(rt, acme.id) == [(acme.id, "EUR", 0, 0, NO_LIMIT)]
    assert rating.book(rt).low_balance(acme.id) == -3
    again = rating.create_terms(rt, "test", acme.id, currency="EUR", price_list_id=standard.id)
    assert await refusal(again) == ("duplicate_name", "account_id")
    assert await refusal(rating.update_terms(rt, "test", agreed.id, currency="USD")) == ("invalid_value", "currency")
    [latest, *_] = await audit_entries(rt, acme.id)
    assert (latest.kind, latest.before, latest.after) == (
        "account_terms",
        {"credit_limit": 5, "low_balance": None},
        {"credit_limit": None, "low_balance": -3},
    )


async def test_terms_by_which_nothing_could_be_billed_are_refused(rt: Runtime, acme: Account, other: Account) -> None:
    euros, dollars = await a_list(rt), await a_list(rt, "dollars", currency="USD")
    supply, resale = await a_list(rt, "supply", "supplier"), await a_list(rt, "resale", account_id=other.id)

    def agree(list_id: int, **fields: Any) -> Any:
        return rating.create_terms(rt, "test", acme.id, **({"currency": "EUR", "price_list_id": list_id} | fields))

    for list_id in (dollars.id, supply.id, resale.id, 7):
        assert await refusal(agree(list_id)) == ("invalid_value", "price_list_id")
    assert await refusal(agree(resale.id, reseller_id=other.id)) == ("invalid_value", "reseller_id")  # has no terms
    assert await refusal(agree(euros.id, reseller_id=acme.id)) == ("invalid_value", "reseller_id")
    assert await refusal(agree(euros.id, credit_limit=-1)) == ("invalid_value", "credit_limit")
    assert await refusal(agree(euros.id, caps=(Cap(per_day=1), Cap(per_day=2)))) == ("invalid_value", "caps")
    assert await balance(rt, acme.id) == []


async def test_a_reseller_has_customers_and_no_reseller(rt: Runtime, acme: Account, other: Account) -> None:
    wholesale, resale = await a_list(rt), await a_list(rt, "resale", account_id=acme.id)
    third = await accounts.create_account(rt, "test", slug="third", name="Third")
    owner = await rating.create_terms(rt, "test", acme.id, currency="EUR", price_list_id=wholesale.id)
    customer = await rating.create_terms(
        rt, "test", other.id, currency="EUR", price_list_id=resale.id, reseller_id=acme.id
    )
    assert rating.book(rt).reseller_of(other.id) == acme.id
    below = rating.create_terms(rt, "test", third.id, currency="EUR", price_list_id=resale.id, reseller_id=other.id)
    assert await refusal(below) == ("invalid_value", "reseller_id")
    up = rating.update_terms(rt, "test", owner.id, reseller_id=other.id)
    assert await refusal(up) == ("invalid_value", "reseller_id")
    away = rating.update_terms(rt, "test", customer.id, reseller_id=None, price_list_id=wholesale.id)
    assert await refusal(away) == ("invalid_value", "reseller_id")


async def test_rates_of_exchange_come_in_and_are_corrected(rt: Runtime) -> None:
    now = rt.clock.now()
    today = now // 86_400_000
    await rating.import_fx(rt, "test", [rating.FxRate("EUR", "USD", today, rating.ppb_of("1.25"), "desk")])
    assert rating.book(rt).convert(1_000_000, "EUR", "USD", now) == 1_250_000
    many = [rating.FxRate("EUR", "USD", day, rating.ppb_of("2"), "desk") for day in range(today - 6_000, today + 1)]
    made = await rating.import_fx(rt, "test", many)
    assert (made.rates, made.last_day) == (6_001, rating.day_text(today))
    assert rating.book(rt).convert(1_000_000, "EUR", "USD", now) == 2_000_000
    listed = await rating.fx_rates(rt, base="EUR", first=today - 1, limit=10)
    assert [(rate.day, rate.rate_ppb) for rate in listed] == [(today, 2 * 10**9), (today - 1, 2 * 10**9)]
    # of a currency that has no rate for years the last is still known
    await rating.import_fx(rt, "test", [rating.FxRate("EUR", "XOF", 100, rating.ppb_of("655.957"), "fixed")])
    assert rating.book(rt).convert(1_000_000, "EUR", "XOF", now) == 655_957_000
    assert await refusal(rating.import_fx(rt, "test", [])) == ("invalid_value", "rates")


rates = st.builds(
    Rate,
    country=st.sampled_from(["FR", "BE", ""]),
    amount=st.none() | st.integers(0, 3),
    valid_from=st.integers(0, 3),
    valid_to=st.integers(4, 6),
)
whole = st.lists(rates, max_size=4, unique_by=lambda rate: rate.country)


async def test_a_preview_and_its_import_come_to_the_direct_result(rt: Runtime) -> None:
    standard = await a_list(rt)
    loop = asyncio.get_running_loop()

    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    @given(whole, st.sampled_from(["replace", "merge"]), st.none() | st.integers(0, 6))
    def check(rows: list[Rate], mode: Any, since: int | None) -> None:
        asyncio.run_coroutine_threadsafe(go(rows, mode, since), loop).result(20)

    async def go(rows: list[Rate], mode: Any, since: int | None) -> None:
        before = list(rating.book(rt).card(standard.id))
        direct = overlaid(before, rows) if mode == "merge" else replaced(before, rows, since or 0)
        seen = await rating.preview(rt, standard.id, read(*rows), mode=mode, since=since)
        assert seen.digest is not None and seen.steps == differences(before, direct)
        await rating.apply_preview(rt, "test", standard.id, seen.digest)
        assert list(rating.book(rt).card(standard.id)) == in_order(direct)

    await asyncio.to_thread(check)
