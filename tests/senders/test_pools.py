from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.accounts import Account, update_account
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.senders import (
    Ring,
    book,
    choose,
    create_default,
    create_pool,
    create_sender,
    delete_default,
    delete_pool,
    delete_sender,
    update_pool,
    update_sender,
)

NOW = 1_793_000_000_000
people = st.integers(33_600_000_000, 33_799_999_999).map(str)
addresses = st.lists(st.integers(33_100_000_000, 33_199_999_999).map(str), min_size=1, max_size=20, unique=True)


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


@given(addresses, people, st.randoms())
def test_a_person_meets_the_same_sender_in_whatever_order_they_are_written(
    members: list[str], person: str, random: Any
) -> None:
    shuffled = random.sample(members, len(members))
    assert Ring(members).choose(person) == Ring(shuffled).choose(person)


@given(addresses, st.integers(33_200_000_000, 33_299_999_999).map(str), people)
def test_a_new_member_takes_people_and_moves_nobody_between_the_others(
    members: list[str], new: str, person: str
) -> None:
    before, after = Ring(members).choose(person), Ring([*members, new]).choose(person)
    assert after in (before, new)


@given(addresses.filter(lambda members: len(members) > 1), people, st.data())
def test_a_member_that_leaves_moves_only_those_who_met_it(members: list[str], person: str, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(members))
    before = Ring(members).choose(person)
    after = Ring([one for one in members if one != gone]).choose(person)
    assert after == before or before == gone


def test_people_are_spread_evenly_also_those_with_numbers_in_a_row() -> None:
    ring = Ring([f"+331000000{n:02}" for n in range(10)])
    met = Counter(ring.choose(str(33_612_000_000 + n)) for n in range(10_000))
    assert len(met) == 10 and min(met.values()) > 850 and max(met.values()) < 1150


async def test_a_message_from_a_pool_goes_out_from_a_member_for_its_country(rt: Runtime, acme: Account) -> None:
    made = [await create_sender(rt, "test", acme.id, address=f"Shop{n}", countries=("FR",)) for n in range(3)]
    german = await create_sender(rt, "test", acme.id, address="Laden", countries=("DE",))
    pool = await create_pool(rt, "test", acme.id, name="shop", sender_ids=tuple(one.id for one in [*made, german]))

    def chosen(country: str, digits: str = "33612345678") -> object:
        return choose(book(rt), acme, "pool:shop", country, digits, NOW, "transactional")

    first = chosen("FR")
    assert first in {one.address for one in made} and chosen("FR") == first
    assert {chosen("FR", str(33_612_345_678 + n)) for n in range(50)} == {one.address for one in made}
    assert chosen("DE", "4915112345678") == "Laden"
    nobody = chosen("US", "12025550123")
    assert isinstance(nobody, Refused) and nobody.code == "sender_not_allowed"
    [met] = [one for one in made if one.address == first]
    await update_sender(rt, "test", acme.id, met.id, status="suspended")
    assert chosen("FR") in {one.address for one in made} - {first}
    await update_pool(rt, "test", acme.id, pool.id, (german.id,))
    assert isinstance(chosen("FR"), Refused)


async def test_the_default_of_the_country_comes_before_that_of_the_account(
    rt: Runtime, acme: Account, other: Account
) -> None:
    for address in ("Acme", "AcmeBE"):
        await create_sender(rt, "test", acme.id, address=address)
    account = await update_account(rt, "test", acme.id, default_sender="Acme")
    default = await create_default(rt, "test", acme.id, country="BE", sender="AcmeBE")

    def chosen(who: Account, asked: str | None, country: str) -> object:
        return choose(book(rt), who, asked, country, "32470123456", NOW, "transactional")

    assert [chosen(account, None, country) for country in ("BE", "FR")] == ["AcmeBE", "Acme"]
    assert chosen(account, "Other", "BE") == "Other"
    assert chosen(other, None, "BE") is None
    await delete_default(rt, "test", acme.id, default.id)
    assert chosen(account, None, "BE") == "Acme"


async def test_nobody_sees_or_uses_the_pool_of_another_account(rt: Runtime, acme: Account, other: Account) -> None:
    mine = await create_sender(rt, "test", acme.id, address="Acme")
    pool = await create_pool(rt, "test", acme.id, name="shop", sender_ids=(mine.id,))
    default = await create_default(rt, "test", acme.id, country="FR", sender="pool:shop")
    told = choose(book(rt), other, "pool:shop", "FR", "33612345678", NOW, "transactional")
    assert isinstance(told, Refused) and told.message == "There is no pool shop."
    stolen = create_pool(rt, "test", other.id, name="shop", sender_ids=(mine.id,))
    assert (await refused(stolen)).param == "senders[0]"
    for work in (
        update_pool(rt, "test", other.id, pool.id, ()),
        delete_pool(rt, "test", other.id, pool.id),
        delete_default(rt, "test", other.id, default.id),
    ):
        assert (await refused(work)).code == "not_found"
    assert (await refused(create_default(rt, "test", other.id, country="FR", sender="pool:shop"))).param == "sender"
    assert (await refused(delete_pool(rt, "test", acme.id, pool.id))).code == "in_use"
    assert (await refused(delete_sender(rt, "test", acme.id, mine.id))).code == "in_use"


async def test_a_bad_pool_is_refused(rt: Runtime, acme: Account) -> None:
    mine = await create_sender(rt, "test", acme.id, address="Acme")
    await create_pool(rt, "test", acme.id, name="shop", sender_ids=(mine.id,))
    for name, members, code, param in (
        ("Shop!", (mine.id,), "invalid_value", "name"),
        ("shop", (mine.id,), "duplicate_name", "name"),
        ("two", (mine.id, mine.id), "invalid_value", "senders"),
        ("two", (1,), "sender_not_allowed", "senders[0]"),
    ):
        error = await refused(create_pool(rt, "test", acme.id, name=name, sender_ids=members))
        assert (error.code, error.param) == (code, param)
