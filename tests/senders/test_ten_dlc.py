from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chappe import senders
from chappe.accounts import Account
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.senders import BrandDetails, CampaignDetails, book, check

NUMBER = "+12025550123"
BRAND = BrandDetails(
    entity_type="PRIVATE_PROFIT",
    display_name="Acme",
    company_name="Acme Inc.",
    ein="12-3456789",
    country="US",
    state="NY",
    email="ops@acme.example",
    vertical="RETAIL",
)
WORDS = "Customers of Acme tick a box at https://acme.example to get their codes."
CAMPAIGN = CampaignDetails(
    use_case="2FA", description=WORDS, message_flow=WORDS, samples=("Acme: your code is 123456.",)
)


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def test_a_local_number_sends_once_its_brand_is_verified_and_its_campaign_active(
    rt: Runtime, acme: Account
) -> None:
    def told() -> str | None:
        found = check(book(rt), acme, NUMBER, "US", rt.clock.now())
        return None if found is None else found.message

    brand = await senders.create_brand(rt, "test", acme.id, reference="acme", details=BRAND)
    campaign = await senders.create_campaign(rt, "test", acme.id, brand="acme", reference="codes", details=CAMPAIGN)
    sender = await senders.create_sender(rt, "test", acme.id, address=NUMBER)
    assert "it has no campaign" in (told() or "")
    await senders.update_sender(rt, "test", acme.id, sender.id, campaign_id=campaign.id)
    assert "the brand acme is self declared" in (told() or "")
    await senders.update_brand(
        rt, "staff", brand.id, registry_id="BABC123", identity_status="VERIFIED", vetting_score=60
    )
    assert "the campaign codes is draft" in (told() or "")
    await senders.update_campaign(rt, "staff", campaign.id, registry_id="CABC123", status="ACTIVE")
    assert told() is None
    can = book(rt).capabilities(book(rt).get(acme.id, sender.id) or sender)
    assert [one.limit for one in can.throughput] == [2400, 40_000]
    await senders.update_campaign(rt, "staff", campaign.id, status="EXPIRED", carriers={"att": "suspended"})
    assert "expired" in (told() or "")
    for work in (
        senders.delete_campaign(rt, "test", acme.id, campaign.id),
        senders.delete_brand(rt, "test", acme.id, brand.id),
        senders.update_brand(
            rt, "test", brand.id, acme.id, details=msgspec.structs.replace(BRAND, display_name="Other")
        ),
        senders.update_campaign(
            rt, "test", campaign.id, acme.id, details=msgspec.structs.replace(CAMPAIGN, age_gated=True)
        ),
    ):
        assert (await refused(work)).code == "in_use"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"ein": None}, "details.ein"),
        ({"ein": "12"}, "details.ein"),
        ({"state": "New York"}, "details.state"),
        ({"company_name": None}, "details.company_name"),
        ({"entity_type": "PUBLIC_PROFIT"}, "details.stock_symbol"),
        ({"entity_type": "SOLE_PROPRIETOR"}, "details.first_name"),
        ({"alt_business_id": "1"}, "details.alt_business_id"),
        ({"email": "nobody"}, "details.email"),
        ({"vertical": "MAGIC"}, "details.vertical"),
        ({"mobile_phone": "0612"}, "details.mobile_phone"),
    ],
)
async def test_a_brand_that_the_registry_refuses_is_refused_here(
    rt: Runtime, acme: Account, change: dict[str, Any], param: str
) -> None:
    details = msgspec.structs.replace(BRAND, **change)
    error = await refused(senders.create_brand(rt, "test", acme.id, reference="acme", details=details))
    assert error.param == param


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"description": "short"}, "details.description"),
        ({"samples": ()}, "details.samples"),
        ({"samples": ("Your code is 123456, thank you.",)}, "details.samples[0]"),
        ({"use_case": "MIXED"}, "details.sub_use_cases"),
        ({"embedded_link": True}, "details.embedded_link_sample"),
        ({"help_message": "Call us whenever you like."}, "details.help_message"),
        ({"optout_keywords": "STOP, END"}, "details.optout_keywords"),
    ],
)
async def test_a_campaign_that_reviewers_decline_is_refused_here(
    rt: Runtime, acme: Account, change: dict[str, Any], param: str
) -> None:
    await senders.create_brand(rt, "test", acme.id, reference="acme", details=BRAND)
    details = msgspec.structs.replace(CAMPAIGN, **change)
    work = senders.create_campaign(rt, "test", acme.id, brand="acme", reference="codes", details=details)
    assert (await refused(work)).param == param


async def test_nobody_uses_another_s_brand_or_campaign(rt: Runtime, acme: Account, other: Account) -> None:
    brand = await senders.create_brand(rt, "test", acme.id, reference="acme", details=BRAND)
    campaign = await senders.create_campaign(rt, "test", acme.id, brand="acme", reference="codes", details=CAMPAIGN)
    stolen = senders.create_campaign(rt, "test", other.id, brand="acme", reference="codes", details=CAMPAIGN)
    assert (await refused(stolen)).param == "brand"
    for work in (
        senders.update_brand(rt, "test", brand.id, other.id, details=BRAND),
        senders.delete_brand(rt, "test", other.id, brand.id),
        senders.update_campaign(rt, "test", campaign.id, other.id, details=CAMPAIGN),
        senders.delete_campaign(rt, "test", other.id, campaign.id),
    ):
        assert (await refused(work)).code == "not_found"
    theirs = senders.create_sender(rt, "test", other.id, address=NUMBER, campaign_id=campaign.id)
    assert (await refused(theirs)).param == "campaign"
    name = senders.create_sender(rt, "test", acme.id, address="Acme", campaign_id=campaign.id)
    assert (await refused(name)).param == "campaign"
