"""Receipts that fit no message. They are nobody's, so only the operator sees and erases them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.clock import rfc3339
from chappe.consent import EVERYONES
from chappe.messages.receipts import same_number
from chappe.messages.store import UNPARK
from chappe.privacy.holdings import store
from chappe.privacy.holdings.contract import Record, Slice, windows
from chappe.privacy.model import Who

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_TAIL = 8  # digits: suppliers write the beginning as they like


class Strays:
    kind = "parked_receipt"
    columns = ("parked_receipts.receipt", "parked_receipts.raw")

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        async for found in self._found(rt, who):
            yield [{"received_at": rfc3339(at), "receipt": receipt} for _, at, receipt in found]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        async for found in self._found(rt, who):
            yield len(found), [UNPARK([(one[0],) for one in found])]

    async def _found(self, rt: Runtime, who: Who) -> AsyncIterator[list[tuple[int, int, Any]]]:
        if who.account_id != EVERYONES or not who.digits:
            return
        async for window in windows(rt, store.PARKED_WINDOW):
            rows = await rt.store.scan(store.PARKED({**window, "tail": who.digits[-_TAIL:]}))
            read = [(row[0], row[1], msgspec.json.decode(row[2])) for row in rows]
            if found := [row for row in read if _of(row[2], who)]:
                yield found


def _of(receipt: Any, who: Who) -> bool:
    told = str(receipt.get("destination") or "")
    return bool(told) and same_number(told, who.person)
