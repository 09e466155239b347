"""Whose data is meant: an address as people write it, and as each account knows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from chappe import consent
from chappe.privacy import store
from chappe.privacy.model import NEWEST, Who, hex_of

if TYPE_CHECKING:
    from chappe.runtime import Runtime


def named(text: str) -> str:
    """An address as it is stored: `+33612345678` from any spelling, `mail:...`, `push:...`, `alias:...`. Raises Refused
    that names `person`."""
    return consent.address(text)


def known_as(
    rt: Runtime, account_id: int, person: str, *, test: bool = False, upto: int = NEWEST, under_way: bool = False
) -> Who:
    """The person as an account knows them: with `test` only what test keys brought in, else everything."""
    people = consent.persons(rt)
    keys = people.key(account_id, False, person), people.key(account_id, True, person)
    return Who(account_id, person, keys, (1,) if test else (0, 1), upto, under_way)


def person_hash(rt: Runtime, account_id: int, person: str, *, test: bool = False) -> str:
    """Which stands for the person in receipts and in the access log."""
    return hex_of(known_as(rt, account_id, person).keys[test])


async def accounts_with_data(rt: Runtime) -> AsyncIterator[int]:
    """Every account of which there may be data of persons, also those that are gone; 0, what is nobody's, first."""
    account_id = -1
    while True:
        after = account_id
        found = [(await rt.store.scan(one({"after": after})))[0][0] for one in store.NEXT_ACCOUNTS]
        account_id = min((number for number in found if number is not None), default=-1)
        if after == -1 and account_id != 0:
            yield 0
        if account_id == -1:
            return
        yield account_id


__all__ = ["accounts_with_data", "known_as", "named", "person_hash"]
