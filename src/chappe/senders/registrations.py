"""Registrations: a sender's way into a country's register, or into one operator's. Pure.

draft -> submitted -> in_review -> approved | rejected
rejected and expired ones are mended and submitted again; approved ones expire or are suspended; whatever is under
way or approved can be withdrawn, which makes it a draft
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from chappe.errors import Refused

State = Literal["draft", "submitted", "in_review", "approved", "rejected", "expired", "suspended"]
STATES: tuple[State, ...] = ("draft", "submitted", "in_review", "approved", "rejected", "expired", "suspended")
MENDABLE: frozenset[State] = frozenset({"draft", "rejected", "expired"})  # in which the owner may change it

# verb -> (from these states, to this one)
VERBS: dict[str, tuple[frozenset[State], State]] = {
    "submit": (MENDABLE, "submitted"),
    "withdraw": (frozenset({"submitted", "in_review", "approved", "suspended"}), "draft"),
    "review": (frozenset({"submitted"}), "in_review"),
    "approve": (frozenset({"submitted", "in_review"}), "approved"),
    "reject": (frozenset({"submitted", "in_review"}), "rejected"),
    "suspend": (frozenset({"approved"}), "suspended"),
    "resume": (frozenset({"suspended"}), "approved"),
    "expire": (frozenset({"approved", "suspended"}), "expired"),
}

MAX_DOCUMENT = 5 << 20
MAX_DOCUMENTS = 20
MEDIA_TYPES = {"application/pdf": b"%PDF-", "image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
"""What may be handed in, and how such files begin."""

Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Prose = Annotated[str, Meta(min_length=1, max_length=4096)]


class Particulars(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What registers ask for. `dlt_entity_id` and `dlt_template_ids` are those of India's DLT platforms."""

    company: Line | None = None
    tax_id: Line | None = None
    contact_name: Line | None = None
    contact_email: Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None
    website: Annotated[str, Meta(max_length=300, pattern=r"^https?://[^\s]+$")] | None = None
    use_case: Prose | None = None
    samples: Annotated[tuple[Prose, ...], Meta(max_length=10)] = ()
    dlt_entity_id: Annotated[str, Meta(pattern=r"^[0-9]{19}$")] | None = None
    dlt_template_ids: Annotated[tuple[Annotated[str, Meta(pattern=r"^[0-9]{1,30}$")], ...], Meta(max_length=100)] = ()


class Fees(Struct, frozen=True):
    """What the register costs, in micro-units of a currency (ISO 4217); billing reads them."""

    set_up: Annotated[int, Meta(ge=0, le=10**15)]
    monthly: Annotated[int, Meta(ge=0, le=10**15)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


class Registration(Struct, frozen=True):
    """A sender in a country, with one operator (MCC and MNC) or, "", with all. Times are milliseconds;
    `version` rises with every change."""

    id: int
    account_id: int
    sender_id: int
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    operator: Annotated[str, Meta(pattern=r"^([0-9]{5,6})?$")]
    state: State
    particulars: Particulars
    fees: Fees | None
    reference: Annotated[str, Meta(max_length=100)] | None
    reason: Annotated[str, Meta(max_length=1000)] | None
    submitted_by: str | None
    requested_at: int | None
    approved_at: int | None
    valid_until: int | None
    warned_at: int | None
    created_at: int
    version: int = 0

    def holds(self, at: int) -> bool:
        """Whether it lets the sender in at that time."""
        return self.state == "approved" and (self.valid_until is None or at < self.valid_until)


class Document(Struct, frozen=True):
    """A paper handed in with a registration. `content` is read only when somebody asks for it."""

    id: int
    account_id: int
    registration_id: int
    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/\\]+$")]
    media_type: str
    size: int
    sha256: str
    created_at: int
    created_by: str
    content: bytes = b""


def moved(state: State, verb: str) -> State:
    """The state that a verb leads to. Raises Refused sender_registration_state."""
    allowed, after = VERBS[verb]
    if state not in allowed:
        could = ", ".join(name for name, (states, _) in VERBS.items() if state in states and name != "expire")
        raise Refused(
            "sender_registration_state",
            f"One that is {state.replace('_', ' ')} cannot be changed by {verb}.",
            action=f"What can be done with it now: {could}.",
        )
    return after


def check_document(media_type: str, content: bytes) -> None:
    """Raises Refused for what is too large or is not what it says."""
    kinds = ", ".join(MEDIA_TYPES)
    if media_type not in MEDIA_TYPES:
        action = f"Use one of: {kinds}."
        raise Refused("invalid_value", f"{media_type} is not taken.", param="media_type", action=action)
    if not 0 < len(content) <= MAX_DOCUMENT:
        words = f"A document has 1 to {MAX_DOCUMENT:,} bytes, this one {len(content):,}."
        raise Refused("invalid_value", words, param="content", action="Scan it at a lower resolution, or split it.")
    if not content.startswith(MEDIA_TYPES[media_type]):
        raise Refused("invalid_value", f"The content is no {media_type}.", param="content", action="Check the file.")
