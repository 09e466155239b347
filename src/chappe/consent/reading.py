"""The ledger and what it comes to, read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from chappe.consent import store
from chappe.consent.room import persons
from chappe.storage import Row

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def consents_of(
    rt: Runtime,
    account_id: int,
    test: bool,
    *,
    person: str | None = None,
    channel: str | None = None,
    purpose: str | None = None,
    brand: str | None = None,
    state: Literal["given", "withdrawn", "expired"] | None = None,
    behind: Sequence[Any],
    limit: int,
) -> list[Row]:
    """Rows of `store.consents_like`, the newest word first, `behind` a place: (entry, channel, purpose, brand).

    `person` is an address as it is stored. Raises Unavailable.
    """
    key = None if person is None else persons(rt).key(account_id, test, person)
    wanted = {"person_key": key, "channel": channel, "purpose": purpose, "brand": brand}
    equal = {name: value for name, value in wanted.items() if value is not None}
    entry_id, after_channel, after_purpose, after_brand = behind
    params: dict[str, Any] = {
        "account_id": account_id,
        "test": int(test),
        "entry_id": entry_id,
        "after_channel": after_channel,
        "after_purpose": after_purpose,
        "after_brand": after_brand,
        "limit": limit,
        **equal,
    }
    if state in ("given", "expired"):
        params["now"] = rt.clock.now()
    return await rt.store.scan(store.consents_like(state, *equal)(params))


async def entry_row(rt: Runtime, account_id: int, test: bool, entry_id: int) -> Row | None:
    """A row like those of `store.CHAINED`, its sequence 0 until it is sealed; None for another account's. Raises
    Unavailable."""
    rows = await rt.store.read(store.ENTRY({"id": entry_id, "account_id": account_id, "test": int(test)}))
    return rows[0] if rows else None
