"""Registrations of senders, country by country: what the owner hands in, and what the operator's staff decides."""

from __future__ import annotations

import base64
import binascii
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Struct

from chappe import ids, senders
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, maybe_moment, maybe_rfc, page_of, rfc
from chappe.errors import Refused
from chappe.senders import Document, Fees, Particulars, Registration, State

resource = Resource(
    "Sender registrations",
    "A sender's way into a country's register: a draft with documents is submitted, reviewed, approved or rejected.",
    scope="senders",
    tenant=True,
)
staff = Resource(
    "Sender reviews",
    "What the operator's staff does with registrations: `GET /v1/sender_registrations?everything=true&state=submitted` "
    "is their queue.",
    scope="accounts",
)

_MICROS = 1_000_000
_STATE = ("sender_registration_state",)
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["ES"])]
Operator = Annotated[str, Meta(pattern=r"^[0-9]{5,6}$", description="MCC and MNC; null is every operator.")]
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", examples=["25.00"])]
Reason = Annotated[str, Meta(min_length=1, max_length=1000, examples=["The letter is not signed."])]


class NewRegistration(Struct, forbid_unknown_fields=True, kw_only=True):
    """A draft. GET /v1/senders/rules/{country} shows which particulars its register asks for."""

    sender: Annotated[str, Meta(min_length=1, max_length=20, description="A sender of the account.")]
    country: Country
    operator: Operator | None = None
    particulars: Particulars = Particulars()


class RegistrationChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The particulars as a whole."""

    particulars: Particulars


class FeesOut(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the register costs; decimal, in the currency (ISO 4217)."""

    set_up: Amount = "0"
    monthly: Amount = "0"
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$", examples=["EUR"])]


class Approval(Struct, forbid_unknown_fields=True, kw_only=True):
    """How it was approved."""

    reference: Annotated[str, Meta(min_length=1, max_length=100, description="The register's own number.")] | None = (
        None
    )
    valid_until: Annotated[str, Meta(description="RFC 3339; null has no end.")] | None = None
    fees: FeesOut | None = None


class Because(Struct, forbid_unknown_fields=True, kw_only=True):
    """Why. The owner reads it."""

    reason: Reason


class NewDocument(Struct, forbid_unknown_fields=True, kw_only=True):
    """A paper: PDF, PNG or JPEG, at most 5 MB."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/\\]+$")]
    media_type: Annotated[str, Meta(max_length=50, examples=["application/pdf"])]
    content: Annotated[str, Meta(min_length=1, max_length=7_000_000, description="base64")]


class DocumentOut(Struct, frozen=True, kw_only=True):
    """A paper that was handed in."""

    id: Annotated[str, Meta(examples=["sdc_006h3r8k2w0g4"])]
    name: str
    media_type: str
    size: int
    sha256: str
    created_by: str
    created_at: Time


class DocumentContent(DocumentOut, frozen=True, kw_only=True):
    """A paper with what is in it."""

    content: Annotated[str, Meta(description="base64")]


class RegistrationOut(Struct, frozen=True, kw_only=True):
    """A sender in a country's register."""

    id: Annotated[str, Meta(examples=["srg_006h3r8k2w0g4"])]
    account_id: str
    sender_id: str
    sender: str
    country: str
    operator: str | None
    state: State
    particulars: Particulars
    documents: list[DocumentOut]
    fees: FeesOut | None
    reference: str | None
    reason: Annotated[str, Meta(description="Why it was rejected or suspended.")] | None
    requested_at: Time | None
    approved_at: Time | None
    valid_until: Time | None
    created_at: Time


class StepOut(Struct, frozen=True, kw_only=True):
    """A line of its history: who did what, and the fields that changed."""

    at: Time
    actor: Annotated[str, Meta(examples=["key_006h3r8k2w0g4"])]
    action: Annotated[str, Meta(examples=["submit"])]
    before: dict[str, Any]
    after: dict[str, Any]


class History(Struct, frozen=True):
    """Everything that happened to a registration, oldest first."""

    data: list[StepOut]


class RegistrationPage(Page, forbid_unknown_fields=True, kw_only=True):
    """Which registrations."""

    state: State | None = None
    country: Country | None = None
    expires_before: Annotated[str, Meta(description="Approved ones that end before; RFC 3339.")] | None = None
    everything: Annotated[bool, Meta(description="Of all accounts; needs the scope accounts.")] = False


# -- the owner's ---------------------------------------------------------------------------------------------------


@resource.get("/v1/sender_registrations", errors=("invalid_cursor",))
async def list_(call: Call, query: RegistrationPage) -> Listed[RegistrationOut]:
    """List registrations."""
    if query.everything:
        call.caller.need("accounts")
    end = maybe_moment(query.expires_before, "expires_before")

    def wanted(one: Registration) -> bool:
        if not query.everything and one.account_id != call.account_id:
            return False
        if end is not None and (one.state != "approved" or one.valid_until is None or one.valid_until >= end):
            return False
        return query.state in (None, one.state) and query.country in (None, one.country)

    found = filter(wanted, senders.book(call.rt).registrations.values())
    return page_of(found, query, "srg", lambda one: _shown(call, one), lambda one: one.id)


@resource.get("/v1/sender_registrations/{id:srg}")
async def get(call: Call, id: int) -> RegistrationOut:
    """Show a registration."""
    return _shown(call, senders.found_registration(call.rt, id, call.account_id))


@resource.get("/v1/sender_registrations/{id:srg}/history")
async def history(call: Call, id: int) -> History:
    """Show what happened to a registration, and who did it."""
    steps = await senders.history(call.rt, senders.found_registration(call.rt, id, call.account_id))
    return History(
        [
            StepOut(at=rfc(one.at), actor=one.actor, action=one.action, before=one.before, after=one.after)
            for one in steps
        ]
    )


@resource.post(
    "/v1/sender_registrations",
    status=201,
    example={"sender": "Chappe", "country": "IT", "particulars": {"company": "Chappe SARL", "tax_id": "FR40303265045"}},
    errors=("sender_not_allowed", "duplicate_name"),
)
async def create(call: Call, body: NewRegistration) -> RegistrationOut:
    """Begin a registration."""
    call.caller.need_live("senders")
    sender = senders.book(call.rt).find(call.account_id, body.sender)
    if sender is None:
        raise Refused("sender_not_allowed", f"{body.sender} is not a sender of this account.", param="sender")
    made = await senders.create_registration(
        call.rt,
        call.actor,
        call.account_id,
        sender_id=sender.id,
        country=body.country,
        operator=body.operator or "",
        particulars=body.particulars,
    )
    return _shown(call, made)


@resource.patch("/v1/sender_registrations/{id:srg}", example={"particulars": {"company": "Chappe SARL"}}, errors=_STATE)
async def update(call: Call, id: int, body: RegistrationChange) -> RegistrationOut:
    """Change a draft, or one that was rejected or has expired."""
    call.caller.need_live("senders")
    whose = call.account_id
    return _shown(call, await senders.update_registration(call.rt, call.actor, whose, id, body.particulars))


@resource.delete("/v1/sender_registrations/{id:srg}", errors=_STATE)
async def delete(call: Call, id: int) -> None:
    """Remove a draft, or one that was rejected or has expired, with its documents."""
    call.caller.need_live("senders")
    await senders.delete_registration(call.rt, call.actor, call.account_id, id)


@resource.post("/v1/sender_registrations/{id:srg}/submit", errors=(*_STATE, "missing_field", "conflict"))
async def submit(call: Call, id: int) -> RegistrationOut:
    """Hand in a registration."""
    call.caller.need_live("senders")
    return _shown(call, await senders.submit(call.rt, call.actor, call.account_id, id))


@resource.post("/v1/sender_registrations/{id:srg}/withdraw", errors=(*_STATE, "conflict"))
async def withdraw(call: Call, id: int) -> RegistrationOut:
    """Take a registration back; it is a draft again, and no longer approved."""
    call.caller.need_live("senders")
    return _shown(call, await senders.withdraw(call.rt, call.actor, call.account_id, id))


@resource.post(
    "/v1/sender_registrations/{id:srg}/documents",
    status=201,
    example={"name": "letter.pdf", "media_type": "application/pdf", "content": "JVBERi0xLjQK"},
    errors=_STATE,
)
async def add_document(call: Call, id: int, body: NewDocument) -> DocumentOut:
    """Add a document to a draft."""
    call.caller.need_live("senders")
    senders.found_registration(call.rt, id, call.account_id)
    try:
        content = base64.b64decode(body.content, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("invalid_value", "The content is not base64.", param="content") from None
    made = await senders.add_document(
        call.rt, call.actor, call.account_id, id, name=body.name, media_type=body.media_type, content=content
    )
    return DocumentOut(**_document(made))


@resource.get("/v1/sender_documents/{id:sdc}")
async def show_document(call: Call, id: int) -> DocumentContent:
    """Download a document."""
    return _with_content(*await senders.read_document(call.rt, id, call.account_id))


@resource.delete("/v1/sender_documents/{id:sdc}", errors=_STATE)
async def delete_document(call: Call, id: int) -> None:
    """Remove a document from a draft."""
    call.caller.need_live("senders")
    await senders.delete_document(call.rt, call.actor, call.account_id, id)


# -- the staff's ---------------------------------------------------------------------------------------------------


@staff.get("/v1/sender_reviews/{id:srg}")
async def look(call: Call, id: int) -> RegistrationOut:
    """Show a registration of any account."""
    return _shown(call, senders.found_registration(call.rt, id))


@staff.get("/v1/sender_reviews/{id:srg}/documents/{document:sdc}")
async def look_at_document(call: Call, id: int, document: int) -> DocumentContent:
    """Download a document of any account's registration."""
    found, content = await senders.read_document(call.rt, document)
    if found.registration_id != id:
        raise Refused("not_found", "There is no such document.", param="document")
    return _with_content(found, content)


@staff.post("/v1/sender_reviews/{id:srg}/review", errors=(*_STATE, "conflict"))
async def review(call: Call, id: int) -> RegistrationOut:
    """Take a registration into review."""
    call.caller.need_live("registrations")
    return _shown(call, await senders.review(call.rt, call.actor, id))


@staff.post(
    "/v1/sender_reviews/{id:srg}/approve",
    example={
        "reference": "CNMC-4711",
        "valid_until": "2029-01-31T00:00:00Z",
        "fees": {"set_up": "25", "currency": "EUR"},
    },
    errors=(*_STATE, "conflict"),
)
async def approve(call: Call, id: int, body: Approval) -> RegistrationOut:
    """Approve a registration."""
    call.caller.need_live("registrations")
    fees = None
    if body.fees is not None:
        fees = Fees(_micros(body.fees.set_up), _micros(body.fees.monthly), body.fees.currency)
    until = maybe_moment(body.valid_until, "valid_until")
    made = await senders.approve(call.rt, call.actor, id, reference=body.reference, valid_until=until, fees=fees)
    return _shown(call, made)


@staff.post(
    "/v1/sender_reviews/{id:srg}/reject",
    example={"reason": "The letter is not signed."},
    errors=(*_STATE, "conflict"),
)
async def reject(call: Call, id: int, body: Because) -> RegistrationOut:
    """Reject a registration."""
    call.caller.need_live("registrations")
    return _shown(call, await senders.reject(call.rt, call.actor, id, body.reason))


@staff.post(
    "/v1/sender_reviews/{id:srg}/suspend",
    example={"reason": "Complaints of recipients."},
    errors=(*_STATE, "conflict"),
)
async def suspend(call: Call, id: int, body: Because) -> RegistrationOut:
    """Suspend an approved registration."""
    call.caller.need_live("registrations")
    return _shown(call, await senders.suspend(call.rt, call.actor, id, body.reason))


@staff.post("/v1/sender_reviews/{id:srg}/resume", errors=(*_STATE, "conflict"))
async def resume(call: Call, id: int) -> RegistrationOut:
    """Let a suspended registration hold again."""
    call.caller.need_live("registrations")
    return _shown(call, await senders.resume(call.rt, call.actor, id))


# -- out -----------------------------------------------------------------------------------------------------------


def _micros(amount: str) -> int:
    return int(Decimal(amount) * _MICROS)


def _decimal(micros: int) -> str:
    """`25.00`; more places only where they say something."""
    whole, part = divmod(micros, _MICROS)
    return f"{whole}.{f'{part:06d}'.rstrip('0').ljust(2, '0')}"


def _fees(fees: Fees | None) -> FeesOut | None:
    if fees is None:
        return None
    return FeesOut(set_up=_decimal(fees.set_up), monthly=_decimal(fees.monthly), currency=fees.currency)


def _document(one: Document) -> dict[str, Any]:
    return {
        "id": ids.public("sdc", one.id),
        "name": one.name,
        "media_type": one.media_type,
        "size": one.size,
        "sha256": one.sha256,
        "created_by": one.created_by,
        "created_at": rfc(one.created_at),
    }


def _with_content(one: Document, content: bytes) -> DocumentContent:
    return DocumentContent(content=base64.b64encode(content).decode(), **_document(one))


def _shown(call: Call, one: Registration) -> RegistrationOut:
    sender = senders.book(call.rt).get(one.account_id, one.sender_id)
    return RegistrationOut(
        id=ids.public("srg", one.id),
        account_id=ids.public("acc", one.account_id),
        sender_id=ids.public("snd", one.sender_id),
        sender=sender.address if sender is not None else "",
        country=one.country,
        operator=one.operator or None,
        state=one.state,
        particulars=one.particulars,
        documents=[DocumentOut(**_document(paper)) for paper in senders.documents_of(call.rt, one.id)],
        fees=_fees(one.fees),
        reference=one.reference,
        reason=one.reason,
        requested_at=maybe_rfc(one.requested_at),
        approved_at=maybe_rfc(one.approved_at),
        valid_until=maybe_rfc(one.valid_until),
        created_at=rfc(one.created_at),
    )
