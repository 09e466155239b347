"""The room in memory: the book of all prices, loaded and followed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from chappe.accounts import snapshot
from chappe.billing.rating import contents, store
from chappe.billing.rating.book import Book
from chappe.billing.rating.fx import DAY_MS, Fx, FxRate
from chappe.billing.rating.model import PriceList
from chappe.billing.rating.rates import Card
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime

FX_DAYS = 800  # of rates of exchange in memory; of older ones only the last, where there is none since


async def start(rt: Runtime) -> None:
    """Read the room's tables and follow them."""
    cards = _Cards()
    base = rt.settings.billing.base_currency

    async def load(store_: Store) -> Book:
        # what refers to others first: nothing is then without what it names
        terms, connector_cards = await store.TERMS.load(store_), await store.CARDS.load(store_)
        lists = await store.LISTS.load(store_)
        since = rt.clock.now() // DAY_MS - FX_DAYS
        rows = await store_.scan(store.FX({"since": since}))
        fx = await asyncio.to_thread(lambda: Fx((FxRate(*row) for row in rows), base))
        return Book(lists, await cards.of(store_, lists), connector_cards, terms, fx, base)

    await rt.snapshots.add(Snapshot(store.ROOM, load))


def book(rt: Runtime) -> Book:
    value = snapshot(rt, store.ROOM).value
    assert isinstance(value, Book)
    return value


class _Cards:
    """The compiled rows of each list: a version never changes, so only new ones are read."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Card] = {}

    async def of(self, store_: Store, lists: Iterable[PriceList]) -> dict[int, Card]:
        wanted = [(one.id, one.version) for one in lists if one.version]
        known = {key: self._known[key] for key in wanted if key in self._known}
        for list_id, version in wanted:
            if (list_id, version) not in known:
                rows = await store_.scan(store.CONTENT({"list_id": list_id, "version": version}))
                if rows:
                    known[list_id, version] = await asyncio.to_thread(_compiled, rows[0][0])
        self._known = known
        return {list_id: card for (list_id, _), card in known.items()}


def _compiled(content: bytes) -> Card:
    return Card(contents.unpacked(content))
