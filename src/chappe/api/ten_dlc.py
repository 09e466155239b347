"""10DLC brands and campaigns: written by their owner; what The Campaign Registry says of them is noted by the staff."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import ids, senders
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, given, page_of, rfc
from chappe.senders import Brand, BrandDetails, Campaign, CampaignDetails, CampaignStatus, CarrierStatus, IdentityStatus

resource = Resource(
    "Ten DLC",
    "10DLC: brands and campaigns that local numbers of the United States need: who sends, and what. A sender names its "
    "campaign; it may be used once the brand is verified and the campaign active.",
    scope="senders",
    tenant=True,
)
staff = Resource("Ten DLC registry", "What The Campaign Registry answered. For the operator.", scope="accounts")

Reference = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$", description="A name of your own.", examples=["chappe"])
]


class NewBrand(Struct, forbid_unknown_fields=True, kw_only=True):
    """Who sends."""

    reference: Reference
    details: BrandDetails


class BrandChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The details as a whole; a verified brand stays as it is."""

    details: BrandDetails


class BrandAnswer(Struct, forbid_unknown_fields=True, kw_only=True):
    """What the registry says of a brand; the fields to change."""

    registry_id: Annotated[str, Meta(pattern=r"^B[A-Z0-9]{6}$")] | UnsetType | None = UNSET
    identity_status: IdentityStatus | UnsetType = UNSET
    vetting_score: Annotated[int, Meta(ge=0, le=100)] | UnsetType | None = UNSET


class BrandOut(Struct, frozen=True, kw_only=True):
    """A brand."""

    id: Annotated[str, Meta(examples=["tdb_006h3r8k2w0g4"])]
    reference: str
    details: BrandDetails
    registry_id: str | None
    identity_status: IdentityStatus
    vetting_score: int | None
    created_at: Time


class NewCampaign(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is sent; `brand` is the reference of a brand."""

    brand: Reference
    reference: Reference
    details: CampaignDetails


class CampaignChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The details as a whole; only of a draft or a rejected campaign."""

    details: CampaignDetails


class CampaignAnswer(Struct, forbid_unknown_fields=True, kw_only=True):
    """What the registry and the carriers say of a campaign; the fields to change."""

    registry_id: Annotated[str, Meta(pattern=r"^C[A-Z0-9]{6}$")] | UnsetType | None = UNSET
    status: CampaignStatus | UnsetType = UNSET
    carriers: (
        Annotated[
            dict[Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,30}$")], CarrierStatus],
            Meta(max_length=50, description="By carrier, such as att or t_mobile."),
        ]
        | UnsetType
    ) = UNSET


class CampaignOut(Struct, frozen=True, kw_only=True):
    """A campaign of a brand."""

    id: Annotated[str, Meta(examples=["tdc_006h3r8k2w0g4"])]
    brand: str
    reference: str
    details: CampaignDetails
    registry_id: str | None
    status: CampaignStatus
    carriers: dict[str, CarrierStatus]
    senders: list[str]
    created_at: Time


_BRAND = {
    "reference": "chappe",
    "details": {
        "entity_type": "PRIVATE_PROFIT",
        "display_name": "Chappe",
        "company_name": "Chappe Telegraph Inc.",
        "ein": "12-3456789",
        "country": "US",
        "state": "NY",
        "email": "ops@example.com",
        "vertical": "TECHNOLOGY",
    },
}
_CAMPAIGN = {
    "use_case": "2FA",
    "description": "One-time codes that customers ask for when they sign in to their account.",
    "message_flow": "Customers enter their number at https://example.com/signup and tick a box to receive codes.",
    "samples": ["Chappe: your code is 123456. It is valid for 10 minutes."],
}


@resource.get("/v1/ten_dlc/brands", errors=("invalid_cursor",))
async def list_brands(call: Call, query: Page) -> Listed[BrandOut]:
    """List brands."""
    mine = (one for one in senders.book(call.rt).brands.values() if one.account_id == call.account_id)
    return page_of(mine, query, "tdb", _brand, lambda one: one.id)


@resource.get("/v1/ten_dlc/brands/{id:tdb}")
async def show_brand(call: Call, id: int) -> BrandOut:
    """Show a brand."""
    return _brand(senders.found_brand(call.rt, id, call.account_id))


@resource.post("/v1/ten_dlc/brands", status=201, example=_BRAND, errors=("duplicate_name",))
async def create_brand(call: Call, body: NewBrand) -> BrandOut:
    """Write down a brand."""
    call.caller.need_live("brands")
    rt, whose = call.rt, call.account_id
    return _brand(await senders.create_brand(rt, call.actor, whose, reference=body.reference, details=body.details))


@resource.patch("/v1/ten_dlc/brands/{id:tdb}", example={"details": _BRAND["details"]}, errors=("in_use",))
async def update_brand(call: Call, id: int, body: BrandChange) -> BrandOut:
    """Change a brand."""
    call.caller.need_live("brands")
    return _brand(await senders.update_brand(call.rt, call.actor, id, call.account_id, details=body.details))


@resource.delete("/v1/ten_dlc/brands/{id:tdb}", errors=("in_use",))
async def delete_brand(call: Call, id: int) -> None:
    """Remove a brand."""
    call.caller.need_live("brands")
    await senders.delete_brand(call.rt, call.actor, call.account_id, id)


@resource.get("/v1/ten_dlc/campaigns", errors=("invalid_cursor",))
async def list_campaigns(call: Call, query: Page) -> Listed[CampaignOut]:
    """List campaigns."""
    mine = (one for one in senders.book(call.rt).campaigns.values() if one.account_id == call.account_id)
    return page_of(mine, query, "tdc", lambda one: _campaign(call, one), lambda one: one.id)


@resource.get("/v1/ten_dlc/campaigns/{id:tdc}")
async def show_campaign(call: Call, id: int) -> CampaignOut:
    """Show a campaign."""
    return _campaign(call, senders.found_campaign(call.rt, id, call.account_id))


@resource.post(
    "/v1/ten_dlc/campaigns",
    status=201,
    example={"brand": "chappe", "reference": "codes", "details": _CAMPAIGN},
    errors=("duplicate_name",),
)
async def create_campaign(call: Call, body: NewCampaign) -> CampaignOut:
    """Write down a campaign."""
    call.caller.need_live("campaigns")
    made = await senders.create_campaign(
        call.rt, call.actor, call.account_id, brand=body.brand, reference=body.reference, details=body.details
    )
    return _campaign(call, made)


@resource.patch("/v1/ten_dlc/campaigns/{id:tdc}", example={"details": _CAMPAIGN}, errors=("in_use",))
async def update_campaign(call: Call, id: int, body: CampaignChange) -> CampaignOut:
    """Change a campaign."""
    call.caller.need_live("campaigns")
    changed = await senders.update_campaign(call.rt, call.actor, id, call.account_id, details=body.details)
    return _campaign(call, changed)


@resource.delete("/v1/ten_dlc/campaigns/{id:tdc}", errors=("in_use",))
async def delete_campaign(call: Call, id: int) -> None:
    """Remove a campaign."""
    call.caller.need_live("campaigns")
    await senders.delete_campaign(call.rt, call.actor, call.account_id, id)


@staff.patch(
    "/v1/ten_dlc/registry/brands/{id:tdb}",
    example={"registry_id": "BABC123", "identity_status": "VERIFIED", "vetting_score": 75},
)
async def note_brand(call: Call, id: int, body: BrandAnswer) -> BrandOut:
    """Note what the registry says of a brand of any account."""
    call.caller.need_live("brands")
    return _brand(await senders.update_brand(call.rt, call.actor, id, **given(body)))


@staff.patch(
    "/v1/ten_dlc/registry/campaigns/{id:tdc}",
    example={"registry_id": "CABC123", "status": "ACTIVE", "carriers": {"att": "registered"}},
)
async def note_campaign(call: Call, id: int, body: CampaignAnswer) -> CampaignOut:
    """Note what the registry says of a campaign of any account."""
    call.caller.need_live("campaigns")
    return _campaign(call, await senders.update_campaign(call.rt, call.actor, id, **given(body)))


def _brand(brand: Brand) -> BrandOut:
    return BrandOut(
        id=ids.public("tdb", brand.id),
        reference=brand.reference,
        details=brand.details,
        registry_id=brand.registry_id,
        identity_status=brand.identity_status,
        vetting_score=brand.vetting_score,
        created_at=rfc(brand.created_at),
    )


def _campaign(call: Call, campaign: Campaign) -> CampaignOut:
    using = [one.address for one in senders.book(call.rt).of(campaign.account_id) if one.campaign_id == campaign.id]
    return CampaignOut(
        id=ids.public("tdc", campaign.id),
        brand=senders.found_brand(call.rt, campaign.brand_id).reference,
        reference=campaign.reference,
        details=campaign.details,
        registry_id=campaign.registry_id,
        status=campaign.status,
        carriers=campaign.carriers,
        senders=using,
        created_at=rfc(campaign.created_at),
    )
