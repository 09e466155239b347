"""Inbound: what phones send. Stored before it is answered; long messages are put together; nobody's stay visible."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chappe import numbers, senders
from chappe import text as texts
from chappe.batching import Batcher, Full
from chappe.channels import Inbound
from chappe.channels.contract import Done
from chappe.channels.settings import SmppSettings
from chappe.events import InboundReceived
from chappe.messages import history, store
from chappe.numbers import NumberError
from chappe.storage import Op, Row

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

MAX_WAITING = 20_000
PATIENCE_MS = 10 * 60_000  # for the missing parts of a long message; then what has come is delivered
SWEEP = 100
_NOBODY = 0

Key = tuple[int, str, str, int, int]


class Inbox:
    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self._items: Batcher[Inbound, bool] = Batcher(self._work, max_waiting=MAX_WAITING)

    def inbound(self, inbound: Inbound, done: Done) -> None:
        if inbound.text:
            inbound.text = inbound.text.replace("\0", "")  # padding, which PostgreSQL keeps in no text; the octets stay
        try:
            self._items.add(inbound, lambda result: done(result is True))
        except Full:
            done(False)

    async def drain(self) -> None:
        await self._items.drain()

    async def _work(self, items: list[Inbound]) -> Sequence[bool]:
        ops: list[Op] = []
        events: list[InboundReceived] = []
        for inbound in (item for item in items if item.concat is None):
            self._file(inbound, [inbound.raw], 1, 0, ops, events)
        parts = [item for item in items if item.concat is not None]
        if parts:
            ops.append(store.ADD_INBOUND_PARTS([part_row(part) for part in parts]))
        await self._house.rt.events.write(*ops, tell=events)
        for key in {key_of(part) for part in parts}:
            await self.complete(key)
        return [True] * len(items)

    async def sweep(self) -> None:
        """Complete what a crash left complete, and deliver what will not become so."""
        before = self._house.rt.clock.now() - PATIENCE_MS
        rows = await self._house.rt.store.scan(store.COMPLETE_INBOUND({"before": before, "limit": SWEEP}))
        for row in rows:
            await self.complete(tuple(row[:5]), late=row[5] < before)

    async def complete(self, key: Key, *, late: bool = False) -> None:
        """File the long message of this key if all its parts are there, or if it is late."""
        names = ("connector_id", "source", "recipient", "reference", "total")
        rows = await self._house.rt.store.read(store.INBOUND_PARTS(dict(zip(names, key, strict=True))))
        missing = key[4] - len(rows)
        if not rows or (missing and not late):
            return
        ops: list[Op] = [store.DROP_INBOUND_PARTS([key], expect=len(rows))]
        events: list[InboundReceived] = []
        whole = self._join(key, rows)
        self._file(whole, [bytes(row[6]) for row in rows], len(rows), missing, ops, events)
        await self._house.rt.events.write(*ops, tell=events)

    def _join(self, key: Key, rows: Sequence[Row]) -> Inbound:
        connector = self._house.connectors.get(key[0])
        stored = [texts.StoredPart(row[0], key[4], bytes(row[4]) + bytes(row[3]), row[5], bool(row[4])) for row in rows]
        joined = texts.join(stored) if connector is None else texts.join(stored, *_charset(connector.settings))
        assert joined is not None
        joined_text = None if joined.text is None else joined.text.replace("\0", "")
        first = rows[0]
        return Inbound(
            connector_id=key[0],
            source=key[1],
            destination=key[2],
            received_at=max(row[1] for row in rows),
            text=joined_text,
            payload=joined.payload,
            data_coding=first[5],
        )

    def _file(
        self,
        inbound: Inbound,
        frames: Sequence[bytes],
        parts: int,
        missing: int,
        ops: list[Op],
        events: list[InboundReceived],
    ) -> None:
        """Add the rows of one message from a phone, and the news of it for its owner."""
        house = self._house
        rt = house.rt
        inbound_id = rt.ids.next()
        owner = senders.owner(house.senders, inbound.connector_id, inbound.destination)
        connector = house.connectors.get(inbound.connector_id)
        test = connector is not None and connector.test
        row = (
            inbound_id,
            owner or _NOBODY,
            inbound.connector_id,
            int(test),
            address(inbound.source),
            address(inbound.destination),
            inbound.text,
            inbound.payload,
            inbound.udh,
            inbound.data_coding,
            parts,
            missing,
            inbound.received_at,
        )
        ops.append(store.ADD_INBOUND([row]))
        said: dict[str, Any] = {"connector": house.connector_name(inbound.connector_id), "owner": owner or None}
        steps = [
            history.step(
                inbound_id, rt.ids.next(), inbound.received_at, history.RECEIVED, said, part=number, request=frame
            )
            for number, frame in enumerate(frames, 1)
        ]
        ops.append(store.ADD_HISTORY(steps))
        if owner:
            events.append(self._news(inbound, inbound_id, owner, test))

    def _news(self, inbound: Inbound, inbound_id: int, owner: int, test: bool) -> InboundReceived:
        return InboundReceived(
            inbound_id=inbound_id,
            account_id=owner,
            occurred_at=inbound.received_at,
            to=address(inbound.destination),
            sender=address(inbound.source),
            text=inbound.text,
            data=base64.b64encode(inbound.payload).decode() if inbound.text is None else None,
            data_coding=inbound.data_coding,
            udh=inbound.udh.hex() or None,
            connector=self._house.connector_name(inbound.connector_id),
            test=test,
        )


def address(digits: str) -> str:
    """A number in E.164 with its `+`; short codes and names as they are."""
    try:
        return numbers.parse(f"+{digits}").e164
    except NumberError:
        return digits


def _charset(settings: SmppSettings) -> tuple[texts.Charset, bool, bool]:
    """(alphabet of data_coding 0, UCS-2 is little-endian, septets are packed), as `text.join` takes them."""
    if settings.default_alphabet == "gsm7_packed":
        return "gsm7", settings.ucs2_little_endian, True
    return settings.default_alphabet, settings.ucs2_little_endian, False


def key_of(part: Inbound) -> Key:
    assert part.concat is not None
    return (part.connector_id, part.source, part.destination, part.concat[0], part.concat[1])


def part_row(part: Inbound) -> tuple[Any, ...]:
    assert part.concat is not None
    return (
        *key_of(part),
        part.concat[2],
        part.received_at,
        part.text,
        part.payload,
        part.udh,
        part.data_coding,
        part.raw,
    )
