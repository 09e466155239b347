"""Reading messages: one, a list, what phones sent, and the whole life of one (`explain`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chappe import ids, smpp
from chappe.errors import Refused
from chappe.messages import search, store
from chappe.messages.model import Message, PartState, State, decode_json
from chappe.storage import Row, Statement, core

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MAX_LIMIT = 500
_END = (1 << 63) - 1


@dataclass(slots=True, frozen=True)
class Filter:
    """What a list shows: newest first, those before `cursor` (an id) only. Times are milliseconds."""

    account_id: int
    states: tuple[State, ...] = ()
    to: str | None = None
    tag: str | None = None
    correlation_id: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    cursor: int | None = None
    limit: int = 50


@dataclass(slots=True, frozen=True)
class InboundMessage:
    """A message from a phone as it is stored. `account_id` 0: nobody owns the number it went to."""

    id: int
    account_id: int
    connector_id: int
    test: int
    source: str
    recipient: str
    text: str | None
    payload: bytes | None
    udh: bytes
    data_coding: int
    parts: int
    missing: int
    received_at: int


async def get(rt: Runtime, account_id: int | None, message_id: int) -> Message:
    """Raises Refused not_found, also for another account's message."""
    rows = await rt.store.read(store.GET({"id": message_id}))
    if not rows or (account_id is not None and rows[0][1] != account_id):
        raise Refused("not_found", "There is no such message.", param="id")
    return store.message(tuple(rows[0]))


async def listed(rt: Runtime, wanted: Filter) -> list[Message]:
    """Up to `limit` messages, newest first."""
    states = () if set(wanted.states) == set(State) else tuple(sorted(set(wanted.states)))
    since, before = _span(wanted)
    params: dict[str, Any] = {"account_id": wanted.account_id, "since": since, "before": before}
    params["limit"] = limit = min(wanted.limit, MAX_LIMIT)
    for name, value in (("recipient", wanted.to), ("correlation_id", wanted.correlation_id), ("tag", wanted.tag)):
        if value:
            params[name] = value
    tag = bool(wanted.tag)
    if wanted.to or wanted.correlation_id:
        like = search.messages_like(states, to=bool(wanted.to), correlation=bool(wanted.correlation_id), tag=tag)
        rows = await rt.store.scan(like(params))
    elif tag and await _tag_leads(rt, params, states):
        rows = await _led(rt, search.TAGGED, search.messages_led(states), params)
    else:
        rows = []
        waiting = tuple(state for state in states if state in search.WAITING)
        others = tuple(state for state in states if state not in search.WAITING)
        if others or not states:
            rows += await rt.store.scan(search.messages_like(others, tag=tag)(params))
        if waiting:
            rows += await _led(rt, search.QUEUED, search.messages_led(waiting, tag=tag), params)
    rows = sorted(rows, key=lambda row: -row[0])[:limit]
    return [store.message(tuple(row)) for row in rows]


async def _tag_leads(rt: Runtime, params: dict[str, Any], states: Collection[State]) -> bool:
    """Whether to look at the messages of a tag, or at those in these states within the time of the tag."""
    if not states or State.DELIVERED in states:
        return True
    [(count,)] = await rt.store.scan(search.COUNT_TAGGED(params))
    if count < search.FEW_TAGGED:
        return True
    [(oldest,)] = await rt.store.scan(search.OLDEST_TAGGED(params))
    params["since"] = max(params["since"], oldest)
    return False


async def _led(rt: Runtime, lead: Statement, fitting: Statement, params: dict[str, Any]) -> list[Row]:
    """The newest messages among those that another table knows: their ids in batches, until the page is full."""
    rows: list[Row] = []
    before, batch = params["before"], params["limit"]
    while len(rows) < params["limit"]:
        ids_ = [row[0] for row in await rt.store.scan(lead({**params, "before": before, "limit": batch}))]
        if ids_:
            rows += await rt.store.scan(fitting({**params, "ids": ids_}))
        if len(ids_) < batch:
            break
        before, batch = ids_[-1], search.BATCH
    return rows


async def inbound(rt: Runtime, wanted: Filter) -> list[InboundMessage]:
    """What phones sent to an account's numbers; `account_id` 0 shows what was sent to nobody's."""
    since, before = _span(wanted)
    spellings = (wanted.to, f"+{wanted.to}") if wanted.to else ()  # a + in a URL is easily lost
    params = {"account_id": wanted.account_id, "since": since, "before": before, "limit": min(wanted.limit, MAX_LIMIT)}
    named = {f"to{n}": spelling for n, spelling in enumerate(spellings)}
    rows = await rt.store.scan(search.inbound_like(len(spellings))(params | named))
    return [InboundMessage(*row) for row in rows]


async def inbound_one(rt: Runtime, account_id: int | None, inbound_id: int) -> InboundMessage:
    """Raises Refused not_found, also for another account's message."""
    statement, params = core(sa.select(store.inbound).where(store.inbound.c.id == inbound_id))
    rows = await rt.store.scan(statement(params))
    if not rows or (account_id is not None and rows[0][1] != account_id):
        raise Refused("not_found", "There is no such message.", param="id")
    return InboundMessage(*rows[0])


@dataclass(slots=True, frozen=True)
class Part:
    """A part that is or may be at a supplier."""

    attempt: int
    part: int
    connector_id: int
    provider_id: str
    state: str
    error: dict[str, Any] | None
    sent_at: int
    final_at: int | None


@dataclass(slots=True, frozen=True)
class Step:
    """A row of history. Frames are shown decoded and in hex, with texts and passwords blanked."""

    at: int
    kind: str
    attempt: int
    part: int
    data: dict[str, Any] | None
    request: dict[str, Any] | None
    response: dict[str, Any] | None


@dataclass(slots=True, frozen=True)
class Explanation:
    message: Message
    parts: list[Part]
    steps: list[Step]


async def explain(rt: Runtime, account_id: int | None, message_id: int) -> Explanation:
    """The whole life of a message. Raises Refused not_found."""
    message = await get(rt, account_id, message_id)
    parts = [
        Part(row[0], row[1], row[2], row[3], PartState(row[4]).name.lower(), _json(row[5]), row[6], row[7])
        for row in await rt.store.scan(store.PARTS({"message_id": message_id}))
    ]
    return Explanation(message, parts, await steps(rt, message_id))


async def steps(rt: Runtime, message_id: int) -> list[Step]:
    """The history of a message, sent or received, oldest first."""
    rows = await rt.store.scan(store.HISTORY({"message_id": message_id}))
    made = [Step(row[1], row[2], row[3], row[4], _json(row[5]), frame(row[6]), frame(row[7])) for row in rows]
    return sorted(made, key=lambda step: step.at)


def frame(raw: bytes | None) -> dict[str, Any] | None:
    """A frame as people read it: `{"pdu": {...}, "hex": "..."}`, redacted."""
    if not raw:
        return None
    raw = bytes(raw)
    try:
        decoded: Any = smpp.dump(smpp.decode(raw), redact=True)
    except smpp.PduError as error:
        decoded = {"undecodable": str(error)}
    return {"pdu": decoded, "hex": smpp.redacted_hex(raw)}


def _json(text: str | None) -> dict[str, Any] | None:
    made: dict[str, Any] | None = decode_json(text) if text else None
    return made


def _span(wanted: Filter) -> tuple[int, int]:
    """Ids sort by time, so a range of time is a range of ids: the least, and the first beyond."""
    since = 0 if wanted.created_after is None else ids.at(wanted.created_after)
    before = _END if wanted.created_before is None else ids.at(wanted.created_before)
    return since, before if wanted.cursor is None else min(before, wanted.cursor)
