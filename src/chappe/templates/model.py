"""What a template is: the texts in their languages, the values they take, and the states of each version. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from chappe.accounts import Purpose

Kind = Literal["text", "number", "date", "money", "url", "code"]
Alphabet = Literal["gsm7", "unicode"]
Status = Literal["draft", "review", "approved", "rejected", "retired"]
Action = Literal["submit", "withdraw", "approve", "reject", "retire"]

DEFAULT = "default"  # the body for everybody whose language has none
MAX_SOURCE = 5_000  # characters of a body
MAX_LOCALES = 60
MAX_VARIABLES = 40
MAX_VALUE = 1_000
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
BUILT_IN = "opt_out_link"  # `{{ opt_out_link }}` needs no declaration
OPT_OUT_LINK = "{opt_out_link}"  # what it renders to; whoever takes the message puts the recipient's own link there
LONGEST_LINK = 60  # characters that such a link is counted with

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", examples=["order-shipped"])]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["FR"])]
Words = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
Body = Annotated[str, Meta(min_length=1, max_length=MAX_SOURCE)]

_LOCALE = re.compile(r"default|[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")  # RFC 5646: fr, fr-CA, sr-Latn-RS
_VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RESERVED = {"true", "false", "nil", "null", "empty", "blank", "and", "or", "contains", "now", "today"}

# What a value of a kind measures at most where its variable does not say: septets or UTF-16 units
LENGTHS: dict[Kind, int] = {"text": 40, "number": 12, "date": 16, "money": 16, "url": 60, "code": 10}


class Variable(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A value that a body takes. `max_length` counts what the value costs in a message: 1 a character, 2 for emoji and
    for the characters that GSM-7 writes with an escape (^ { } \\ [ ~ ] | €). A text of the alphabet `gsm7` is written
    with GSM-7 letters (ê becomes e) or refused; `unicode` takes everything and may double the price."""

    type: Kind = "text"
    example: Annotated[str, Meta(min_length=1, max_length=MAX_VALUE)]
    max_length: Annotated[int, Meta(ge=1, le=MAX_VALUE)] | None = None
    alphabet: Alphabet = "unicode"
    optional: bool = False

    @property
    def most(self) -> int:
        return LENGTHS[self.type] if self.max_length is None else self.max_length


class Registered(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How a country's register knows the template; in India the DLT template id, which the operator compares, the id of
    the entity where it is not that of the sender's registration, and the hash of the chain of telemarketers."""

    template_id: Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE, examples=["1107160000000012345"])]
    entity_id: Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)] | None = None
    chain_hash: Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)] | None = None


class Content(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a version says. `bodies` by locale, `default` for the others; `brand` is the name by which a text says who
    writes; `countries` are where it goes, which lint looks at."""

    bodies: Annotated[dict[str, Body], Meta(min_length=1, max_length=MAX_LOCALES)]
    variables: Annotated[dict[str, Variable], Meta(max_length=MAX_VARIABLES)] = {}
    purpose: Purpose = "transactional"
    sender: Annotated[str, Meta(min_length=1, max_length=37, pattern=PRINTABLE)] | None = None
    brand: Words | None = None
    countries: Annotated[tuple[Country, ...], Meta(max_length=250)] = ()
    registrations: Annotated[dict[str, Registered], Meta(max_length=250)] = {}


class Template(Struct, frozen=True):
    """A name, and which of its versions is which: `latest` was written last, `live` is the approved one in use.
    `revision` rises with every change."""

    id: int
    account_id: int
    name: Name
    latest: int
    live: int | None
    created_at: int
    revision: int


class Version(Struct, frozen=True):
    """One wording of a template; `revision` rises with every change, so that nobody approves what he has not read."""

    id: int
    account_id: int
    template_id: int
    number: int
    status: Status
    content: Content
    reason: str | None
    decided_by: str | None
    created_at: int
    changed_at: int
    revision: int


_MOVES: dict[Action, tuple[tuple[Status, ...], Status]] = {
    "submit": (("draft", "rejected"), "review"),
    "withdraw": (("review",), "draft"),
    "approve": (("review",), "approved"),
    "reject": (("review",), "rejected"),
    "retire": (("approved",), "retired"),
}
MENDABLE: tuple[Status, ...] = ("draft", "rejected")


def after(status: Status, action: Action) -> Status | None:
    """What a version becomes; None where the action does not fit its state."""
    before, becomes = _MOVES[action]
    return becomes if status in before else None


def fallbacks(locale: str) -> list[str]:
    """`fr-CA` is looked for as fr-CA, fr, default. Also `fr_CA`, as POSIX writes it."""
    parts = locale.replace("_", "-").split("-")
    return ["-".join(parts[:length]) for length in range(len(parts), 0, -1)] + [DEFAULT]


def localised(content: Content, locale: str | None) -> str | None:
    """The locale whose body is used for somebody who asked for this one; None where there is none."""
    return next((one for one in fallbacks(locale or DEFAULT) if one in content.bodies), None)


def misnamed(content: Content) -> list[tuple[str, str]]:
    """(field, what is wrong) for each name that is none."""
    found = [
        (f"bodies.{one}", f"{one} is no locale: write fr, fr-CA or default.")
        for one in content.bodies
        if not _LOCALE.fullmatch(one)
    ]
    for one in content.variables:
        if one == BUILT_IN:
            found.append((f"variables.{one}", f"{one} is built in: write it without declaring it."))
        elif not _VARIABLE.fullmatch(one) or one in _RESERVED:
            found.append((f"variables.{one}", f"{one} is no name: use small letters, digits and _, 40 at most."))
    found += [
        (f"registrations.{one}", f"{one} is no country: write two capital letters.")
        for one in content.registrations
        if not re.fullmatch("[A-Z]{2}", one)
    ]
    return found


def read_content(raw: object) -> Content:
    """From decoded TOML or JSON. Raises msgspec.ValidationError."""
    return msgspec.convert(raw, Content)
