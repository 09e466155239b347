"""Lists of persons who are not to be written to: imported from files, and deleted as a whole."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from chappe import ids, numbers
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.opt_outs import Covers, Everyone, Expiry, ListName, Note, Person, check_yours, visible, whose
from chappe.api.shapes import Listed, Page, Time, after, listed, maybe_rfc, paged, rfc
from chappe.billing import rating
from chappe.consent import EVERYONES, Channel, Reason, Scope
from chappe.consent import suppressions as rooms
from chappe.consent.suppressions import MOST_ROWS, NAMES, Defaults, Rows, SuppressionList, Wanted
from chappe.errors import Detail, Refused
from chappe.tabular import Fault

resource = Resource(
    "Suppression lists",
    "Persons who are not to be written to, as files know them. Each list has a name, and goes as a whole.",
    scope="messages:read",
    tenant=True,
)

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MOST_DETAILS = 100


class ListsQuery(Page, forbid_unknown_fields=True, kw_only=True):
    """Whose lists, and which page."""

    everyone: Everyone = False


class NewSuppressionList(Struct, forbid_unknown_fields=True, kw_only=True):
    """A list. What it says holds for its rows that say nothing else."""

    name: ListName
    channel: Channel = "any"
    covers: Covers | None = None
    expires_at: Expiry | None = None
    note: Note = ""
    reason: (
        Annotated[
            Literal["complaint", "disconnected", "operator"],
            Meta(description="How the operator knows; needs the scope admin."),
        ]
        | None
    ) = None
    everyone: Everyone = False


class SuppressionListOut(Struct, frozen=True, kw_only=True):
    """A list, and how many rows it has. While it is `deleting`, the rows that are left still stop messages."""

    id: Annotated[str, Meta(examples=["sul_006h3r8k2w0g4"])]
    name: str
    status: Literal["active", "deleting"]
    size: int
    reason: Reason
    channel: Channel
    covers: Covers
    expires_at: Time | None
    note: str
    everyone: bool
    test: bool
    created_at: Time
    created_by: str
    imported_at: Time | None


class ImportQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """How to read the file, and what holds for the rows that do not say it."""

    dry_run: Annotated[bool, Meta(description="Check the file, and change nothing.")] = False
    column: Annotated[
        tuple[Annotated[str, Meta(max_length=200)], ...],
        Meta(description="`person=Mobile`: where a column is, by header or place from 1; may be repeated."),
    ] = ()
    sheet: Annotated[str, Meta(max_length=100, description="Of a workbook; else its first.")] | None = None
    country: (
        Annotated[str, Meta(pattern=r"^[A-Z]{2}$", description="Read national numbers as dialled there (ISO 3166-1).")]
        | None
    ) = None
    channel: Channel = "any"
    scope: Scope = "account"
    value: Annotated[str, Meta(max_length=100)] = ""
    covers: Covers | None = None
    expires_at: Expiry | None = None
    note: Note = ""


class NewRows(Struct, forbid_unknown_fields=True, kw_only=True):
    """Persons, without anything else to say of each."""

    to: Annotated[list[Person], Meta(min_length=1, max_length=MOST_ROWS)]


class ListFile(Struct):
    """Rows that came as a file, not read yet."""

    data: bytes


class ImportedRows(Struct, frozen=True, kw_only=True):
    """How many rows there were; how many of them are new, and how many were there already."""

    rows: int
    added: int
    known: int
    dry_run: bool


# -- operations ----------------------------------------------------------------------------------------------------


@resource.get("/v1/suppression_lists", errors=("invalid_cursor",))
async def list_(call: Call, query: ListsQuery) -> Listed[SuppressionListOut]:
    """List suppression lists."""
    found = await rooms.lists(call.rt, whose(call, query.everyone), before=after(query, "sul"), limit=query.limit + 1)
    rows, cursor = paged(found, query, "sul", lambda one: one[0].id)
    return listed((_shown(*one) for one in rows), cursor)


@resource.post(
    "/v1/suppression_lists",
    scope="messages:send",
    status=201,
    example={"name": "newsletter-2019", "note": "Left the old newsletter."},
    errors=("duplicate_name", "conflict"),
)
async def create(call: Call, body: NewSuppressionList) -> SuppressionListOut:
    """Make a list, with no rows yet."""
    target = whose(call, body.everyone)
    if body.reason is not None:
        call.caller.need("admin")
    reason: Reason = body.reason or ("operator" if body.everyone else "list")
    expires_at = None if body.expires_at is None else rooms.expiry(body.expires_at, call.rt.clock.now())
    made = await rooms.create_list(
        call.rt,
        call.actor,
        target,
        name=body.name,
        reason=reason,
        channel=body.channel,
        covers=body.covers,
        note=body.note,
        expires_at=expires_at,
    )
    return _shown(made, 0)


@resource.get("/v1/suppression_lists/{id:sul}")
async def get(call: Call, id: int) -> SuppressionListOut:
    """Show a list."""
    found = await rooms.found_list(call.rt, visible(call), call.test, id)
    return _shown(found, await rooms.size(call.rt, found))


@resource.post(
    "/v1/suppression_lists/{id:sul}/import",
    scope="messages:send",
    example={"to": ["+33612345678", "+447700900123"]},
    errors=("csv_invalid", "batch_too_large", "list_being_deleted"),
    reads={"text/csv": ListFile, XLSX: ListFile, "application/octet-stream": ListFile},
)
async def import_(call: Call, id: int, query: ImportQuery, body: NewRows) -> ImportedRows:
    """Put persons on a list.

    As CSV of any layout, as an Excel workbook, as a number a line, or as JSON; at most 100,000 rows a call. Columns are
    found by their headers: person, channel, scope, value, covers, expires_at, note. A file with any fault changes
    nothing, and each fault is told with its line. The same file again changes nothing."""
    found = await rooms.found_list(call.rt, visible(call), call.test, id)
    check_yours(call, found)
    if found.deleted_at is not None:
        raise Refused("list_being_deleted", param="id")
    now = call.rt.clock.now()
    defaults = _defaults(query, now)
    if isinstance(body, ListFile):
        data, mapping, place = await _csv_of(body.data, query.sheet), _mapping(query.column), "line"
    else:
        data, mapping, place = _lines(body.to), {}, "to"
    rows = await asyncio.to_thread(read_rows, data, now, defaults, mapping, place)
    if query.dry_run:
        return ImportedRows(rows=len(rows), added=0, known=0, dry_run=True)
    done = await rooms.import_rows(call.rt, call.actor, found, rows)
    return ImportedRows(rows=done.rows, added=done.added, known=done.known, dry_run=False)


@resource.delete("/v1/suppression_lists/{id:sul}", scope="messages:send")
async def delete(call: Call, id: int) -> None:
    """Delete a list with its rows.

    The rows go in the background; what persons said themselves stays."""
    found = await rooms.found_list(call.rt, visible(call), call.test, id)
    check_yours(call, found)
    await rooms.delete_list(call.rt, call.actor, found)


# -- reading -------------------------------------------------------------------------------------------------------


def read_rows(
    data: bytes, now: int, defaults: Defaults, mapping: dict[str, str | int], place: str = "line"
) -> list[Wanted]:
    """All rows of a file. Raises Refused: batch_too_large, csv_invalid with the lines (or items of `to`) that are
    wrong."""
    rows = Rows(data, now, defaults, mapping=mapping, most=MOST_ROWS)
    found = list(rows)
    if rows.faults.counts["too_many_rows"]:
        raise Refused("batch_too_large", f"More than {MOST_ROWS:,} rows; split the file.")
    if len(rows.faults):
        raise _invalid(rows.faults.first, len(rows.faults), place)
    return found


def _invalid(faults: list[Fault], count: int, place: str = "line") -> Refused:
    details = [
        Detail(_place(one.line, place), f"{one.column}: {one.message}" if one.column else one.message)
        for one in faults[:_MOST_DETAILS]
    ]
    first = details[0]
    more = f" ({count:,} faults in all.)" if count > 1 else ""
    return Refused("csv_invalid", f"{first.param}: {first.message}{more}", details=details)


def _place(line: int, kind: str) -> str:
    if not line:
        return "file"
    return f"line {line}" if kind == "line" else f"{kind}[{line - 2}]"


async def _csv_of(data: bytes, sheet: str | None) -> bytes:
    rows = await rating.csv_of(data, sheet)
    if isinstance(rows, Fault):
        raise _invalid([rows], 1)
    return rows


def _lines(persons: list[str]) -> bytes:
    """As a file of a person a line, so that faults are told alike."""
    return ("person\n" + "".join(f"{_cell(one)}\n" for one in persons)).encode()


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""').replace("\n", " ").replace("\r", " ") + '"'


def _defaults(query: ImportQuery, now: int) -> Defaults:
    if query.country is not None and numbers.country(query.country) is None:
        words = "Give a code of ISO 3166-1."
        raise Refused("invalid_value", f"{query.country} is no country.", param="country", action=words)
    return Defaults(
        channel=query.channel,
        scope=query.scope,
        value=rooms.check_scope(query.scope, query.value),
        covers=query.covers,
        expires_at=None if query.expires_at is None else rooms.expiry(query.expires_at, now),
        note=query.note,
        country=query.country,
    )


def _mapping(columns: tuple[str, ...]) -> dict[str, str | int]:
    mapping: dict[str, str | int] = {}
    for entry in columns:
        name, _, place = entry.partition("=")
        if name not in NAMES or not place:
            words = f"Write NAME=HEADER or NAME=PLACE; the names are: {', '.join(NAMES)}."
            raise Refused("invalid_value", f"{entry[:60]} names no column.", param="column", action=words)
        mapping[name] = int(place) if place.isdecimal() and len(place) < 5 else place
    return mapping


def _shown(one: SuppressionList, size: int) -> SuppressionListOut:
    fields: dict[str, Any] = {
        name: getattr(one, name) for name in ("name", "reason", "channel", "covers", "note", "test", "created_by")
    }
    return SuppressionListOut(
        **fields,
        id=ids.public("sul", one.id),
        status="active" if one.deleted_at is None else "deleting",
        size=size,
        expires_at=maybe_rfc(one.expires_at),
        everyone=one.account_id == EVERYONES,
        created_at=rfc(one.created_at),
        imported_at=maybe_rfc(one.imported_at),
    )
