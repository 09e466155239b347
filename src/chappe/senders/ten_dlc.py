"""10DLC: who sends (a brand) and what (a campaign), as The Campaign Registry keeps them. Pure.

Field names are the registry's in snake_case, limits those of its public API and of the suppliers that pass it on.
The registry's lists (use cases, verticals) change: what is here is what a form needs, and the registry has the last
word when its answer is noted in `registry_id`, `identity_status` and `status`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from chappe.errors import Refused

EntityType = Literal["PRIVATE_PROFIT", "PUBLIC_PROFIT", "NON_PROFIT", "GOVERNMENT", "SOLE_PROPRIETOR"]
IdentityStatus = Literal["SELF_DECLARED", "UNVERIFIED", "VERIFIED", "VETTED_VERIFIED"]
Vertical = Literal[
    "AGRICULTURE",
    "COMMUNICATION",
    "CONSTRUCTION",
    "EDUCATION",
    "ENERGY",
    "ENTERTAINMENT",
    "FINANCIAL",
    "GAMBLING",
    "GOVERNMENT",
    "HEALTHCARE",
    "HOSPITALITY",
    "HUMAN_RESOURCES",
    "INSURANCE",
    "LEGAL",
    "MANUFACTURING",
    "NGO",
    "POLITICAL",
    "POSTAL",
    "PROFESSIONAL",
    "REAL_ESTATE",
    "RETAIL",
    "TECHNOLOGY",
    "TRANSPORTATION",
]
CampaignStatus = Literal["DRAFT", "PENDING", "ACTIVE", "EXPIRED", "REJECTED", "SUSPENDED"]
CarrierStatus = Literal["pending", "registered", "rejected", "suspended"]
VERIFIED = frozenset({"VERIFIED", "VETTED_VERIFIED"})

Short = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
Phone = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$")]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Link = Annotated[str, Meta(max_length=300, pattern=r"^https?://[^\s]+$")]
Sample = Annotated[str, Meta(min_length=20, max_length=1024)]
Keywords = Annotated[str, Meta(max_length=255, pattern=r"^[^\s,]+(,[^\s,]+)*$")]  # comma separated, no spaces
Reply = Annotated[str, Meta(min_length=20, max_length=320)]
Reference = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$")]


class BrandDetails(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Who sends. `company_name` is the legal name exactly as on the tax record, `ein` the tax id (US: 9 digits)."""

    entity_type: EntityType
    display_name: Short
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    email: Email
    vertical: Vertical
    company_name: Short | None = None
    ein: Annotated[str, Meta(min_length=1, max_length=21)] | None = None
    ein_issuing_country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    alt_business_id: Short | None = None
    alt_business_id_type: Literal["DUNS", "LEI", "GIIN"] | None = None
    first_name: Short | None = None
    last_name: Short | None = None
    mobile_phone: Phone | None = None
    phone: Phone | None = None
    website: Link | None = None
    street: Short | None = None
    city: Short | None = None
    state: Short | None = None
    postal_code: Short | None = None
    stock_symbol: Short | None = None
    stock_exchange: Short | None = None
    business_contact_email: Email | None = None


class Brand(Struct, frozen=True):
    """A brand of an account; `reference` is ours, so that nobody registers it twice."""

    id: int
    account_id: int
    reference: Reference
    details: BrandDetails
    registry_id: Annotated[str, Meta(pattern=r"^B[A-Z0-9]{6}$")] | None
    identity_status: IdentityStatus
    vetting_score: Annotated[int, Meta(ge=0, le=100)] | None
    created_at: int

    @property
    def verified(self) -> bool:
        return self.identity_status in VERIFIED


class CampaignDetails(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is sent. Samples and replies name the brand; the message flow tells how people opt in."""

    use_case: Annotated[str, Meta(pattern=r"^[A-Z0-9][A-Z0-9_]{1,49}$")]
    description: Annotated[str, Meta(min_length=40, max_length=4096)]
    message_flow: Annotated[str, Meta(min_length=40, max_length=4096)]
    samples: Annotated[tuple[Sample, ...], Meta(min_length=1, max_length=5)]
    sub_use_cases: Annotated[tuple[str, ...], Meta(max_length=5)] = ()
    optin_keywords: Keywords | None = None
    optin_message: Reply | None = None
    optout_keywords: Keywords = "STOP"
    optout_message: Reply | None = None
    help_keywords: Keywords = "HELP"
    help_message: Reply | None = None
    subscriber_optin: bool = True
    subscriber_optout: bool = True
    subscriber_help: bool = True
    embedded_link: bool = False
    embedded_link_sample: Link | None = None
    embedded_phone: bool = False
    number_pool: bool = False
    age_gated: bool = False
    direct_lending: bool = False
    affiliate_marketing: bool = False
    privacy_policy_link: Link | None = None
    terms_and_conditions_link: Link | None = None
    auto_renewal: bool = True


class Campaign(Struct, frozen=True):
    """A campaign of a brand. `carriers` tells what each network says of it, where that is known."""

    id: int
    account_id: int
    brand_id: int
    reference: Reference
    details: CampaignDetails
    registry_id: Annotated[str, Meta(pattern=r"^C[A-Z0-9]{6}$")] | None
    status: CampaignStatus
    carriers: dict[Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,30}$")], CarrierStatus]
    created_at: int


def check_brand(brand: BrandDetails) -> None:
    """Raises Refused for what the registry refuses: fields that an entity of this type must give."""
    needed: dict[str, tuple[str, ...]] = {
        "SOLE_PROPRIETOR": ("first_name", "last_name", "mobile_phone"),  # the registry sends a code to that phone
        "PUBLIC_PROFIT": ("company_name", "ein", "stock_symbol", "stock_exchange", "business_contact_email"),
    }
    for name in needed.get(brand.entity_type, ("company_name", "ein")):
        if getattr(brand, name) is None:
            kind = brand.entity_type.replace("_", " ").lower()
            raise Refused("missing_field", f"A brand of a {kind} has a {name}.", param=f"details.{name}")
    issuer = brand.ein_issuing_country or brand.country
    if brand.ein is not None and issuer == "US" and not re.fullmatch(r"[0-9]{2}-?[0-9]{7}", brand.ein):
        raise Refused("invalid_value", "An EIN of the United States has 9 digits.", param="details.ein")
    if brand.country == "US" and brand.state is not None and not re.fullmatch(r"[A-Z]{2}", brand.state):
        raise Refused("invalid_value", "A state of the United States has two letters.", param="details.state")
    if (brand.alt_business_id is None) != (brand.alt_business_id_type is None):
        words = "alt_business_id and alt_business_id_type come together."
        raise Refused("invalid_value", words, param="details.alt_business_id")


def check_campaign(campaign: CampaignDetails, brand: BrandDetails) -> None:
    """Raises Refused for what reviewers decline."""
    mixed = campaign.use_case in ("MIXED", "LOW_VOLUME")
    if mixed and not 2 <= len(campaign.sub_use_cases) <= 5:
        words = f"A campaign for {campaign.use_case} names 2 to 5 sub_use_cases."
        raise Refused("invalid_value", words, param="details.sub_use_cases")
    if campaign.embedded_link and campaign.embedded_link_sample is None:
        words = "A campaign with links shows a sample of one."
        raise Refused("missing_field", words, param="details.embedded_link_sample")
    named = brand.display_name.casefold()
    for index, sample in enumerate(campaign.samples):
        if named not in sample.casefold():
            words = f"A sample names the brand {brand.display_name}."
            raise Refused("invalid_value", words, param=f"details.samples[{index}]")
    for field in ("optin_message", "optout_message", "help_message"):
        reply = getattr(campaign, field)
        if reply is not None and named not in reply.casefold():
            raise Refused("invalid_value", f"It names the brand {brand.display_name}.", param=f"details.{field}")


def barrier(campaign: Campaign | None, brand: Brand | None) -> str | None:
    """Why a number with this campaign may not send in the United States; None if it may."""
    if campaign is None or brand is None:
        return "it has no campaign"
    if not brand.verified:
        return f"the brand {brand.reference} is {brand.identity_status.lower().replace('_', ' ')}"
    if campaign.status != "ACTIVE":
        return f"the campaign {campaign.reference} is {campaign.status.lower()}"
    return None
