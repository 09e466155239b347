"""What an account says about a person's consent, checked before it is recorded. Pure.

A consent that is claimed must be provable: who agreed expressly or in writing has read a text, and that text is asked
for; who may be written to because they bought something has an order, and that is asked for.
"""

from __future__ import annotations

import ipaddress
from typing import Final, Literal

from msgspec import Struct

from chappe.consent.addresses import address
from chappe.consent.model import Basis, Channel, Entry, Proof, Purpose, Source
from chappe.errors import Refused

SKEW_MS: Final = 60_000  # by which a caller's clock may be ahead
EARLIEST: Final = 631_152_000_000  # 1990: no text message was sent before
LONGEST: Final = {"wording": 4_000, "wording_version": 100, "reference": 500, "note": 500, "brand": 100}
_LATEST: Final = 4_102_444_800_000  # 2100


class Claim(Struct, frozen=True, kw_only=True):
    """As it was handed in: `person` in any spelling, times in milliseconds; `channel` None is that of the address, `at`
    None is now."""

    person: str
    event: Literal["given", "withdrawn"] = "given"
    channel: Channel | None = None
    purpose: Purpose = "marketing"
    brand: str = ""
    basis: Basis = "express"
    wording: str = ""
    wording_version: str = ""
    at: int | None = None
    ip: str = ""
    reference: str = ""
    note: str = ""
    expires_at: int | None = None


def statement(
    claim: Claim,
    *,
    account_id: int,
    test: bool,
    source: Source,
    actor: str,
    now: int,
    country: str | None = None,
) -> Entry:
    """The entry that it makes. Raises Refused with the field as `param`."""
    person = address(claim.person, country)
    at = now if claim.at is None else claim.at
    _check_times(claim, at, now)
    _check_texts(claim)
    if claim.event == "given":
        _check_proof(claim, source)
    return Entry(
        account_id=account_id,
        test=test,
        event=claim.event,
        channel=claim.channel or channel_of(person),
        purpose=claim.purpose,
        source=source,
        at=min(at, now),
        proof=Proof(
            person=person,
            wording=claim.wording,
            wording_version=claim.wording_version,
            ip=_ip(claim.ip),
            actor=actor,
            note=claim.note,
            reference=claim.reference,
        ),
        brand=claim.brand,
        basis=claim.basis,
        expires_at=claim.expires_at if claim.event == "given" else None,
    )


def channel_of(person: str) -> Channel:
    """Which channel an address is of; an alias is of any."""
    match person.partition(":")[0]:
        case "mail":
            return "email"
        case "push":
            return "push"
        case "alias":
            return "any"
        case _:
            return "sms"


def _check_times(claim: Claim, at: int, now: int) -> None:
    if at > now + SKEW_MS:
        raise Refused("invalid_value", "Nobody can have said this yet: the time is in the future.", param="at")
    if at < EARLIEST:
        raise Refused("invalid_value", "The time lies before 1990.", param="at")
    if claim.expires_at is not None and not at < claim.expires_at <= _LATEST:
        raise Refused("invalid_value", "A consent expires after it was given, and before 2100.", param="expires_at")


def _check_texts(claim: Claim) -> None:
    for name, longest in LONGEST.items():
        text = getattr(claim, name)
        if len(text) > longest:
            words = f"It has {len(text)} characters; at most {longest} are kept."
            raise Refused("invalid_value", words, param=name)
        if "\0" in text or (name in ("brand", "wording_version") and not text.isprintable()):
            raise Refused("invalid_value", "It holds a control character.", param=name)


def _check_proof(claim: Claim, source: Source) -> None:
    if claim.basis in ("express", "written"):
        if claim.wording or (source == "panel" and claim.note):
            return
        words = f"A consent of basis {claim.basis} is proved by the text that the person agreed to: give it as wording."
        raise Refused("missing_field", words, param="wording")
    if not (claim.reference or claim.note):
        words = f"A consent of basis {claim.basis} rests on something: give the order, contract or page as reference."
        raise Refused("missing_field", words, param="reference")


def _ip(text: str) -> str:
    if not text:
        return ""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise Refused("invalid_value", f"{text[:40]!a} is no IP address.", param="ip") from None
