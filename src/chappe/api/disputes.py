"""What a supplier is shown: his receipts that cannot be true, with his own ids, times and words. Written as it is read,
so that the longest list takes no memory."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from chappe import ids, smpp
from chappe.api.answers import Answer, encode
from chappe.api.shapes import rfc
from chappe.messages import State, history
from chappe.messages import store as table
from chappe.routing import quality
from chappe.storage import core

if TYPE_CHECKING:
    from chappe.routing.quality import Suspect
    from chappe.runtime import Runtime

MOST: Final = 10_000
PAGE: Final = 200
_WHY: Final = {
    "canary": "delivered to a number that nobody has",
    "too_fast": "the receipt came sooner than a phone can answer",
    "conversion": "reported as delivered, without any effect",
}


class Wanted(NamedTuple):
    """Times of the messages in milliseconds; None: no bound."""

    format: Literal["csv", "jsonl"]
    since: int | None
    until: int | None
    limit: int


class Line(Struct, frozen=True, kw_only=True):
    """A receipt in doubt. Times are RFC 3339; `submitted_at`: when the supplier had taken the message, `received_at`:
    when his receipt came; `receipt_status`, `receipt_error` and `receipt_done_at` are his own words, `receipt_hex` the
    frame, texts blanked."""

    message_id: str
    number: str
    place: str
    reason: str
    explanation: str
    submitted_at: str
    received_at: str
    delay_ms: int | None
    provider_id: str
    receipt_state: str
    receipt_status: str
    receipt_error: str
    receipt_done_at: str
    receipt_hex: str


def answer(rt: Runtime, connector_id: int, wanted: Wanted) -> Answer:
    name = f"dispute-{ids.public('con', connector_id)}.{wanted.format}".encode()
    kind = b"text/csv" if wanted.format == "csv" else b"application/jsonl"
    headers = ((b"content-type", kind), (b"content-disposition", b"attachment; filename=" + name))
    write = _csv if wanted.format == "csv" else _jsonl
    return Answer(200, b"", headers, chunks=write(lines(rt, connector_id, wanted)))


async def lines(rt: Runtime, connector_id: int, wanted: Wanted) -> AsyncIterator[list[Line]]:
    """Page by page, the newest first of each reason; messages that retention has deleted are left out."""
    left = wanted.limit
    seen: set[int] = set()
    for find in (quality.suspects, quality.unconverted):
        before = ids.at(wanted.until) if wanted.until is not None else (1 << 63) - 1
        since = ids.at(wanted.since) if wanted.since is not None else 0
        while left > 0:
            found = await find(rt, connector_id, since=since, before=before, limit=min(PAGE, left))
            if not found:
                break
            before = found[-1].message_id
            page = await _lines(rt, connector_id, [one for one in found if one.message_id not in seen])
            seen.update(one.message_id for one in found)
            left -= len(page)
            yield page


async def _lines(rt: Runtime, connector_id: int, found: list[Suspect]) -> list[Line]:
    wanted = [one.message_id for one in found]
    known = {row[0]: row for row in await _select(rt, _messages(wanted))}
    steps: defaultdict[int, list[Any]] = defaultdict(list)
    for row in await _select(rt, _steps(wanted)):
        steps[row[0]].append(row)
    made = []
    for one in found:
        row = known.get(one.message_id)
        if row is not None and row[2] == connector_id and (one.why != "conversion" or row[3] in _ARRIVED):
            made.append(_line(one, row, steps[one.message_id]))
    return made


_ARRIVED: Final = (int(State.DELIVERED), int(State.READ))


def _messages(wanted: list[int]) -> sa.Select[Any]:
    m = table.messages.c
    return sa.select(m.id, m.recipient, m.connector_id, m.state, m.sent_at, m.final_at).where(m.id.in_(wanted))


def _steps(wanted: list[int]) -> sa.Select[Any]:
    h = table.history.c
    steps = sa.select(h.message_id, h.at, h.data, h.request).order_by(h.message_id, h.id)
    return steps.where(h.message_id.in_(wanted), h.kind == history.RECEIPT)


async def _select(rt: Runtime, select: sa.Select[Any]) -> list[Any]:
    statement, params = core(select)
    return await rt.store.scan(statement(params))


def _line(one: Suspect, message: Any, receipts: list[Any]) -> Line:
    """With the receipt that says delivered, or else the last."""
    told = [(at, msgspec.json.decode(data) if data else {}, bytes(raw or b"")) for _, at, data, raw in receipts]
    nothing: tuple[int | None, dict[str, Any], bytes] = (None, {}, b"")
    last = told[-1] if told else nothing
    at, said, raw = next((receipt for receipt in told if receipt[1].get("state") == "delivered"), last)
    _, recipient, _, _, sent_at, final_at = message
    received = at or final_at
    status, error = _own_words(raw)
    return Line(
        message_id=ids.public("msg", one.message_id),
        number=recipient,
        place=one.place,
        reason=one.why,
        explanation=_WHY[one.why],
        submitted_at=_time(sent_at),
        received_at=_time(received),
        delay_ms=None if sent_at is None or received is None else max(0, received - sent_at),
        provider_id=str(said.get("provider_id", "")),
        receipt_state=str(said.get("state", "")),
        receipt_status=status,
        receipt_error=error,
        receipt_done_at=_time(said.get("done_at")),
        receipt_hex=smpp.redacted_hex(raw) if raw else "",
    )


def _own_words(raw: bytes) -> tuple[str, str]:
    """`stat` and `err` of a receipt as they were written."""
    if not raw:
        return "", ""
    try:
        receipt = smpp.receipt.from_pdu(smpp.decode(raw))
    except smpp.PduError:
        return "", ""
    return ("", "") if receipt is None else (receipt.stat, receipt.err)


def _time(millis: int | None) -> str:
    return "" if millis is None else rfc(millis)


async def _jsonl(pages: AsyncIterator[list[Line]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(encode(line) + b"\n" for line in page)


async def _csv(pages: AsyncIterator[list[Line]]) -> AsyncIterator[bytes]:
    yield _rows([Line.__struct_fields__], str)
    async for page in pages:
        yield _rows((msgspec.structs.astuple(line) for line in page), _cell)


def _rows(rows: Iterable[Iterable[Any]], cell: Callable[[Any], str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: what a supplier wrote may begin like one."""
    text = "" if value is None else str(value)
    harmless = text[:1] not in ("=", "+", "-", "@", "\t", "\r") or (text[:1] == "+" and text[1:].isdigit())
    return text if harmless else "'" + text
