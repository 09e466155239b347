from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from chappe.accounts import Account, AccountSettings, audit_entries
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.senders import Book, book, create_sender, delete_sender, owner, update_sender
from chappe.senders import check as check_at
from tests.accounts.runtime import start


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


NOW = 1_793_000_000_000  # 2026-10-26


def check(known: Book, account: Account, sender: str, country: str | None) -> Refused | None:
    return check_at(known, account, sender, country, NOW)


def code(error: Refused | None) -> str | None:
    return None if error is None else error.code


async def test_a_sender_is_allowed_to_its_account_alone(rt: Runtime, acme: Account, other: Account) -> None:
    made = await create_sender(rt, "test", acme.id, address="Acme")
    assert made.kind == "alphanumeric"
    assert check(book(rt), acme, "Acme", "FR") is None
    assert code(check(book(rt), acme, "ACME", "FR")) == "sender_not_allowed"
    assert code(check(book(rt), other, "Acme", "FR")) == "sender_not_allowed"
    assert book(rt).get(other.id, made.id) is None and book(rt).get(acme.id, made.id) == made


async def test_a_sender_is_bound_to_its_countries(rt: Runtime, acme: Account) -> None:
    await create_sender(rt, "test", acme.id, address="Acme", countries=("FR", "BE"))
    assert check(book(rt), acme, "Acme", "BE") is None
    assert code(check(book(rt), acme, "Acme", "DE")) == "sender_not_allowed"
    assert code(check(book(rt), acme, "Acme", None)) == "sender_not_allowed"


async def test_a_suspended_sender_neither_sends_nor_receives(rt: Runtime, acme: Account) -> None:
    made = await create_sender(rt, "test", acme.id, address="38080", inbound=True)
    assert made.kind == "short_code" and owner(book(rt), 1, "38080") == acme.id
    await update_sender(rt, "test", acme.id, made.id, status="suspended")
    assert code(check(book(rt), acme, "38080", "FR")) == "sender_not_allowed"
    assert owner(book(rt), 1, "38080") is None


async def test_an_aggregator_sends_from_any_well_formed_address(rt: Runtime, acme: Account) -> None:
    free = msgspec.structs.replace(acme, settings=AccountSettings(any_sender=True))
    for address in ("Shop", "+33612345678", "38080"):
        assert check(book(rt), free, address, "DE") is None
    assert code(check(book(rt), free, "much too long for this", "FR")) == "sender_invalid"
    assert code(check(book(rt), free, "a@b", "FR")) == "sender_invalid"


async def test_a_number_is_the_same_with_and_without_plus(rt: Runtime, acme: Account) -> None:
    await create_sender(rt, "test", acme.id, address="+33612345678", inbound=True)
    assert check(book(rt), acme, "33612345678", "DE") is None
    assert owner(book(rt), 1, "33612345678") == owner(book(rt), 1, "+33612345678") == acme.id
    assert (await refused(create_sender(rt, "test", acme.id, address="33612345678"))).code == "duplicate_name"


async def test_an_incoming_message_belongs_to_whom_its_connector_says(
    rt: Runtime, acme: Account, other: Account, store_url: str, tmp_path: Path
) -> None:
    await create_sender(rt, "test", acme.id, address="38080", inbound=True, connector_ids=(1, 2))
    await create_sender(rt, "test", other.id, address="38080", inbound=True, connector_ids=(3,))
    await create_sender(rt, "test", other.id, address="39000")
    node = await start(store_url, tmp_path)
    for known in (book(rt), book(node)):
        assert [owner(known, number, "38080") for number in (1, 2, 3, 4)] == [acme.id, acme.id, other.id, None]
        assert owner(known, 1, "39000") is None  # it does not receive
        assert known.using(2) == ["38080"]
    await node.close()


async def test_nobody_takes_what_another_account_receives(rt: Runtime, acme: Account, other: Account) -> None:
    await create_sender(rt, "test", acme.id, address="38080", inbound=True, connector_ids=(1, 2))
    for connectors in ((2,), ()):
        work = create_sender(rt, "test", other.id, address="38080", inbound=True, connector_ids=connectors)
        assert (await refused(work)).code == "duplicate_name"
    mine = await create_sender(rt, "test", other.id, address="38080")  # to send from only
    assert (await refused(update_sender(rt, "test", other.id, mine.id, inbound=True))).code == "duplicate_name"
    await update_sender(rt, "test", other.id, mine.id, inbound=True, connector_ids=(3,))
    assert owner(book(rt), 3, "38080") == other.id


async def test_another_accounts_sender_is_not_found(rt: Runtime, acme: Account, other: Account) -> None:
    made = await create_sender(rt, "test", acme.id, address="Acme")
    assert (await refused(update_sender(rt, "test", other.id, made.id, status="suspended"))).status == 404
    assert (await refused(delete_sender(rt, "test", other.id, made.id))).code == "not_found"
    await delete_sender(rt, "test", acme.id, made.id)
    assert list(book(rt).of(acme.id)) == []
    assert [entry.action for entry in await audit_entries(rt, acme.id)][:2] == ["delete", "create"]


BAD_SENDERS: list[tuple[dict[str, Any], str, str]] = [
    ({"address": "twelve chars"}, "sender_invalid", "address"),
    ({"address": ""}, "sender_invalid", "address"),
    ({"address": "a@b"}, "sender_invalid", "address"),
    ({"address": "12"}, "sender_invalid", "address"),
    ({"countries": ("France",)}, "invalid_value", "countries[0]"),
    ({"status": "gone"}, "invalid_value", "status"),
]


async def test_a_bad_sender_is_refused(rt: Runtime, acme: Account) -> None:
    for fields, code, param in BAD_SENDERS:
        error = await refused(create_sender(rt, "test", acme.id, **({"address": "Acme"} | fields)))
        assert (error.code, error.param) == (code, param)
