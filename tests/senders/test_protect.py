from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chappe.accounts import Account, AccountSettings
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.senders import (
    Enforcement,
    Names,
    Protected,
    book,
    check,
    create_protected,
    create_sender,
    fold,
    lookalikes,
    update_protected,
    update_sender,
)
from chappe.text.confusable import LOOKS_LIKE as _LOOKS_LIKE

NOW = 1_793_000_000_000
LATIN = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=11)


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


@given(st.text(max_size=40))
@example("\u0345")
@example("ﬀ ﬃ")
def test_folding_twice_changes_nothing(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@given(LATIN, st.data())
def test_a_name_in_letters_that_look_alike_folds_to_the_name(name: str, data: st.DataObject) -> None:
    disguised = "".join(data.draw(st.sampled_from([c, c.upper(), *_LOOKS_LIKE.get(c, c)])) for c in name)
    assert fold(disguised) == fold(name), disguised


@given(LATIN, st.integers(0, 10), st.sampled_from(" .-_&'"))
def test_separators_and_doubled_letters_hide_nothing(name: str, place: int, separator: str) -> None:
    cut = min(place, len(name) - 1)
    assert fold(separator.join(name)) == fold(separator + name + separator)
    assert fold(name[:cut] + name[cut] + name[cut:]) == fold(name)


@pytest.mark.parametrize(
    ("disguised", "name"),
    [
        ("PayPaI", "PayPal"),
        ("LA P0STE", "La Poste"),
        ("РауРаl", "PayPal"),
        ("ΡΑΥΡΑL", "PAYPAL"),
        ("P@y-Pal", "PayPal"),
        ("Arnazon", "Amazon"),
        ("NETFL1X", "Netflix"),
        ("Ｐａｙｐａｌ", "PayPal"),
        ("Ámazón", "Amazon"),
        ("Gooogle", "Google"),
    ],
)
def test_known_disguises_are_seen_through(disguised: str, name: str) -> None:
    assert fold(disguised) == fold(name)


@pytest.mark.parametrize(("one", "other"), [("Orange", "Range"), ("Total", "Tidal"), ("Acme", "Acne"), ("SFR", "SNCF")])
def test_other_names_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_the_owner_passes_and_so_does_who_is_elsewhere() -> None:
    names = Names([Protected(1, "La Poste", (7,), ("FR",), False, 0), Protected(2, "PayPal", (), (), True, 0)])
    assert names.rival(7, "LAP0STE", ("FR",)) is None
    assert names.rival(8, "LAP0STE", ("FR", "DE")) is not None
    assert names.rival(8, "LAP0STE", ("DE",)) is None
    assert names.rival(8, "LAP0STE") is not None  # a sender for all countries
    assert names.rival(8, "LaPosteInfo", ("FR",)) is None
    assert names.rival(8, "PayPaIInfo") is not None


async def test_a_look_alike_is_refused_unless_its_owner_or_the_operator_makes_it(
    rt: Runtime, acme: Account, other: Account
) -> None:
    before = await create_sender(rt, "test", other.id, address="La-Poste")
    brand = await create_protected(rt, "test", name="La Poste", account_ids=(acme.id,))
    assert lookalikes(rt, brand) == [before]
    error = await refused(create_sender(rt, "test", other.id, address="LA P0STE"))
    assert (error.code, error.param) == ("sender_lookalike", "address")
    await create_sender(rt, "test", acme.id, address="LA P0STE")
    await create_sender(rt, "test", other.id, address="LAPOSTE", vouched=True)
    await update_protected(rt, "test", brand.id, countries=("FR",))
    made = await create_sender(rt, "test", other.id, address="laposte", countries=("DE",))
    assert (await refused(update_sender(rt, "test", other.id, made.id, countries=("FR",)))).code == "sender_lookalike"


async def test_a_look_alike_waits_for_review_where_the_operator_wants_it(rt: Runtime, acme: Account) -> None:
    await create_protected(rt, "test", name="PayPal")
    book(rt).enforcement = Enforcement(lookalikes="review")
    made = await create_sender(rt, "test", acme.id, address="PayPaI", inbound=True)
    assert (made.status, made.inbound) == ("review", False)
    told = check(book(rt), acme, "PayPaI", "FR", NOW)
    assert told is not None and "review" in told.message
    await update_sender(rt, "test", acme.id, made.id, status="active", vouched=True)
    assert check(book(rt), acme, "PayPaI", "FR", NOW) is None


async def test_who_may_use_any_address_may_not_use_a_look_alike(rt: Runtime, acme: Account) -> None:
    await create_protected(rt, "test", name="PayPal", countries=("FR",))
    free = msgspec.structs.replace(acme, settings=AccountSettings(any_sender=True))
    told = check(book(rt), free, "PayPaI", "FR", NOW)
    assert told is not None and told.code == "sender_lookalike"
    assert check(book(rt), free, "PayPaI", "DE", NOW) is None


async def test_a_name_too_short_to_tell_apart_is_not_protected(rt: Runtime) -> None:
    assert (await refused(create_protected(rt, "test", name="SFR", contained=True))).param == "name"
    assert (await refused(create_protected(rt, "test", name="PayPal", account_ids=(1,)))).param == "account_ids[0]"
    await create_protected(rt, "test", name="PayPal")
    assert (await refused(create_protected(rt, "test", name="PayPal"))).code == "duplicate_name"
