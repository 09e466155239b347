"""Who agreed to be written to, and who refused. Pure.

A *person* is an address: a number in E.164, `mail:...`, `push:...`, or an `alias:...` of the account. An *entry* is
what a person said and how that is known; entries are only ever added. What they come to is kept beside them: a
*consent* is what a person agreed to or withdrew, a *suppression* forbids messages. What a test key says is kept apart
from live traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from msgspec import Struct

EVERYONES = 0  # as an account: what the operator forbids all of them

Channel = Literal["any", "sms", "whatsapp", "viber", "telegram", "rcs", "email", "push", "voice"]
Purpose = Literal["otp", "transactional", "service", "marketing"]
Source = Literal["api", "keyword", "form", "link", "page", "import", "operator", "panel", "carrier"]
Basis = Literal["express", "written", "soft_opt_in", "implied"]
Scope = Literal["account", "brand", "sender", "country"]
Cover = Literal["marketing", "all_but_otp", "all"]
Reason = Literal["opt_out", "complaint", "disconnected", "erased", "list", "operator"]

CHANNELS: tuple[Channel, ...] = get_args(Channel)
SOURCES: tuple[Source, ...] = get_args(Source)
BASES: tuple[Basis, ...] = get_args(Basis)
SCOPES: tuple[Scope, ...] = get_args(Scope)
COVERS: tuple[Cover, ...] = get_args(Cover)
REASONS: tuple[Reason, ...] = get_args(Reason)

# What a person can take back by asking for messages again: the others are not theirs to lift.
OWN_WISH: frozenset[Reason] = frozenset(("opt_out", "erased"))
_COVERED: Mapping[str, frozenset[str]] = {
    "marketing": frozenset(("marketing",)),
    "all_but_otp": frozenset(("marketing", "service", "transactional")),
    "all": frozenset(("marketing", "service", "transactional", "otp")),
}


class Proof(Struct, frozen=True, omit_defaults=True):
    """How it is known: the text that was shown and its version, where from, and who wrote it down. All of it is about a
    person and goes when they are forgotten; the chain keeps a commitment to it."""

    person: str
    wording: str = ""
    wording_version: str = ""
    ip: str = ""
    actor: str = ""
    note: str = ""
    reference: str = ""  # the message, page or file that it came by


class Entry(Struct, frozen=True):
    """What a person said: `given` or `withdrawn`, of messages of a purpose by a channel from a brand (none: all of the
    account's). `at` is when it was said, in milliseconds."""

    account_id: int
    test: bool
    event: Literal["given", "withdrawn"]
    channel: Channel
    purpose: Purpose
    source: Source
    at: int
    proof: Proof
    brand: str = ""
    basis: Basis = "express"
    expires_at: int | None = None  # of what is given; implied consent ends by itself (CASL: 24 months)


class Suppression(Struct, frozen=True):
    """Forbids messages to a person: all of an account's, or those of a brand, from a sender or to a country (`value`).
    `covers` says of which purposes; `expires_at` None: for ever. `person` is None once they are forgotten."""

    id: int
    person_key: int
    account_id: int
    test: bool
    person: str | None
    channel: Channel
    scope: Scope
    value: str
    covers: Cover
    reason: Reason
    source: Source
    list_name: str
    note: str
    created_at: int
    expires_at: int | None
    entry_id: int | None = None


class Question(NamedTuple):
    """May this account write to this person? `person_key` and `everyones_key` as `Persons` makes them; `brand` that of
    the sender, if any; `at` when the message would go, in milliseconds."""

    person_key: int
    everyones_key: int
    channel: str
    purpose: str
    sender: str
    brand: str
    country: str
    at: int
    needs_consent: bool = True  # of marketing; False: the account keeps its consents elsewhere


class No(NamedTuple):
    """Why not: `code` is of the error catalogue, `message` for people; `data` names the suppression or the consent."""

    code: Literal["opted_out", "consent_missing"]
    message: str
    data: Mapping[str, Any]


def covers(cover: str, purpose: str) -> bool:
    return purpose in _COVERED[cover]
