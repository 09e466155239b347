"""Reading messages: one, a list, what phones sent, and the whole life of one (`explain`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chappe import ids, smpp
from chappe.errors import Refused
from chappe.messages import store
from chappe.messages.model import Message, PartState, State, decode_json
from chappe.storage import core

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MAX_LIMIT = 500
_NOBODY = 0


@dataclass(slots=True, frozen=True)
class Filter:
    """What a list shows: newest first, those before `cursor` (an id) only. Times are milliseconds."""

    account_id: int | None = None  # None: the operator sees all
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
    table = store.messages
    query = sa.select(table).order_by(table.c.id.desc()).limit(min(wanted.limit, MAX_LIMIT))
    if wanted.account_id is not None:
        query = query.where(table.c.account_id == wanted.account_id)
    if wanted.states:
        query = query.where(table.c.state.in_([int(state) for state in wanted.states]))
    if wanted.to:
        query = query.where(table.c.recipient == wanted.to)
    if wanted.correlation_id:
        query = query.where(table.c.correlation_id == wanted.correlation_id)
    if wanted.tag:
        tags = store.message_tags
        tagged = sa.select(tags.c.message_id).where(tags.c.tag == wanted.tag)
        if wanted.account_id is not None:
            tagged = tagged.where(tags.c.account_id == wanted.account_id)
        query = query.where(table.c.id.in_(tagged))
    query = _between(query, table.c.id, wanted)
    statement, params = core(query)
    return [store.message(tuple(row)) for row in await rt.store.scan(statement(params))]


async def inbound(rt: Runtime, wanted: Filter) -> list[InboundMessage]:
    """What phones sent to an account's numbers; `account_id` 0 shows what was sent to nobody's."""
    table = store.inbound
    query = sa.select(table).order_by(table.c.id.desc()).limit(min(wanted.limit, MAX_LIMIT))
    if wanted.account_id is not None:
        query = query.where(table.c.account_id == wanted.account_id)
    if wanted.to:
        query = query.where(table.c.recipient.in_([wanted.to, f"+{wanted.to}"]))  # a + in a URL is easily lost
    statement, params = core(_between(query, table.c.id, wanted))
    return [InboundMessage(*row) for row in await rt.store.scan(statement(params))]


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


def _between(query: Any, column: Any, wanted: Filter) -> Any:
    """Ids sort by time, so a range of time is a range of ids."""
    if wanted.created_after is not None:
        query = query.where(column >= ids.at(wanted.created_after))
    if wanted.created_before is not None:
        query = query.where(column < ids.at(wanted.created_before))
    if wanted.cursor is not None:
        query = query.where(column < wanted.cursor)
    return query
