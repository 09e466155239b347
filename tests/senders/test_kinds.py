from __future__ import annotations

import pytest

from chappe.accounts import Account
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.senders import Overrides, book, capabilities, create_sender, kind_of, update_sender
from chappe.storage import sql


@pytest.mark.parametrize(
    ("address", "kind", "home"),
    [
        ("Acme", "alphanumeric", ""),
        ("36080", "short_code", ""),
        ("+33612345678", "long_code", "FR"),
        ("33612345678", "long_code", "FR"),
        ("+18005551234", "toll_free", "US"),
        ("+12025550123", "ten_dlc", "US"),
        ("+14165550123", "ten_dlc", "CA"),
        ("+12423595555", "long_code", "BS"),
        ("999999999", "long_code", ""),
    ],
)
def test_the_kind_of_a_sender_is_told_from_its_address(address: str, kind: str, home: str) -> None:
    assert kind_of(address) == (kind, home)


def test_10dlc_is_counted_by_carrier_and_by_the_score_of_the_brand() -> None:
    def limits(**more: object) -> dict[str, tuple[int, str, str]]:
        found = capabilities("ten_dlc", "US", **more)  # type: ignore[arg-type]
        return {one.carrier: (one.limit, one.per, one.key) for one in found.throughput}

    assert limits(score=80) == {"att": (4500, "minute", "campaign"), "t_mobile": (200_000, "day", "brand")}
    assert limits(score=30) == {"att": (240, "minute", "campaign"), "t_mobile": (10_000, "day", "brand")}
    assert limits() == {"att": (240, "minute", "campaign"), "t_mobile": (2_000, "day", "brand")}
    assert limits(score=80, category="LOW_VOLUME")["att"] == (75, "minute", "campaign")


def test_what_the_operator_knows_better_comes_first() -> None:
    plain = capabilities("toll_free", "US")
    assert (plain.two_way, plain.mms, plain.throughput[0].limit) == (True, True, 3)
    better = capabilities("toll_free", "US", Overrides(mms=False, rate_per_s=20))
    assert (better.two_way, better.mms, better.throughput[0].limit) == (True, False, 20)
    assert not capabilities("alphanumeric", "").two_way


async def test_a_row_of_before_reads_as_the_kind_it_is(rt: Runtime, acme: Account) -> None:
    made = await create_sender(rt, "test", acme.id, address="+33612345678")
    await rt.store.write(sql("update senders set kind = 'numeric' where id = :id")({"id": made.id}))
    await rt.snapshots.named("senders").refresh(rt.store)
    assert book(rt).get(acme.id, made.id) == made
    changed = await update_sender(rt, "test", acme.id, made.id, countries=("FR",))
    assert changed.kind == "long_code"


async def test_a_number_may_be_another_kind_of_number_and_a_name_is_a_name(rt: Runtime, acme: Account) -> None:
    made = await create_sender(
        rt, "test", acme.id, address="+12025550123", kind="toll_free", overrides=Overrides(mms=False)
    )
    assert book(rt).get(acme.id, made.id) == made and made.kind == "toll_free"
    with pytest.raises(Refused) as caught:
        await create_sender(rt, "test", acme.id, address="Acme", kind="long_code")
    assert (caught.value.code, caught.value.param) == ("invalid_value", "kind")
