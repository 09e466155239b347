"""Opt-outs: who is not to be written to, and why; refusals that reach the account on other ways are handed in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from chappe import ids, privacy
from chappe.api.answers import Answer
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.send_shapes import ItemError
from chappe.api.shapes import Listed, Page, Time, after, listed, maybe_rfc, paged, rfc
from chappe.consent import EVERYONES, Channel, Cover, Reason, Scope, Source, Suppression, address
from chappe.consent import suppressions as rooms
from chappe.consent.suppressions import MOST_AT_ONCE, SuppressionList, Wanted, Whose
from chappe.errors import Detail, Refused

resource = Resource(
    "Opt-outs",
    "Who is not to be written to: because they said so, because they are on a list of the account, or because the "
    "operator knows better.",
    scope="messages:read",
    tenant=True,
)

Person = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="A number in E.164, `mail:...`, `push:...` or `alias:...`.",
        examples=["+33612345678"],
    ),
]
Note = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Expiry = Annotated[str, Meta(max_length=40, description="RFC 3339, or a day, at whose end (UTC) it is over.")]
ListName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["newsletter-2019"])]
Everyone = Annotated[bool, Meta(description="What the operator forbids all accounts. Needs the scope admin.")]
Covers = Annotated[
    Cover,
    Meta(description="Which purposes it stops: `marketing`, `all_but_otp`, or `all`."),
]
_MOST_DETAILS = 100


class OptOutFilters(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which of them."""

    person: Person | None = None
    scope: Scope | None = None
    reason: Reason | None = None
    list_: ListName | None = field(default=None, name="list")
    channel: Channel | None = None
    source: Source | None = None
    everyone: Everyone = False


class OptOutsQuery(Page, forbid_unknown_fields=True, kw_only=True):
    """Which of them, and which page."""

    person: Person | None = None
    scope: Scope | None = None
    reason: Reason | None = None
    list_: ListName | None = field(default=None, name="list")
    channel: Channel | None = None
    source: Source | None = None
    everyone: Everyone = False


class NewOptOut(Struct, forbid_unknown_fields=True, kw_only=True):
    """A person, as `to` or as `person`, and what they refuse: by default marketing of the account by any channel."""

    to: Person | None = None
    person: Person | None = None
    channel: Channel = "any"
    scope: Annotated[Scope, Meta(description="All of the account, or a brand, a sender, a country: `value`.")] = (
        "account"
    )
    value: Annotated[str, Meta(max_length=100)] = ""
    covers: Covers | None = None
    note: Annotated[Note, Meta(description="How you know. Of a refusal it is kept with the proof, in the ledger.")] = ""
    expires_at: Expiry | None = None
    list_: ListName | None = field(default=None, name="list")


class NewOptOuts(Struct, forbid_unknown_fields=True, kw_only=True):
    """One or many. With a `reason` they are the operator's, with `everyone` for all accounts."""

    opt_outs: Annotated[list[NewOptOut], Meta(min_length=1, max_length=MOST_AT_ONCE)]
    reason: (
        Annotated[
            Literal["complaint", "disconnected", "operator"],
            Meta(description="How the operator knows; needs the scope admin."),
        ]
        | None
    ) = None
    everyone: Everyone = False


class OptOutItem(Struct, frozen=True, kw_only=True):
    """What became of one item: `id` and `status`, or `error`."""

    index: int
    id: Annotated[str, Meta(examples=["opt_006h3r8k2w0g4"])] | UnsetType = UNSET
    status: Annotated[Literal["created", "known"], Meta(description="`known`: it was there before.")] | UnsetType = (
        UNSET
    )
    error: ItemError | UnsetType = UNSET


class OptOutResult(Struct, frozen=True, kw_only=True):
    """What became of each item, in order."""

    data: list[OptOutItem]
    accepted: int
    refused: int


class OptOutOut(Struct, frozen=True, kw_only=True):
    """Who is not to be written to. `person` is null once they are forgotten: what is left still stops messages."""

    id: Annotated[str, Meta(examples=["opt_006h3r8k2w0g4"])]
    person: str | None
    to: Annotated[str, Meta(description="The number, where the person is one.")] | None
    channel: Channel
    scope: Scope
    value: str
    covers: Covers
    reason: Reason
    source: Source
    list_: str | None = field(name="list")
    note: str
    everyone: bool
    test: bool
    consent_id: (
        Annotated[str, Meta(description="The entry of the ledger that it comes from: `GET /v1/consents/{id}`.")] | None
    )
    created_at: Time
    expires_at: Time | None


class LiftQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Why it is lifted, where the operator does."""

    reason: Annotated[str, Meta(max_length=500)] = ""


# -- operations ----------------------------------------------------------------------------------------------------


@resource.get("/v1/opt_outs", errors=("invalid_cursor",))
async def list_(call: Call, query: OptOutsQuery) -> Listed[OptOutOut]:
    """List opt-outs."""
    found = await rooms.search(
        call.rt, whose(call, query.everyone), **_filters(query), before=after(query, "opt"), limit=query.limit + 1
    )
    rows, cursor = paged(found, query, "opt", lambda one: one.id)
    if query.person is not None:
        person = _filters(query)["person"]
        privacy.saw(call.rt, call.account_id, call.actor, "person", person, test=call.test, count=len(rows))
    return listed(map(_shown, rows), cursor)


@resource.get("/v1/opt_outs/export", media=("text/csv",))
async def export(call: Call, query: OptOutFilters) -> Answer:
    """Download opt-outs as CSV, as an import takes it.

    The newest first. Persons who were forgotten are left out."""
    headers = ((b"content-type", b"text/csv"), (b"content-disposition", b"attachment; filename=opt_outs.csv"))
    chunks = rooms.export_csv(call.rt, whose(call, query.everyone), **_filters(query))
    return Answer(200, b"", headers, chunks=chunks)


@resource.get("/v1/opt_outs/{id:opt}")
async def get(call: Call, id: int) -> OptOutOut:
    """Show an opt-out."""
    return _shown(await rooms.found_suppression(call.rt, visible(call), call.test, id))


@resource.post(
    "/v1/opt_outs",
    scope="messages:send",
    example={"opt_outs": [{"to": "+33612345678", "note": "By telephone."}]},
    errors=("number_not_e164", "number_impossible", "list_being_deleted"),
)
async def create(call: Call, body: NewOptOuts) -> OptOutResult:
    """Record opt-outs.

    Each item is answered by itself; 422 when none was accepted. What a person refuses goes into the ledger of
    consents, and no message covered by it leaves after the answer. With `list` or `expires_at` it is the account's own
    wish instead, which the account may lift again."""
    rt, target = call.rt, whose(call, body.everyone)
    if body.reason is not None:
        call.caller.need("admin")
    reason = body.reason or ("operator" if body.everyone else None)
    lists: dict[str, SuppressionList | Refused] = {}
    items: list[Wanted | Refused] = []
    for one in body.opt_outs:
        if one.list_ is not None and one.list_ not in lists:
            lists[one.list_] = await _list_or_refusal(call, target, one.list_)
        items.append(_wanted(one, rt.clock.now(), lists))
    source: Source = "api" if reason is None else "operator" if reason == "operator" else "carrier"
    good = [item for item in items if isinstance(item, Wanted)]
    added = iter(await rooms.add(rt, target, good, source=source, actor=call.actor, reason=reason))
    data = []
    for index, item in enumerate(items):
        if isinstance(item, Refused):
            data.append(OptOutItem(index=index, error=ItemError(item.code, item.message, item.param)))
        else:
            done = next(added)
            status: Literal["created", "known"] = "created" if done.created else "known"
            data.append(OptOutItem(index=index, id=ids.public("opt", done.id), status=status))
    if not good:
        raise _none_accepted(items)
    return OptOutResult(data=data, accepted=len(good), refused=len(items) - len(good))


@resource.delete("/v1/opt_outs/{id:opt}", scope="messages:send", errors=("opt_out_needs_consent", "missing_field"))
async def delete(call: Call, id: int, query: LiftQuery) -> None:
    """Lift an opt-out.

    An account lifts what it put on a list itself, and a number that is in use again. What a person said is taken back
    by the person: record that as a consent. The operator lifts any, with a reason."""
    found = await rooms.found_suppression(call.rt, visible(call), call.test, id)
    await rooms.lift(call.rt, call.actor, found, operator=call.caller.key.may("admin"), reason=query.reason)


# -- translating ---------------------------------------------------------------------------------------------------


def whose(call: Call, everyone: bool) -> Whose:
    """Raises Refused scope_missing."""
    if everyone:
        call.caller.need("admin")
        return Whose(EVERYONES, call.test)
    return Whose(call.account_id, call.test)


def visible(call: Call) -> tuple[int, ...]:
    """The accounts whose objects the caller may see by their ids."""
    return (call.account_id, EVERYONES) if call.caller.key.may("admin") else (call.account_id,)


def check_yours(call: Call, found: SuppressionList) -> None:
    """What the operator knows, the operator tells. Raises Refused scope_missing."""
    if found.reason != "list":
        call.caller.need("admin")


def _filters(query: OptOutFilters | OptOutsQuery) -> dict[str, str | None]:
    return {
        "person": None if query.person is None else address(query.person),
        "scope": query.scope,
        "reason": query.reason,
        "list_name": query.list_,
        "channel": query.channel,
        "source": query.source,
    }


async def _list_or_refusal(call: Call, target: Whose, name: str) -> SuppressionList | Refused:
    try:
        found = await rooms.list_named(call.rt, target, name)
        check_yours(call, found)
        return found
    except Refused as refused:
        return refused


def _wanted(one: NewOptOut, now: int, lists: dict[str, SuppressionList | Refused]) -> Wanted | Refused:
    try:
        if (one.to is None) == (one.person is None):
            raise Refused("missing_field", "Give either to or person.", param="to")
        wanted = Wanted(
            person=address(one.to or one.person or ""),
            channel=one.channel,
            scope=one.scope,
            value=rooms.check_scope(one.scope, one.value),
            covers=one.covers,
            note=one.note,
            expires_at=None if one.expires_at is None else rooms.expiry(one.expires_at, now),
        )
    except Refused as refused:
        if refused.param == "person" and one.to is not None:
            refused.param = "to"
        return refused
    if one.list_ is None:
        return wanted
    found = lists[one.list_]
    return found if isinstance(found, Refused) else rooms.of_list(found, wanted)


def _none_accepted(items: Sequence[Wanted | Refused]) -> Refused:
    refused = [(index, item) for index, item in enumerate(items) if isinstance(item, Refused)]
    details = [Detail(_place(index, item), item.message) for index, item in refused[:_MOST_DETAILS]]
    first = refused[0][1]
    return Refused(
        first.code, f"None was recorded. {first.message}", param=details[0].param, action=first.action, details=details
    )


def _place(index: int, refused: Refused) -> str:
    return f"opt_outs[{index}].{refused.param}" if refused.param else f"opt_outs[{index}]"


def _shown(one: Suppression) -> OptOutOut:
    number = one.person is not None and one.person.startswith("+")
    return OptOutOut(
        id=ids.public("opt", one.id),
        person=one.person,
        to=one.person if number else None,
        channel=one.channel,
        scope=one.scope,
        value=one.value,
        covers=one.covers,
        reason=one.reason,
        source=one.source,
        list_=one.list_name or None,
        note=one.note,
        everyone=one.account_id == EVERYONES,
        test=one.test,
        consent_id=None if one.entry_id is None else ids.public("cns", one.entry_id),
        created_at=rfc(one.created_at),
        expires_at=maybe_rfc(one.expires_at),
    )
