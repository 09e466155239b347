"""What a person's phone sent to the account's numbers."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from chappe import ids, senders
from chappe.clock import rfc3339
from chappe.messages import InboundMessage
from chappe.messages.inbound import address
from chappe.messages.store import BLANK_FRAMES, DROP_INBOUND_PARTS
from chappe.privacy.holdings import store
from chappe.privacy.holdings.contract import Record, Slice, windows
from chappe.privacy.model import Who

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_NOBODY = 0


class FromPhones:
    kind = "inbound"
    columns = (
        "inbound.source",
        "inbound.text",
        "inbound.payload",
        "inbound_parts.source",
        "inbound_parts.text",
        "inbound_parts.payload",
        "inbound_parts.raw",
    )

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        async for found in _found(rt, who):
            yield [_shown(one) for one in found]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        async for found in _found(rt, who):
            erased = store.ERASE_INBOUND([(one.id, who.alias(one.test)) for one in found])
            yield len(found), [erased, BLANK_FRAMES([(one.id,) for one in found])]
        if parts := await _parts(rt, who):
            yield len(parts), [DROP_INBOUND_PARTS(parts)]


async def _found(rt: Runtime, who: Who) -> AsyncIterator[list[InboundMessage]]:
    whose = {"account_id": who.account_id, "upto": who.upto}
    async for window in windows(rt, store.INBOUND_WINDOW, **whose):
        params = {**window, "person": who.person, "tests": list(who.tests)}
        params.pop("upto")
        if rows := await rt.store.scan(store.INBOUND(params)):
            yield [InboundMessage(*row) for row in rows]


async def _parts(rt: Runtime, who: Who) -> list[tuple[object, ...]]:
    """Parts of long messages that wait for the others, ten minutes at most: a small table. Nobody has been told whose
    they are, so their owner is asked for as when they are joined."""
    known = senders.book(rt)
    return [
        tuple(row)
        for row in await rt.store.scan(store.INBOUND_PARTS())
        if address(row[1]) == who.person and (senders.owner(known, row[0], row[2]) or _NOBODY) == who.account_id
    ]


def _shown(one: InboundMessage) -> Record:
    data = None if one.text is not None or one.payload is None else base64.b64encode(bytes(one.payload)).decode()
    return {
        "id": ids.public("inb", one.id),
        "from": one.source,
        "to": one.recipient,
        "text": one.text,
        "data": data,
        "received_at": rfc3339(one.received_at),
        "test": bool(one.test),
    }
