"""Registrations and their documents: written, handed in, decided, ended. The audit of each step is the history."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from chappe import ids
from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.senders import store as table
from chappe.senders.model import canonical
from chappe.senders.registrations import (
    MAX_DOCUMENTS,
    MENDABLE,
    Document,
    Fees,
    Particulars,
    Registration,
    check_document,
    moved,
)
from chappe.senders.room import book, found_sender
from chappe.senders.rules import rules_of

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SYSTEM = "system"
_DAY_MS = 86_400_000


class Step(msgspec.Struct, frozen=True):
    """A line of a registration's history: who did what, and the fields that changed."""

    at: int
    actor: str
    action: str
    before: dict[str, Any]
    after: dict[str, Any]


async def create_registration(
    rt: Runtime,
    actor: str,
    account_id: int,
    *,
    sender_id: int,
    country: str,
    operator: str = "",
    particulars: Particulars | None = None,
) -> Registration:
    """A draft. Raises Refused: not_found, invalid_value, duplicate_name."""
    sender = found_sender(rt, account_id, sender_id)
    if any(one.operator == operator for one in book(rt).registrations_of(sender_id, country)):
        words = f"{sender.address} already has a registration for {country} {operator}".rstrip() + "."
        raise Refused("duplicate_name", words, param="country", action="Change that one.")
    registration = checked(
        Registration(
            id=rt.ids.next(),
            account_id=account_id,
            sender_id=sender_id,
            country=country,
            operator=operator,
            state="draft",
            particulars=particulars or Particulars(),
            fees=None,
            reference=None,
            reason=None,
            submitted_by=None,
            requested_at=None,
            approved_at=None,
            valid_until=None,
            warned_at=None,
            created_at=rt.clock.now(),
            version=0,
        )
    )
    change = Change(rt, actor)
    change.create(table.REGISTRATIONS, registration)
    await change.commit()
    return registration


async def update_registration(
    rt: Runtime, actor: str, account_id: int, registration_id: int, particulars: Particulars
) -> Registration:
    """Change what is written, while nobody looks at it. Raises Refused: not_found, sender_registration_state."""
    before = found_registration(rt, registration_id, account_id)
    _mendable(before)
    return await _changed(rt, actor, before, "update", particulars=particulars)


async def delete_registration(rt: Runtime, actor: str, account_id: int, registration_id: int) -> None:
    """With its documents. Raises Refused: not_found, sender_registration_state."""
    registration = found_registration(rt, registration_id, account_id)
    _mendable(registration)
    change = Change(rt, actor)
    for document in documents_of(rt, registration_id):
        change.delete(table.DOCUMENTS, document)
    change.delete(table.REGISTRATIONS, registration)
    await change.commit()


async def submit(rt: Runtime, actor: str, account_id: int, registration_id: int) -> Registration:
    """Hand it in. Raises Refused: not_found, sender_registration_state, and missing_field for what the register of
    that country asks for."""
    before = found_registration(rt, registration_id, account_id)
    state, now = moved(before.state, "submit"), rt.clock.now()
    sender = found_sender(rt, account_id, before.sender_id)
    for rule in rules_of(before.country, now):
        if rule.concerns(sender.kind, canonical(sender.address)):
            for name in rule.requires:
                if not getattr(before.particulars, name):
                    words = f"{rule.register} asks for {name}. (Rule {rule.name}; source: {rule.source}.)"
                    raise Refused("missing_field", words, param=f"particulars.{name}")
    return await _changed(
        rt, actor, before, "submit", state=state, requested_at=now, submitted_by=actor, reason=None, warned_at=None
    )


async def withdraw(rt: Runtime, actor: str, account_id: int, registration_id: int) -> Registration:
    """Take it back. Raises Refused: not_found, sender_registration_state."""
    before = found_registration(rt, registration_id, account_id)
    return await _changed(rt, actor, before, "withdraw", state=moved(before.state, "withdraw"))


async def review(rt: Runtime, actor: str, registration_id: int) -> Registration:
    """Somebody of the staff looks at it, or the register does. Raises as `withdraw`."""
    before = found_registration(rt, registration_id)
    return await _changed(rt, actor, before, "review", state=moved(before.state, "review"))


async def approve(
    rt: Runtime,
    actor: str,
    registration_id: int,
    *,
    reference: str | None = None,
    valid_until: int | None = None,
    fees: Fees | None = None,
) -> Registration:
    """From now on, until `valid_until` if it is given. Raises Refused: not_found, sender_registration_state,
    invalid_value for an end in the past, scope_missing where two people have to decide and this is the first."""
    before = found_registration(rt, registration_id)
    state, now = moved(before.state, "approve"), rt.clock.now()
    if rt.settings.senders.four_eyes and actor == before.submitted_by:
        words = "Who handed in a registration may not approve it here."
        raise Refused("scope_missing", words, action="Have somebody else approve it, with a key of their own.")
    if valid_until is not None and valid_until <= now:
        raise Refused("invalid_value", "valid_until is in the past.", param="valid_until")
    fields: dict[str, Any] = {"reference": reference or before.reference, "fees": fees or before.fees}
    return await _changed(
        rt,
        actor,
        before,
        "approve",
        state=state,
        approved_at=now,
        valid_until=valid_until,
        warned_at=None,
        reason=None,
        **fields,
    )


async def reject(rt: Runtime, actor: str, registration_id: int, reason: str) -> Registration:
    """Raises Refused: not_found, sender_registration_state."""
    before = found_registration(rt, registration_id)
    return await _changed(rt, actor, before, "reject", state=moved(before.state, "reject"), reason=reason)


async def suspend(rt: Runtime, actor: str, registration_id: int, reason: str) -> Registration:
    """The sender may not be used there until it is resumed. Raises as `reject`."""
    before = found_registration(rt, registration_id)
    return await _changed(rt, actor, before, "suspend", state=moved(before.state, "suspend"), reason=reason)


async def resume(rt: Runtime, actor: str, registration_id: int) -> Registration:
    """Raises as `reject`."""
    before = found_registration(rt, registration_id)
    return await _changed(rt, actor, before, "resume", state=moved(before.state, "resume"), reason=None)


async def watch_expiry(rt: Runtime) -> None:
    """End what is over, and warn once of what will be soon: a line of log and of the registration's history."""
    now = rt.clock.now()
    soon = now + rt.settings.senders.expiry_warning_days * _DAY_MS
    for one in list(book(rt).registrations.values()):
        if one.state not in ("approved", "suspended") or one.valid_until is None:
            continue
        fields: dict[str, Any]
        if one.valid_until <= now:
            verb, fields = "expire", {"state": moved(one.state, "expire")}
        elif one.valid_until <= soon and one.warned_at is None:
            verb, fields = "warn of expiry", {"warned_at": now}
        else:
            continue
        try:
            await _changed(rt, SYSTEM, one, verb, **fields)
        except Refused:
            continue  # somebody changed it meanwhile: the next round looks again
        where = {"registration": table.REGISTRATIONS.public(one.id), "country": one.country}
        rt.log.warning("sender registration", step=verb, valid_until=one.valid_until, **where)


# -- documents ------------------------------------------------------------------------------------------------------


async def add_document(
    rt: Runtime, actor: str, account_id: int, registration_id: int, *, name: str, media_type: str, content: bytes
) -> Document:
    """Raises Refused: not_found, invalid_value, sender_registration_state (it was handed in already)."""
    registration = found_registration(rt, registration_id, account_id)
    _mendable(registration)
    check_document(media_type, content)
    if len(documents_of(rt, registration_id)) >= MAX_DOCUMENTS:
        raise Refused("invalid_value", f"A registration has at most {MAX_DOCUMENTS} documents.")
    document = checked(
        Document(
            id=rt.ids.next(),
            account_id=account_id,
            registration_id=registration_id,
            name=name,
            media_type=media_type,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            created_at=rt.clock.now(),
            created_by=actor,
            content=content,
        )
    )
    change = Change(rt, actor)
    change.create(table.DOCUMENTS, document)
    await change.commit()
    return document


async def read_document(rt: Runtime, document_id: int, account_id: int | None = None) -> tuple[Document, bytes]:
    """What was handed in. Raises Refused not_found, also for one of another account."""
    document = _found_document(rt, document_id, account_id)
    content = await table.content_of(rt.store, document_id)
    if content is None:
        raise Refused("not_found", "There is no such document.")
    return document, content


async def delete_document(rt: Runtime, actor: str, account_id: int, document_id: int) -> None:
    """Raises Refused: not_found, sender_registration_state."""
    document = _found_document(rt, document_id, account_id)
    _mendable(found_registration(rt, document.registration_id, account_id))
    change = Change(rt, actor)
    change.delete(table.DOCUMENTS, document)
    await change.commit()


# -- reading --------------------------------------------------------------------------------------------------------


def found_registration(rt: Runtime, registration_id: int, account_id: int | None = None) -> Registration:
    """Of that account, or of any for the staff (None). Raises Refused not_found."""
    found = book(rt).registrations.get(registration_id)
    if found is None or account_id not in (None, found.account_id):
        raise Refused("not_found", "There is no such registration.", param="id")
    return found


def documents_of(rt: Runtime, registration_id: int) -> list[Document]:
    """Oldest first, without their contents."""
    return [one for one in book(rt).documents.values() if one.registration_id == registration_id]


async def history(rt: Runtime, registration: Registration) -> list[Step]:
    """Every change, oldest first."""
    rows = await table.history_of(rt.store, registration, ids.at(registration.created_at))
    return [Step(at, actor, action, _decoded(before), _decoded(after)) for at, actor, action, before, after in rows]


def _decoded(text: str | None) -> dict[str, Any]:
    return {} if text is None else msgspec.json.decode(text, type=dict[str, Any])


def _found_document(rt: Runtime, document_id: int, account_id: int | None) -> Document:
    found = book(rt).documents.get(document_id)
    if found is None or account_id not in (None, found.account_id):
        raise Refused("not_found", "There is no such document.", param="id")
    return found


def _mendable(registration: Registration) -> None:
    if registration.state not in MENDABLE:
        raise Refused(
            "sender_registration_state",
            f"A registration that is {registration.state.replace('_', ' ')} is not changed.",
            action="Withdraw it first, or ask your operator.",
        )


async def _changed(rt: Runtime, actor: str, before: Registration, verb: str, **fields: Any) -> Registration:
    """One step; of two who decide at the same time the second gets a conflict."""
    after = checked(msgspec.structs.replace(before, version=before.version + 1, **fields))
    change = Change(rt, actor)
    change.update(table.REGISTRATIONS, before, after, verb)
    await change.commit()
    return after
