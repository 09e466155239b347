"""What the account's own systems are told of a person: by webhooks, by SMPP sessions, and by the outbox before both.

An event names the thing that it is about, so that what is told of younger things is left alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from chappe import ids
from chappe.clock import rfc3339
from chappe.privacy.holdings import store
from chappe.privacy.holdings.contract import Record, Slice, windows, without_person
from chappe.privacy.model import Who

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SLICE = 50  # units of a statement a row
_WORDS = {0: "pending", 1: "delivered", 2: "failed", 3: "dropped"}
_ABOUT = ("message_id", "inbound_id", "opt_out_id")
_TEXTS = frozenset(("text", "data", "udh", "options", "metadata", "correlation_id", "callback_url"))
_SMPP = {0: "receipt", 1: "inbound"}

_decode = msgspec.json.decode
_encode = msgspec.json.encode


class Webhooks:
    """The log of deliveries, with what was posted and what was answered."""

    kind = "webhook_delivery"
    columns = ("webhook_deliveries.body", "webhook_attempts.response")

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        async for found in _hooks(rt, who):
            yield [
                {
                    "id": ids.public("whd", number),
                    "type": kind,
                    "state": _WORDS[state],
                    "body": body,
                    "created_at": rfc3339(created_at),
                    "finished_at": rfc3339(finished_at),
                }
                for number, kind, state, body, created_at, finished_at in found
            ]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        now = rt.clock.now()
        async for found in _hooks(rt, who):
            for some in _some(found):
                ops = [
                    store.ERASE_HOOK({"id": number, "body": _encode(_blank(body)).decode(), "now": now})
                    for number, _, _, body, *_ in some
                ]
                yield len(some), [*ops, store.ERASE_ANSWERS({"ids": [one[0] for one in some]})]


class Sessions:
    """Receipts and messages that wait for a session of an SMPP customer: they are not handed over any more."""

    kind = "smpp_delivery"
    columns = ("smsc_deliveries.data",)

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        async for found in self._found(rt, who):
            yield [
                {"kind_of": _SMPP.get(kind, str(kind)), "data": said, "created_at": rfc3339(created_at)}
                for _, kind, said, created_at in found
            ]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        async for found in self._found(rt, who):
            yield len(found), [store.ERASE_SESSIONS({"ids": [one[0] for one in found]})]

    async def _found(self, rt: Runtime, who: Who) -> AsyncIterator[list[tuple[int, int, Any, int]]]:
        if 0 not in who.tests:
            return  # they do not say whether they are a test
        async for window in windows(rt, store.SESSIONS_WINDOW):
            params = {**window, "account_id": who.account_id, "quoted": who.quoted}
            rows = [(row[0], row[1], _decode(row[2]), row[3]) for row in await rt.store.scan(store.SESSIONS(params))]
            if found := [row for row in rows if row[2].get("id", 0) <= who.upto]:
                yield found


class Outbox:
    """News that a reaction has not heard yet, or failed on. They are told without the person."""

    kind = "event"
    columns = ("events.payload", "events_aside.payload")

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        async for found in self._found(rt, who):
            yield [{"event": said.get("type"), "data": said} for _, said in found]
        async for aside in self._aside(rt, who):
            yield [{"event": said.get("type"), "data": said} for _, _, said in aside]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        async for found in self._found(rt, who):
            for some in _some(found):
                ops = [store.ERASE_EVENT({"position": place, "payload": _told(said, who)}) for place, said in some]
                yield len(some), ops
        async for aside in self._aside(rt, who):
            ops = [
                store.ERASE_ASIDE({"reaction": reaction, "position": place, "payload": _told(said, who)})
                for reaction, place, said in aside
            ]
            yield len(aside), ops

    async def _found(self, rt: Runtime, who: Who) -> AsyncIterator[list[tuple[int, Any]]]:
        async for window in windows(rt, store.EVENTS_WINDOW):
            params = {**window, "account_id": who.account_id, "quoted": who.quoted}
            rows = [(row[0], _decode(row[1])) for row in await rt.store.scan(store.EVENTS(params))]
            if found := [row for row in rows if _meant(row[1], who)]:
                yield found

    async def _aside(self, rt: Runtime, who: Who) -> AsyncIterator[list[tuple[str, int, Any]]]:
        place: tuple[str, int] = ("", -1)
        params = {"account_id": who.account_id, "quoted": who.quoted, "limit": SLICE}
        while rows := await rt.store.scan(store.ASIDE({**params, "reaction": place[0], "position": place[1]})):
            place = rows[-1][0], rows[-1][1]
            told = [(row[0], row[1], _decode(row[2])) for row in rows]
            if found := [row for row in told if _meant(row[2], who)]:
                yield found


async def _hooks(rt: Runtime, who: Who) -> AsyncIterator[list[tuple[Any, ...]]]:
    async for window in windows(rt, store.HOOKS_WINDOW, account_id=who.account_id):
        rows = await rt.store.scan(store.HOOKS({**window, "quoted": who.quoted}))
        read = [(row[0], row[1], row[2], _decode(row[3]), *row[4:]) for row in rows]
        if found := [row for row in read if _posted(row[3], row[0], who)]:
            yield found


def _posted(body: Any, delivery_id: int, who: Who) -> bool:
    """Whether a delivery is of the time and the mode that are meant."""
    data = body.get("data") or {}
    name = str(data.get("id") or "")
    about = ids.parse(name.partition("_")[0], name)
    return int(bool(data.get("test"))) in who.tests and (delivery_id if about is None else about) <= who.upto


def _meant(said: Any, who: Who) -> bool:
    about = next((said[name] for name in _ABOUT if name in said), 0)
    return int(bool(said.get("test"))) in who.tests and about <= who.upto


def _told(said: Any, who: Who) -> str:
    test = int(bool(said.get("test")))
    left = {name: value for name, value in said.items() if name not in _TEXTS}
    return _encode(without_person(left, who, test)).decode()


def _blank(body: Any) -> Any:
    """What is left of a delivery: that there was one."""
    data = body.get("data") or {}
    return {**body, "data": {"id": data.get("id"), "erased": True}}


def _some(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), SLICE):
        yield rows[start : start + SLICE]
