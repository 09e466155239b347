"""10DLC brands and campaigns: written by their owner; what the registry says of them is noted by the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.senders.room import book
from chappe.senders.store import BRANDS, CAMPAIGNS
from chappe.senders.ten_dlc import Brand, BrandDetails, Campaign, CampaignDetails, check_brand, check_campaign

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_brand(rt: Runtime, actor: str, account_id: int, *, reference: str, details: BrandDetails) -> Brand:
    """Raises Refused: invalid_value, missing_field, duplicate_name."""
    brand = checked(
        Brand(
            id=rt.ids.next(),
            account_id=account_id,
            reference=reference,
            details=details,
            registry_id=None,
            identity_status="SELF_DECLARED",
            vetting_score=None,
            created_at=rt.clock.now(),
        )
    )
    check_brand(brand.details)
    if brand_named(rt, account_id, reference) is not None:
        raise Refused("duplicate_name", f"The account already has the brand {reference}.", param="reference")
    change = Change(rt, actor)
    change.create(BRANDS, brand)
    await change.commit()
    return brand


async def update_brand(rt: Runtime, actor: str, brand_id: int, account_id: int | None = None, **fields: Any) -> Brand:
    """`details` by its owner; registry_id, identity_status and vetting_score by the operator (account None).

    Raises Refused: not_found, invalid_value, missing_field, and in_use: a verified brand's details are the
    registry's."""
    before = found_brand(rt, brand_id, account_id)
    after = checked(msgspec.structs.replace(before, **fields))
    if after.details != before.details:
        if before.verified:
            raise Refused("in_use", "The registry has verified this brand as it is.", action="Ask your operator.")
        check_brand(after.details)
    change = Change(rt, actor)
    change.update(BRANDS, before, after)
    await change.commit()
    return after


async def delete_brand(rt: Runtime, actor: str, account_id: int, brand_id: int) -> None:
    """Raises Refused: not_found, in_use by a campaign."""
    brand = found_brand(rt, brand_id, account_id)
    used = [one.reference for one in book(rt).campaigns.values() if one.brand_id == brand_id]
    if used:
        raise Refused("in_use", f"The brand has the campaign {', '.join(used)}.")
    change = Change(rt, actor)
    change.delete(BRANDS, brand)
    await change.commit()


async def create_campaign(
    rt: Runtime, actor: str, account_id: int, *, brand: str, reference: str, details: CampaignDetails
) -> Campaign:
    """`brand` by its reference. Raises Refused: invalid_value, missing_field, duplicate_name."""
    owner = brand_named(rt, account_id, brand)
    if owner is None:
        raise Refused("invalid_value", f"There is no brand {brand}.", param="brand", action="Create the brand first.")
    campaign = checked(
        Campaign(
            id=rt.ids.next(),
            account_id=account_id,
            brand_id=owner.id,
            reference=reference,
            details=details,
            registry_id=None,
            status="DRAFT",
            carriers={},
            created_at=rt.clock.now(),
        )
    )
    check_campaign(campaign.details, owner.details)
    if campaign_named(rt, account_id, reference) is not None:
        raise Refused("duplicate_name", f"The account already has the campaign {reference}.", param="reference")
    change = Change(rt, actor)
    change.create(CAMPAIGNS, campaign)
    await change.commit()
    return campaign


async def update_campaign(
    rt: Runtime, actor: str, campaign_id: int, account_id: int | None = None, **fields: Any
) -> Campaign:
    """`details` by its owner; registry_id, status and carriers by the operator (account None).

    Raises Refused: not_found, invalid_value, missing_field, and in_use: what the registry has is not changed here."""
    before = found_campaign(rt, campaign_id, account_id)
    after = checked(msgspec.structs.replace(before, **fields))
    if after.details != before.details:
        if before.status not in ("DRAFT", "REJECTED"):
            words = f"The campaign is {before.status.lower()} at the registry as it is."
            raise Refused("in_use", words, action="Make another campaign, or ask your operator.")
        check_campaign(after.details, found_brand(rt, before.brand_id).details)
    change = Change(rt, actor)
    change.update(CAMPAIGNS, before, after)
    await change.commit()
    return after


async def delete_campaign(rt: Runtime, actor: str, account_id: int, campaign_id: int) -> None:
    """Raises Refused: not_found, in_use by a sender."""
    campaign = found_campaign(rt, campaign_id, account_id)
    used = [sender.address for sender in book(rt).of(account_id) if sender.campaign_id == campaign_id]
    if used:
        raise Refused("in_use", f"The campaign has the sender {', '.join(used)}.")
    change = Change(rt, actor)
    change.delete(CAMPAIGNS, campaign)
    await change.commit()


def found_brand(rt: Runtime, brand_id: int, account_id: int | None = None) -> Brand:
    """Raises Refused not_found, also for one of another account; None is the staff."""
    brand = book(rt).brands.get(brand_id)
    if brand is None or account_id not in (None, brand.account_id):
        raise Refused("not_found", "There is no such brand.", param="id")
    return brand


def found_campaign(rt: Runtime, campaign_id: int, account_id: int | None = None) -> Campaign:
    """Raises Refused as `found_brand`."""
    campaign = book(rt).campaigns.get(campaign_id)
    if campaign is None or account_id not in (None, campaign.account_id):
        raise Refused("not_found", "There is no such campaign.", param="id")
    return campaign


def brand_named(rt: Runtime, account_id: int, reference: str) -> Brand | None:
    mine = (one for one in book(rt).brands.values() if one.account_id == account_id)
    return next((one for one in mine if one.reference == reference), None)


def campaign_named(rt: Runtime, account_id: int, reference: str) -> Campaign | None:
    mine = (one for one in book(rt).campaigns.values() if one.account_id == account_id)
    return next((one for one in mine if one.reference == reference), None)
