"""Names that only their owners may send from, however they are spelt. The operator's list."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import ids, senders
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.senders import Countries
from chappe.api.shapes import Listed, Page, Time, given, page_of, rfc
from chappe.errors import Refused
from chappe.senders import Protected

resource = Resource(
    "Protected senders",
    "Names of which others may not use look-alikes: PAYPAL, PayPaI and Pay-Pal in Cyrillic are one. For the operator.",
    scope="accounts",
)

AccountId = Annotated[str, Meta(examples=["acc_006h3r8k2w0g4"])]
Owners = Annotated[tuple[AccountId, ...], Meta(max_length=100, description="Whose name it is; none: nobody's here.")]
Contained = Annotated[bool, Meta(description="Also keep others from names that contain it, such as PayPalInfo.")]


class NewProtected(Struct, forbid_unknown_fields=True, kw_only=True):
    """A name to protect."""

    name: Annotated[str, Meta(min_length=2, max_length=40, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["La Poste"])]
    account_ids: Owners = ()
    countries: Countries = ()
    contained: Contained = False


class ProtectedChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change."""

    account_ids: Owners | UnsetType = UNSET
    countries: Countries | UnsetType = UNSET
    contained: Contained | UnsetType = UNSET


class Alike(Struct, frozen=True, kw_only=True):
    """A sender that somebody else has already and that looks like it."""

    account_id: str
    sender_id: str
    address: str


class ProtectedOut(Struct, frozen=True, kw_only=True):
    """A protected name; `lookalikes` were there before and go on until they are suspended."""

    id: Annotated[str, Meta(examples=["spr_006h3r8k2w0g4"])]
    name: str
    folded: Annotated[str, Meta(description="The letters by which look-alikes are told.")]
    account_ids: list[str]
    countries: list[str]
    contained: bool
    lookalikes: list[Alike]
    created_at: Time


@resource.get("/v1/protected_senders", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[ProtectedOut]:
    """List protected names."""
    every = senders.book(call.rt).names.all
    return page_of(every, query, "spr", lambda one: _shown(call, one), lambda one: one.id)


@resource.get("/v1/protected_senders/{id:spr}")
async def get(call: Call, id: int) -> ProtectedOut:
    """Show a protected name."""
    return _shown(call, senders.found_protected(call.rt, id))


@resource.post(
    "/v1/protected_senders",
    status=201,
    example={"name": "La Poste", "countries": ["FR"]},
    errors=("duplicate_name",),
)
async def create(call: Call, body: NewProtected) -> ProtectedOut:
    """Protect a name."""
    call.caller.need_live("protected names")
    one = await senders.create_protected(
        call.rt,
        call.actor,
        name=body.name,
        account_ids=_accounts(body.account_ids),
        countries=body.countries,
        contained=body.contained,
    )
    return _shown(call, one)


@resource.patch("/v1/protected_senders/{id:spr}", example={"countries": ["FR", "BE"]})
async def update(call: Call, id: int, body: ProtectedChange) -> ProtectedOut:
    """Change whose a protected name is, and where."""
    call.caller.need_live("protected names")
    fields = given(body)
    if "account_ids" in fields:
        fields["account_ids"] = _accounts(fields["account_ids"])
    return _shown(call, await senders.update_protected(call.rt, call.actor, id, **fields))


@resource.delete("/v1/protected_senders/{id:spr}")
async def delete(call: Call, id: int) -> None:
    """Protect a name no longer."""
    call.caller.need_live("protected names")
    await senders.delete_protected(call.rt, call.actor, id)


def _accounts(public: tuple[str, ...]) -> tuple[int, ...]:
    found = []
    for index, text in enumerate(public):
        number = ids.parse("acc", text)
        if number is None:
            raise Refused("invalid_value", "There is no such account.", param=f"account_ids[{index}]")
        found.append(number)
    return tuple(found)


def _shown(call: Call, one: Protected) -> ProtectedOut:
    return ProtectedOut(
        id=ids.public("spr", one.id),
        name=one.name,
        folded=senders.fold(one.name),
        account_ids=[ids.public("acc", number) for number in one.account_ids],
        countries=list(one.countries),
        contained=one.contained,
        lookalikes=[
            Alike(
                account_id=ids.public("acc", sender.account_id),
                sender_id=ids.public("snd", sender.id),
                address=sender.address,
            )
            for sender in senders.lookalikes(call.rt, one)
        ],
        created_at=rfc(one.created_at),
    )
