"""Consents: who agreed to be written to, with the proof of it; the ledger behind them, and imports of it."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from chappe import consent, ids, messages, numbers, privacy
from chappe.api.answers import Answer
from chappe.api.house import Call, missing
from chappe.api.operations import Resource
from chappe.api.price_lists import XLSX
from chappe.api.send_shapes import ItemError
from chappe.api.shapes import Listed, Page, Purpose, Time, maybe_moment, maybe_rfc, moment, rfc
from chappe.billing import rating
from chappe.consent import Basis, Channel, Claim, Entry, Source, importing
from chappe.consent.chain import ID
from chappe.consent.exporting import line_of
from chappe.consent.reading import consents_of, entry_row
from chappe.errors import Detail, Refused
from chappe.flaws import refusal
from chappe.tabular import Fault

resource = Resource(
    "Consents",
    "Who agreed to be written to, and the proof of it. What was said is kept in a ledger that nobody can change "
    "unnoticed; consents are what it comes to. What test keys say is kept apart.",
    scope="messages:read",
    tenant=True,
)
_WRITING = "messages:send"
MOST = 10_000
_SLICE = 200  # entries in one unit: an OTP's commit goes in between
_ASKED = 500  # recipients between which others have their turn
_SHOWN = 100
_FIRST = (1 << 63) - 1

PersonText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="A number in E.164, `mail:...`, `push:...` or `alias:...`.",
        examples=["+33612345678"],
    ),
]
Plain = r"^[^\x00-\x1f\x7f]*$"
Brand = Annotated[str, Meta(max_length=100, pattern=Plain)]
State = Literal["given", "withdrawn", "expired"]
_EXAMPLE = {
    "person": "+33612345678",
    "channel": "sms",
    "wording": "I agree to get offers of Acme by text message.",
    "wording_version": "2026-09",
    "source": "form",
    "ip": "192.0.2.7",
    "reference": "https://acme.example/newsletter",
}


class ConsentQuery(Page, forbid_unknown_fields=True, kw_only=True):
    """Which consents; `given` leaves out what has expired."""

    person: PersonText | None = None
    channel: Channel | None = None
    purpose: Purpose | None = None
    brand: Brand | None = None
    state: State | None = None


class ConsentOut(Struct, frozen=True, kw_only=True):
    """What a person agreed to or withdrew. `id` is that of the entry that says so."""

    id: Annotated[str, Meta(examples=["cns_006h3r8k2w0g4"])]
    person: Annotated[str, Meta(description="null: the person was forgotten.")] | None
    channel: Channel
    purpose: Purpose
    brand: Annotated[str, Meta(description="null: of all brands.")] | None
    state: State
    basis: Basis
    source: Source
    at: Time
    expires_at: Time | None


class ProofOut(Struct, frozen=True, kw_only=True):
    """How it is known."""

    person: str
    wording: str | None
    wording_version: str | None
    ip: str | None
    actor: Annotated[str, Meta(description="Who wrote it down: a key, or a part of Chappe.")] | None
    note: str | None
    reference: str | None


class ConsentEntry(Struct, frozen=True, kw_only=True):
    """What a person said, as it stands in the ledger: it never changes. `commitment`, `salt` and `hash` are hex;
    `sequence` and `hash` are null for a second or two, until the entry has its place in the chain."""

    id: Annotated[str, Meta(examples=["cns_006h3r8k2w0g4"])]
    event: Literal["given", "withdrawn"]
    channel: Channel
    purpose: Purpose
    brand: str | None
    basis: Basis
    source: Source
    at: Time
    expires_at: Time | None
    recorded_at: Time
    proof: Annotated[ProofOut, Meta(description="null: the person was forgotten.")] | None
    sequence: int | None
    hash: str | None
    commitment: Annotated[str, Meta(description="SHA-256 over the salt and the proof.")]
    salt: str | None


class NewConsent(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a person said: `person` or, the same, `to`. Express and written consents need the `wording` that the person
    agreed to, the others a `reference` or a `note`. Without `channel` it is that of the address."""

    person: PersonText | None = None
    to: PersonText | None = None
    event: Literal["given", "withdrawn"] = "given"
    channel: Channel | None = None
    purpose: Purpose = "marketing"
    brand: Brand = ""
    basis: Basis = "express"
    source: Literal["api", "form", "panel"] = "api"
    wording: Annotated[str, Meta(max_length=4_000, description="The text that was shown, whole.")] = ""
    wording_version: Annotated[str, Meta(max_length=100, pattern=Plain)] = ""
    at: Annotated[str, Meta(description="RFC 3339; now if it is left out.")] | None = None
    ip: Annotated[str, Meta(max_length=45, description="Of the person, as the form saw it.")] = ""
    reference: Annotated[str, Meta(max_length=500, description="The page, order or contract behind it.")] = ""
    note: Annotated[str, Meta(max_length=500)] = ""
    expires_at: Annotated[str, Meta(description="RFC 3339; when a consent ends by itself.")] | None = None


class NewConsents(Struct, forbid_unknown_fields=True):
    """Up to 10,000. Each is answered, and one that is refused does not keep the others out."""

    consents: list[msgspec.Raw]


class NewConsentList(Struct, forbid_unknown_fields=True):
    """Up to 10,000. Each is answered, and one that is refused does not keep the others out."""

    consents: Annotated[list[NewConsent], Meta(min_length=1, max_length=MOST)]


class ConsentItem(Struct, frozen=True, kw_only=True):
    """What became of one: `id`, or `error`."""

    index: int
    id: str | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class ConsentsRecorded(Struct, frozen=True):
    """What became of each, in order."""

    data: list[ConsentItem]
    recorded: int
    refused: int


class NewConsentCheck(Struct, forbid_unknown_fields=True, kw_only=True):
    """To whom a message would go, and of what kind; `at` is when, now if it is left out."""

    recipients: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(min_length=1, max_length=MOST)]
    purpose: Purpose = "marketing"
    channel: Literal["sms"] = "sms"
    from_: Annotated[str, Meta(max_length=37, pattern=Plain, description="The sender.")] | None = field(
        name="from", default=None
    )
    at: Annotated[str, Meta(description="RFC 3339.")] | None = None


class Allowed(Struct, frozen=True, kw_only=True):
    """Whether a message may go to one recipient; if not, why."""

    to: str
    allowed: bool
    code: Annotated[str, Meta(examples=["opted_out"])] | None
    reason: str | None


class ConsentCheck(Struct, frozen=True):
    """In the order of the recipients."""

    data: list[Allowed]
    allowed: int
    refused: int


class LedgerHead(Struct, frozen=True):
    """The end of the account's chain: whoever keeps the hash can prove later that nothing before it was changed."""

    sequence: int
    hash: Annotated[str, Meta(description="SHA-256, in hex.")]
    at: Time


class ImportQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """How to read the table, and whether to record anything."""

    dry_run: Annotated[bool, Meta(description="Check only.")] = False
    skip_faulty: Annotated[bool, Meta(description="Record the good rows although others are faulty.")] = False
    country: (
        Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1: how national numbers are read.")] | None
    ) = None
    sheet: Annotated[str, Meta(max_length=100, description="Of a workbook; its first if it is left out.")] | None = None
    column: Annotated[
        tuple[Annotated[str, Meta(max_length=200, pattern="^[a-z_]+=.+$")], ...],
        Meta(description="`person=Phone`: where a column is, by header or place from 1; may be repeated."),
    ] = ()


class ConsentTable(Struct, forbid_unknown_fields=True):
    """A table as text: CSV with a line of headers."""

    csv: Annotated[str, Meta(min_length=1)]


class ConsentFile(Struct):
    """A file, not read yet."""

    data: bytes


class ImportFault(Struct, frozen=True, kw_only=True):
    """What is wrong; line 0 is the file as a whole."""

    line: int
    column: str | None
    code: str
    message: str


class ConsentsImported(Struct, frozen=True, kw_only=True):
    """Of `rows` so many were recorded, and so many were in the ledger already. A dry run records none."""

    rows: int
    good: int
    recorded: int
    known: int
    dry_run: bool
    faults: Annotated[list[ImportFault], Meta(description="The first 100.")]
    fault_counts: dict[str, int]


# -- reading -------------------------------------------------------------------------------------------------------


@resource.get("/v1/consents", errors=("invalid_cursor", "number_not_e164"))
async def list_(call: Call, query: ConsentQuery) -> Listed[ConsentOut]:
    """List consents, the newest word first."""
    now = call.rt.clock.now()
    rows = await consents_of(
        call.rt,
        call.account_id,
        call.test,
        person=None if query.person is None else consent.address(query.person),
        channel=query.channel,
        purpose=query.purpose,
        brand=query.brand,
        state=query.state,
        behind=_place(query.cursor),
        limit=query.limit + 1,
    )
    shown = rows[: query.limit]
    cursor = _cursor(_Place(*shown[-1][:4])) if len(rows) > query.limit else None
    return Listed([_consent(row, now) for row in shown], cursor, cursor is not None)


@resource.get("/v1/consents/{id:cns}")
async def get(call: Call, id: int) -> ConsentEntry:
    """Show what a person said, with its proof."""
    row = await entry_row(call.rt, call.account_id, call.test, id)
    if row is None:
        raise missing("consent")
    line = line_of(row)
    entry = line.entry
    if line.proof is not None:
        privacy.saw(call.rt, call.account_id, call.actor, "proof", line.proof["person"], test=call.test)
    return ConsentEntry(
        id=entry.id,
        event=entry.event,  # type: ignore[arg-type]
        channel=entry.channel,  # type: ignore[arg-type]
        purpose=entry.purpose,  # type: ignore[arg-type]
        brand=entry.brand or None,
        basis=entry.basis,  # type: ignore[arg-type]
        source=entry.source,  # type: ignore[arg-type]
        at=rfc(entry.at),
        expires_at=maybe_rfc(entry.expires_at),
        recorded_at=rfc(ids.millis(id)),
        proof=None if line.proof is None else _proof(line.proof),
        sequence=entry.sequence or None,
        hash=line.hash or None,
        commitment=entry.commitment,
        salt=line.salt,
    )


@resource.get("/v1/consents/ledger", media=("application/jsonl",))
async def ledger(call: Call) -> Answer:
    """Download the ledger.

    A header, then a line of JSON for each entry, with proof and salt unless the person was forgotten. The file proves
    itself: `chappe consent verify --export FILE` needs neither database nor secret.
    """
    name = f"consents_{ids.public('acc', call.account_id)}.jsonl".encode()
    headers = (
        (b"content-type", b"application/jsonl"),
        (b"content-disposition", b"attachment; filename=" + name),
    )
    return Answer(200, b"", headers, chunks=consent.export(call.rt, call.account_id, call.test))


@resource.get("/v1/consents/ledger/head")
async def ledger_head(call: Call) -> LedgerHead:
    """Show the end of the ledger, to have it notarised."""
    await consent.seal(call.rt)
    end = await consent.head(call.rt, call.account_id, call.test)
    return LedgerHead(end.sequence, end.hash.hex(), rfc(call.rt.clock.now()))


@resource.post(
    "/v1/consents/check",
    example={"recipients": ["+33612345678", "+33687654321"], "purpose": "marketing"},
    errors=("sender_not_allowed",),
)
async def check(call: Call, body: NewConsentCheck) -> ConsentCheck:
    """Ask whether messages may go.

    For each recipient: consent, refusals, the law of the country at that time, and how many messages the person had. It
    is what is asked when a message is accepted, and once more before it leaves; nothing is sent or counted.
    """
    at = maybe_moment(body.at, "at")
    found: list[Allowed] = []
    for start in range(0, len(body.recipients), _ASKED):
        some = body.recipients[start : start + _ASKED]
        answers = await messages.may_send(
            call.rt,
            call.account_id,
            call.test,
            some,
            purpose=body.purpose,
            sender=body.from_,
            channel=body.channel,
            at=at,
        )
        found += [
            Allowed(to=to, allowed=True, code=None, reason=None)
            if no is None
            else Allowed(to=to, allowed=False, code=no.code, reason=no.message)
            for to, no in zip(some, answers, strict=True)
        ]
        await asyncio.sleep(0)
    allowed = sum(one.allowed for one in found)
    return ConsentCheck(found, allowed, len(found) - allowed)


# -- recording -----------------------------------------------------------------------------------------------------


@resource.post(
    "/v1/consents",
    scope=_WRITING,
    example={"consents": [_EXAMPLE]},
    errors=("batch_empty", "batch_too_large", "number_not_e164", "missing_field", "invalid_value"),
)
async def create(call: Call, body: NewConsents) -> ConsentsRecorded:
    """Record what persons said.

    `withdrawn` stops messages before this is answered. A consent that is given lifts earlier refusals of the person's
    own; what the operator forbids stays forbidden. If all are refused, so is the request.
    """
    if not body.consents:
        raise Refused("batch_empty", "There is no consent in the request.", param="consents")
    if len(body.consents) > MOST:
        raise Refused("batch_too_large", f"At most {MOST:,} consents go into one request.", param="consents")
    items: list[ConsentItem] = []
    refused: list[tuple[int, Refused]] = []
    for start in range(0, len(body.consents), _SLICE):
        entries: list[tuple[int, Entry]] = []
        for index, raw in enumerate(body.consents[start : start + _SLICE], start):
            try:
                entries.append((index, _entry(call, raw)))
            except Refused as error:
                refused.append((index, error))
                items.append(ConsentItem(index=index, error=ItemError(error.code, error.message, error.param)))
        if entries:
            made = await consent.record_all(call.rt, [entry for _, entry in entries])
            items += [
                ConsentItem(index=index, id=ids.public(ID, one)) for (index, _), one in zip(entries, made, strict=True)
            ]
    if len(refused) == len(body.consents):
        raise _all_refused(refused)
    items.sort(key=lambda item: item.index)
    return ConsentsRecorded(items, len(items) - len(refused), len(refused))


# items are decoded one by one, so that each is answered; they are documented as what they are
resource.operations[-1] = replace(resource.operations[-1], body=NewConsentList)


def _entry(call: Call, raw: msgspec.Raw) -> Entry:
    try:
        new = _ITEM.decode(raw)
    except msgspec.ValidationError as error:
        raise refusal(error, NewConsent) from None
    if new.person is not None and new.to is not None:
        raise Refused("invalid_value", "to is another name of person: give one of both.", param="to")
    if new.person is None and new.to is None:
        raise Refused("missing_field", "person is missing.", param="person")
    claim = Claim(
        person=new.person or new.to or "",
        event=new.event,
        channel=new.channel,
        purpose=new.purpose,
        brand=new.brand,
        basis=new.basis,
        wording=new.wording,
        wording_version=new.wording_version,
        at=None if new.at is None else moment(new.at, "at"),
        ip=new.ip,
        reference=new.reference,
        note=new.note,
        expires_at=None if new.expires_at is None else moment(new.expires_at, "expires_at"),
    )
    try:
        return consent.statement(
            claim,
            account_id=call.account_id,
            test=call.test,
            source=new.source,
            actor=call.actor,
            now=call.rt.clock.now(),
        )
    except Refused as error:
        if error.param == "person" and new.to is not None:
            error.param = "to"
        raise


_ITEM = msgspec.json.Decoder(NewConsent)


def _all_refused(refused: Sequence[tuple[int, Refused]]) -> Refused:
    def place(index: int, error: Refused) -> str:
        return f"consents[{index}].{error.param}" if error.param else f"consents[{index}]"

    first = refused[0][1]
    details = [Detail(place(index, error), error.message) for index, error in refused[:_SHOWN]]
    return Refused(first.code, first.message, param=place(*refused[0]), action=first.action, details=details)


# -- importing -----------------------------------------------------------------------------------------------------


@resource.post(
    "/v1/consents/import",
    scope=_WRITING,
    example={
        "csv": "to,at,wording\n+33612345678,2026-09-01T10:00:00Z,I agree to get offers of Acme by text message.\n"
    },
    errors=("csv_invalid", "invalid_value"),
    reads={"text/csv": ConsentFile, XLSX: ConsentFile, "application/octet-stream": ConsentFile},
)
async def import_(call: Call, query: ImportQuery, body: ConsentTable) -> ConsentsImported:
    """Import consents that were gathered elsewhere.

    As CSV of any layout, as an Excel workbook, or as CSV within JSON. Columns are found by their headers: person,
    event, channel, purpose, brand, basis, wording, wording_version, at, ip, reference, note, expires_at. `at` is
    needed: a row that the ledger has already is passed over, so that the same file may come twice. The whole table is
    checked first; with a faulty row nothing is recorded, unless `skip_faulty` says so. An import lifts no refusal.
    """
    if query.country is not None and numbers.country(query.country) is None:
        raise Refused("invalid_value", f"{query.country} is no country.", param="country")
    data = body.data if isinstance(body, ConsentFile) else body.csv.encode()
    table = await rating.csv_of(data, query.sheet)
    if not isinstance(table, bytes):
        raise _faulty([table], 1)
    checked = _reading(call, table, query)
    good = await asyncio.to_thread(importing.check, checked)
    faults = checked.faults
    if len(faults) and not (query.dry_run or query.skip_faulty):
        raise _faulty(faults.first, len(faults))
    done = importing.Imported()
    if not query.dry_run:
        done = await importing.apply(call.rt, _reading(call, table, query))
    return ConsentsImported(
        rows=checked.rows,
        good=good,
        recorded=done.recorded,
        known=done.known,
        dry_run=query.dry_run,
        faults=[ImportFault(line=f.line, column=f.column or None, code=f.code, message=f.message) for f in faults],
        fault_counts=dict(sorted(faults.counts.items())),
    )


def _reading(call: Call, table: bytes, query: ImportQuery) -> importing.Reading:
    return importing.Reading(
        table,
        account_id=call.account_id,
        test=call.test,
        actor=call.actor,
        now=call.rt.clock.now(),
        country=query.country,
        mapping=importing.places(query.column),
    )


def _faulty(faults: Sequence[Fault], found: int) -> Refused:
    """Nothing was recorded."""
    details = [
        Detail(f"line {fault.line}" + (f", {fault.column}" if fault.column else ""), f"{fault.message} ({fault.code})")
        for fault in faults
    ]
    words = "a row is" if found == 1 else f"{found:,} rows are"
    return Refused("csv_invalid", f"Nothing was recorded: {words} faulty.", details=details)


# -- shapes --------------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where a page ends. One entry may be the newest word about several channels or brands of its person."""

    entry_id: int = _FIRST
    channel: str = ""
    purpose: str = ""
    brand: str = ""


def _cursor(place: _Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _place(cursor: str | None) -> _Place:
    """Raises Refused invalid_cursor."""
    if cursor is None:
        return _Place()
    try:
        raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        place = msgspec.json.decode(raw, type=_Place)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise Refused("invalid_cursor", param="cursor") from None
    if not 0 <= place.entry_id <= _FIRST or _cursor(place) != cursor or any("\0" in text for text in place[1:]):
        raise Refused("invalid_cursor", param="cursor")
    return place


def _consent(row: Sequence[Any], now: int) -> ConsentOut:
    entry_id, channel, purpose, brand, person, state, basis, source, at, expires_at = row
    expired = state == "given" and expires_at is not None and expires_at <= now
    return ConsentOut(
        id=ids.public(ID, entry_id),
        person=person,
        channel=channel,
        purpose=purpose,
        brand=brand or None,
        state="expired" if expired else state,
        basis=basis,
        source=source,
        at=rfc(at),
        expires_at=maybe_rfc(expires_at),
    )


def _proof(proof: dict[str, Any]) -> ProofOut:
    fields: dict[str, Any] = {name: proof.get(name) for name in ProofOut.__struct_fields__}
    return ProofOut(**fields)
