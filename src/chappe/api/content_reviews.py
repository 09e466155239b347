"""Texts that somebody must look at before they are sent: what waits, why, and what is decided."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from chappe import fraud, ids
from chappe.api.content import FoundOut
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Purpose, Time, after, listed, maybe_rfc, paged, rfc
from chappe.errors import Refused
from chappe.fraud import DAYS, Review, State
from chappe.messages import reviews

resource = Resource(
    "Held content",
    "Messages of the account that wait until the operator has looked at their text. They are `scheduled` meanwhile.",
    scope="messages:read",
    tenant=True,
)
staff = Resource(
    "Content reviews", "Texts of all accounts that wait for a decision, and what was decided.", scope="admin"
)

_END = (1 << 63) - 1
Note = Annotated[
    str, Meta(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$", description="The account reads it.")
]
ReviewState = Annotated[
    State,
    Meta(description="`expired`: nobody decided while the messages were valid. `withdrawn`: by the account itself."),
]


class HeldQuery(Page, forbid_unknown_fields=True, kw_only=True):
    """Which ones."""

    state: ReviewState | None = None


class ReviewsQuery(HeldQuery, forbid_unknown_fields=True, kw_only=True):
    """Which ones, and whose."""

    account_id: Annotated[str, Meta(examples=["acc_006h3r8k2w0g4"])] | None = None


class Approval(Struct, forbid_unknown_fields=True, kw_only=True):
    """For how long such texts of the account and sender pass without being looked at."""

    days: Annotated[int, Meta(ge=1, le=365)] = DAYS
    note: Note = ""


class ContentRejection(Struct, forbid_unknown_fields=True, kw_only=True):
    """Why not, and for how long such texts are refused at once."""

    days: Annotated[int, Meta(ge=1, le=365)] = DAYS
    note: Note = ""


class HeldOut(Struct, frozen=True, kw_only=True):
    """Texts that are one to a reviewer: they may differ in digits, in whom they greet, in the path of a link."""

    id: Annotated[str, Meta(examples=["crv_006h3r8k2w0g4"])]
    state: ReviewState
    from_: str = msgspec.field(name="from")
    country: Annotated[str, Meta(description="Of the first message; empty if unknown.")]
    purpose: Purpose
    sample: Annotated[str, Meta(description="The first of them.")]
    findings: list[FoundOut]
    count: Annotated[int, Meta(description="Messages that came, all in all.")]
    waiting: Annotated[int | None, Meta(description="Messages that wait now; null in lists.")]
    opened_at: Time
    decided_at: Time | None
    remembered_until: Annotated[Time | None, Meta(description="How long the decision holds for such texts.")]
    note: str


class ReviewOut(HeldOut, frozen=True, kw_only=True):
    """The same, as the operator sees it."""

    account_id: str
    decided_by: str | None


@resource.get("/v1/content/held", errors=("invalid_cursor",))
async def list_held(call: Call, query: HeldQuery) -> Listed[HeldOut]:
    """List texts of the account that were held."""
    rows, cursor = await _page(call, query, call.account_id)
    return listed([HeldOut(**_fields(one, None)) for one in rows], cursor)


@resource.get("/v1/content/held/{id:crv}")
async def get_held(call: Call, id: int) -> HeldOut:
    """Show why a text was held, and what was decided."""
    found = await fraud.found_review(call.rt, id, call.account_id)
    return HeldOut(**_fields(found, await fraud.waiting(call.rt, found)))


@resource.post("/v1/content/held/{id:crv}/withdraw", scope="messages:send", errors=("review_state", "conflict"))
async def withdraw(call: Call, id: int) -> HeldOut:
    """Take back all messages that wait for this decision."""
    call.caller.need_live("held messages")
    found = await fraud.found_review(call.rt, id, call.account_id)
    after_ = await reviews.decide(call.house.pipeline, call.actor, found, "withdrawn")
    return HeldOut(**_fields(after_, await fraud.waiting(call.rt, after_)))


@staff.get("/v1/content_reviews", errors=("invalid_cursor", "not_found"))
async def list_reviews(call: Call, query: ReviewsQuery) -> Listed[ReviewOut]:
    """List reviews of all accounts."""
    account_id = None if query.account_id is None else ids.parse("acc", query.account_id)
    if query.account_id is not None and account_id is None:
        raise Refused("not_found", "There is no such account.", param="account_id")
    rows, cursor = await _page(call, query, account_id)
    return listed([_review(one, None) for one in rows], cursor)


@staff.get("/v1/content_reviews/{id:crv}")
async def get_review(call: Call, id: int) -> ReviewOut:
    """Show a review, and how many messages wait for it."""
    found = await fraud.found_review(call.rt, id)
    return _review(found, await fraud.waiting(call.rt, found))


@staff.post(
    "/v1/content_reviews/{id:crv}/approve",
    example={"days": 30, "note": "Their shop."},
    errors=("review_state", "conflict"),
)
async def approve(call: Call, id: int, body: Approval) -> ReviewOut:
    """Let the messages go, and such texts pass for a while.

    They leave in slices; `waiting` tells how many still wait. Each is asked again for everything else: consent, law,
    prices, limits."""
    call.caller.need_live("reviews")
    found = await fraud.found_review(call.rt, id)
    decided = await reviews.decide(call.house.pipeline, call.actor, found, "approved", days=body.days, note=body.note)
    return _review(decided, await fraud.waiting(call.rt, decided))


@staff.post(
    "/v1/content_reviews/{id:crv}/reject",
    example={"note": "The domain is not yours."},
    errors=("review_state", "conflict"),
)
async def reject(call: Call, id: int, body: ContentRejection) -> ReviewOut:
    """Fail the messages, and refuse such texts for a while.

    What is not on the wire yet fails with `content_rejected`, and its price is given back. So an approval is taken
    back, too."""
    call.caller.need_live("reviews")
    found = await fraud.found_review(call.rt, id)
    decided = await reviews.decide(call.house.pipeline, call.actor, found, "rejected", days=body.days, note=body.note)
    return _review(decided, await fraud.waiting(call.rt, decided))


async def _page(call: Call, query: HeldQuery, account_id: int | None) -> tuple[list[Review], str | None]:
    before = after(query, "crv")
    found = await fraud.reviews(call.rt, account_id, query.state, _END if before is None else before, query.limit + 1)
    return paged(found, query, "crv", lambda one: one.id)


def _fields(one: Review, waiting: int | None) -> dict[str, Any]:
    return {
        "id": ids.public("crv", one.id),
        "state": one.state,
        "from_": one.sender,
        "country": one.country,
        "purpose": one.purpose,
        "sample": one.sample,
        "findings": [FoundOut(**msgspec.structs.asdict(found)) for found in one.findings],
        "count": one.count,
        "waiting": waiting,
        "opened_at": rfc(one.opened_at),
        "decided_at": maybe_rfc(one.decided_at),
        "remembered_until": maybe_rfc(one.until),
        "note": one.note,
    }


def _review(one: Review, waiting: int | None) -> ReviewOut:
    account_id = ids.public("acc", one.account_id)
    return ReviewOut(**_fields(one, waiting), account_id=account_id, decided_by=one.decided_by)
