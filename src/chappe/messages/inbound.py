"""Inbound: what phones send. Stored before it is answered; long messages are put together; nobody's stay visible.

What a phone says about further messages takes effect in the same unit, before anybody else hears of it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chappe import consent, numbers, senders
from chappe import text as texts
from chappe.batching import Batcher, Full
from chappe.channels import Inbound
from chappe.channels.contract import Done
from chappe.channels.settings import SmppSettings
from chappe.events import InboundReceived
from chappe.messages import history, opt_out, store
from chappe.messages.replies import Replies
from chappe.numbers import NumberError
from chappe.storage import Op, Row

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

MAX_WAITING = 20_000
PATIENCE_MS = 10 * 60_000  # for the missing parts of a long message; then what has come is delivered
SWEEP = 100
_NOBODY = 0

Key = tuple[int, str, str, int, int]


@dataclass(slots=True, eq=False)
class Filed:
    """A message from a phone before it is written. `heard` is what it says about further ones, of the account that it
    says it to."""

    inbound: Inbound
    id: int
    owner: int
    test: bool
    frames: Sequence[bytes]
    parts: int
    missing: int
    heard: consent.Heard | None
    kind: str | None = None


class Inbox:
    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self._items: Batcher[Inbound, bool] = Batcher(self._work, max_waiting=MAX_WAITING)
        self._owners = opt_out.Owners(house)
        self._lately = consent.Lately(house.rt)
        self._replies = Replies(house)

    def inbound(self, inbound: Inbound, done: Done) -> None:
        if inbound.text:
            inbound.text = inbound.text.replace("\0", "")  # padding, which PostgreSQL keeps in no text; the octets stay
        try:
            self._items.add(inbound, lambda result: done(result is True))
        except Full:
            done(False)

    async def drain(self) -> None:
        await self._items.drain()
        await self._replies.drain()

    async def _work(self, items: list[Inbound]) -> Sequence[bool]:
        filed = [self._file(item, [item.raw], 1, 0) for item in items if item.concat is None]
        parts = [item for item in items if item.concat is not None]
        await self._write(filed, [store.ADD_INBOUND_PARTS([part_row(part) for part in parts])] if parts else [])
        for key in {key_of(part) for part in parts}:
            await self.complete(key)
        return [True] * len(items)

    async def sweep(self) -> None:
        """Complete what a crash left complete, deliver what will not become so, and answer who still waits for it."""
        before = self._house.rt.clock.now() - PATIENCE_MS
        rows = await self._house.rt.store.scan(store.COMPLETE_INBOUND({"before": before, "limit": SWEEP}))
        for row in rows:
            await self.complete(tuple(row[:5]), late=row[5] < before)
        await self._replies.sweep()

    async def complete(self, key: Key, *, late: bool = False) -> None:
        """File the long message of this key if all its parts are there, or if it is late."""
        names = ("connector_id", "source", "recipient", "reference", "total")
        rows = await self._house.rt.store.read(store.INBOUND_PARTS(dict(zip(names, key, strict=True))))
        missing = key[4] - len(rows)
        if not rows or (missing and not late):
            return
        whole = self._join(key, rows)
        filed = self._file(whole, [bytes(row[6]) for row in rows], len(rows), missing)
        await self._write([filed], [store.DROP_INBOUND_PARTS([key], expect=len(rows))])

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

    def _file(self, inbound: Inbound, frames: Sequence[bytes], parts: int, missing: int) -> Filed:
        house = self._house
        inbound_id = house.rt.ids.next()
        owner = senders.owner(house.senders, inbound.connector_id, inbound.destination) or _NOBODY
        connector = house.connectors.get(inbound.connector_id)
        test = connector is not None and connector.test
        heard = opt_out.heard(house, inbound, inbound_id, owner, test)
        return Filed(inbound, inbound_id, owner, test, frames, parts, missing, heard)

    async def _write(self, filed: Sequence[Filed], ops: list[Op]) -> None:
        """The rows of messages from phones, what these change about further ones, and the news for their owners."""
        rt = self._house.rt
        heeded = await self._heed(filed)
        if filed:
            ops.append(store.ADD_INBOUND([_row(one) for one in filed]))
            ops.append(store.ADD_HISTORY([step for one in filed for step in self._steps(one)]))
        news = [self._news(one) for one in filed if one.owner]
        wake = (consent.TOPIC,) if heeded.stopped else ()
        await rt.events.write(*heeded.ops, *ops, tell=[*heeded.events, *news], wake=wake)
        consent.announce(rt, heeded.stopped)
        heeded.committed()
        if heeded.replies:
            self._replies.kick()

    async def _heed(self, filed: Sequence[Filed]) -> consent.Heeded:
        said = []
        for one in filed:
            if one.heard is not None and not one.owner:
                one.heard = await self._owners.known(one.heard)
            if one.heard is not None:
                said.append((one, one.heard))
        heeded = await consent.heed(self._house.rt, [heard for _, heard in said], self._lately)
        for (one, _), kind in zip(said, heeded.kinds, strict=True):
            one.kind = kind
        return heeded

    def _steps(self, one: Filed) -> list[history.Step]:
        """One for each part that it came in."""
        connector = self._house.connector_name(one.inbound.connector_id)
        said: dict[str, Any] = {"connector": connector, "owner": one.owner or None}
        if one.kind is not None and one.heard is not None:
            said |= {"heard": one.kind, "keyword": one.heard.meaning.keyword, "of": one.heard.account_id}
        at, ids = one.inbound.received_at, self._house.rt.ids
        return [
            history.step(one.id, ids.next(), at, history.RECEIVED, said, part=number, request=frame)
            for number, frame in enumerate(one.frames, 1)
        ]

    def _news(self, one: Filed) -> InboundReceived:
        inbound = one.inbound
        return InboundReceived(
            inbound_id=one.id,
            account_id=one.owner,
            occurred_at=inbound.received_at,
            to=address(inbound.destination),
            sender=address(inbound.source),
            text=inbound.text,
            data=base64.b64encode(inbound.payload).decode() if inbound.text is None else None,
            data_coding=inbound.data_coding,
            udh=inbound.udh.hex() or None,
            connector=self._house.connector_name(inbound.connector_id),
            test=one.test,
            heard=one.kind,
        )


def _row(one: Filed) -> tuple[Any, ...]:
    """The columns of `inbound`, in their order."""
    inbound = one.inbound
    return (
        one.id,
        one.owner,
        inbound.connector_id,
        int(one.test),
        address(inbound.source),
        address(inbound.destination),
        inbound.text,
        inbound.payload,
        inbound.udh,
        inbound.data_coding,
        one.parts,
        one.missing,
        inbound.received_at,
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
