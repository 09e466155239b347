"""Senders: the addresses that an account may send from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import accounts, connectors, ids, numbers, senders
from chappe.api.house import Call, missing
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Purpose, Time, given, moment, page_of, rfc
from chappe.errors import ERRORS, Refused
from chappe.senders import Capabilities, Finding, Key, Kind, Overrides, Per, Rule, Sender

resource = Resource(
    "Senders",
    "Addresses that the account may send from. What they receive is for the operator to say.",
    scope="senders",
    tenant=True,
)

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["FR"])]
Countries = Annotated[tuple[Country, ...], Meta(max_length=250, description="ISO 3166-1 alpha-2; none means all.")]
Names = Annotated[
    tuple[Annotated[str, Meta(max_length=63)], ...],
    Meta(max_length=100, description="Names of the connectors it receives on; none means any."),
]
Inbound = Annotated[bool, Meta(description="What phones send to it is the account's. Needs the scope accounts.")]


KindOf = Annotated[Kind, Meta(description="Told from the address where it is left out.")]
CampaignName = Annotated[str, Meta(max_length=50, description="The reference of a 10DLC campaign.")]
Known = Annotated[Overrides, Meta(description="What the operator knows better of it. Needs the scope accounts.")]


class NewSender(Struct, forbid_unknown_fields=True, kw_only=True):
    """An address: letters and digits (at most 11), a short code, or a number."""

    address: Annotated[str, Meta(min_length=1, max_length=20, examples=["Chappe"])]
    kind: KindOf | None = None
    countries: Countries = ()
    inbound: Inbound = False
    connectors: Names = ()
    campaign: CampaignName | None = None
    overrides: Known = Overrides()


class SenderChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change."""

    kind: KindOf | UnsetType = UNSET
    countries: Countries | UnsetType = UNSET
    status: Literal["active", "suspended"] | UnsetType = UNSET
    inbound: Inbound | UnsetType = UNSET
    connectors: Names | UnsetType = UNSET
    campaign: CampaignName | UnsetType | None = UNSET
    overrides: Known | UnsetType = UNSET


class ThroughputOut(Struct, frozen=True, kw_only=True):
    """How fast it may send, and what that is counted for."""

    limit: int
    per: Per
    key: Annotated[Key, Meta(description="What shares the limit.")]
    carrier: Annotated[str, Meta(description="The carrier that counts; null is all.")] | None
    source: str


class CapabilitiesOut(Struct, frozen=True, kw_only=True):
    """What it can do, by its kind and home and what the operator knows better."""

    two_way: bool
    mms: bool
    throughput: list[ThroughputOut]


class SenderOut(Struct, frozen=True, kw_only=True):
    """An address of the account."""

    id: Annotated[str, Meta(examples=["snd_006h3r8k2w0g4"])]
    address: str
    kind: Kind
    countries: list[str]
    status: Annotated[
        Literal["active", "suspended", "review"],
        Meta(description="`review`: it looks like a protected name and waits for the operator."),
    ]
    inbound: bool
    connectors: list[str]
    campaign: str | None
    overrides: Overrides
    capabilities: CapabilitiesOut
    created_at: Time


class RuleOut(Struct, frozen=True, kw_only=True):
    """A rule of a country about a kind of sender; `numeric` is every number. What engineers read, no legal advice."""

    country: str
    kind: str
    concerns: Annotated[str, Meta(description="Only addresses that begin so, a regular expression.")] | None
    allowed: Literal["yes", "no", "replaced", "register"]
    minimum_length: int | None
    maximum_length: int | None
    pattern: Annotated[str, Meta(description="A regular expression for the whole address without +.")] | None
    promotional_prefix: str | None
    promotional_suffix: str | None
    case_sensitive: bool
    register: str | None
    requires: Annotated[list[str], Meta(description="Particulars that a registration must give.")]
    valid_from: str | None
    valid_to: str | None
    confidence: Annotated[Literal["H", "M", "L"], Meta(description="High, medium, or low: low ones only warn.")]
    source: str
    note: str


class WordOut(Struct, frozen=True, kw_only=True):
    """A name that is too general there."""

    word: str
    confidence: Literal["H", "M", "L"]
    source: str


class RulesOut(Struct, frozen=True, kw_only=True):
    """What a country takes as a sender at a time. Without rules nothing is known that speaks against any."""

    country: str
    at: Time
    rules: list[RuleOut]
    words: list[WordOut]


class RulesAt(Struct, forbid_unknown_fields=True):
    """When."""

    at: Annotated[str, Meta(description="RFC 3339; now if it is left out.")] | None = None


class Question(Struct, forbid_unknown_fields=True, kw_only=True):
    """Could the account send from this address to that country?"""

    address: Annotated[str, Meta(min_length=1, max_length=20, examples=["Chappe"])]
    country: Country
    purpose: Purpose = "transactional"
    at: Annotated[str, Meta(description="RFC 3339; now if it is left out.")] | None = None
    operator: Annotated[str, Meta(pattern=r"^[0-9]{5,6}$", description="MCC and MNC.")] | None = None


class FindingOut(Struct, frozen=True, kw_only=True):
    """A refusal or a warning, and the rule behind it."""

    verdict: Literal["refused", "warning"]
    code: str
    message: str
    action: str
    rule: RuleOut | None


class VerdictOut(Struct, frozen=True, kw_only=True):
    """Whether it may be used, and everything there is to say."""

    allowed: bool
    kind: Kind
    findings: list[FindingOut]


@resource.get("/v1/senders", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[SenderOut]:
    """List senders."""
    mine = senders.book(call.rt).of(call.account_id)
    return page_of(mine, query, "snd", lambda s: _shown(call, s), lambda s: s.id)


@resource.get("/v1/senders/rules/{country:country}", tenant=False)
async def rules(call: Call, country: str, query: RulesAt) -> RulesOut:
    """Show what a country takes as a sender.

    The country as two letters (ISO 3166-1 alpha-2), in either case."""
    code = country.upper()
    if numbers.country(code) is None or len(code) != 2:
        raise Refused("not_found", f"There is no country {country[:20]}.", param="country")
    at = moment(query.at, "at") if query.at is not None else call.rt.clock.now()
    found = [_rule(one) for one in senders.rules_of(code, at)]
    words = [WordOut(word=w.word, confidence=w.confidence, source=w.source) for w in senders.words_of(code)]
    return RulesOut(country=code, at=rfc(at), rules=found, words=words)


@resource.post("/v1/senders/check", example={"address": "Chappe", "country": "ES", "purpose": "marketing"})
async def check(call: Call, body: Question) -> VerdictOut:
    """Tell whether a sender may be used to a country, and why."""
    at = moment(body.at, "at") if body.at is not None else call.rt.clock.now()
    account = accounts.directory(call.rt).account(call.account_id)
    assert account is not None
    book = senders.book(call.rt)
    found = senders.findings(book, account, body.address, body.country, at, body.purpose, body.operator)
    known = book.find(call.account_id, body.address)
    return VerdictOut(
        allowed=not any(one.verdict == "refused" for one in found),
        kind=known.kind if known is not None else senders.kind_of(body.address)[0],
        findings=[_finding(one) for one in found],
    )


@resource.get("/v1/senders/{id:snd}")
async def get(call: Call, id: int) -> SenderOut:
    """Show a sender."""
    return _shown(call, _found(call, id))


@resource.post(
    "/v1/senders",
    status=201,
    example={"address": "Chappe", "countries": ["FR", "BE"]},
    errors=("sender_invalid", "sender_lookalike", "duplicate_name", "connector_unknown"),
)
async def create(call: Call, body: NewSender) -> SenderOut:
    """Add a sender."""
    call.caller.need_live("senders")
    if body.inbound or body.connectors or body.overrides != Overrides() or body.kind is not None:
        call.caller.need("accounts")
    sender = await senders.create_sender(
        call.rt,
        call.actor,
        call.account_id,
        address=body.address,
        countries=body.countries,
        inbound=body.inbound,
        connector_ids=_numbers(call, body.connectors),
        kind=body.kind,
        overrides=body.overrides,
        campaign_id=_campaign(call, body.campaign),
        vouched=call.caller.key.may("accounts"),
    )
    return _shown(call, sender)


@resource.patch(
    "/v1/senders/{id:snd}",
    example={"countries": ["FR"]},
    errors=("sender_lookalike", "duplicate_name", "connector_unknown"),
)
async def update(call: Call, id: int, body: SenderChange) -> SenderOut:
    """Change a sender."""
    call.caller.need_live("senders")
    before = _found(call, id)
    fields = given(body)
    if "connectors" in fields:
        fields["connector_ids"] = _numbers(call, fields.pop("connectors"))
    if "campaign" in fields:
        fields["campaign_id"] = _campaign(call, fields.pop("campaign"))
    operators = {name: getattr(before, name) for name in ("inbound", "connector_ids", "status", "kind", "overrides")}
    if any(fields.get(name, value) != value for name, value in operators.items()):
        call.caller.need("accounts")
    vouched = call.caller.key.may("accounts")
    changed = await senders.update_sender(call.rt, call.actor, call.account_id, id, vouched=vouched, **fields)
    return _shown(call, changed)


@resource.delete("/v1/senders/{id:snd}", errors=("in_use",))
async def delete(call: Call, id: int) -> None:
    """Remove a sender."""
    call.caller.need_live("senders")
    if _found(call, id).status != "active":
        call.caller.need("accounts")  # else it would be made again, active
    await senders.delete_sender(call.rt, call.actor, call.account_id, id)


def _found(call: Call, id: int) -> Sender:
    sender = senders.book(call.rt).get(call.account_id, id)
    if sender is None:
        raise missing("sender")
    return sender


def _numbers(call: Call, names: Sequence[str]) -> tuple[int, ...]:
    numbers = []
    for index, name in enumerate(names):
        connector = connectors.book(call.rt).by_name(name)
        if connector is None:
            raise Refused("connector_unknown", f"There is no connector {name}.", param=f"connectors[{index}]")
        numbers.append(connector.id)
    return tuple(numbers)


def _campaign(call: Call, reference: str | None) -> int | None:
    if reference is None:
        return None
    campaign = senders.campaign_named(call.rt, call.account_id, reference)
    if campaign is None:
        raise Refused("invalid_value", f"There is no campaign {reference}.", param="campaign")
    return campaign.id


def _rule(rule: Rule) -> RuleOut:
    return RuleOut(
        country=rule.country,
        kind=rule.kind,
        concerns=rule.where or None,
        allowed=rule.allowed,
        minimum_length=rule.minimum or None,
        maximum_length=rule.maximum or None,
        pattern=rule.pattern or None,
        promotional_prefix=rule.promo_prefix or None,
        promotional_suffix=rule.promo_suffix or None,
        case_sensitive=rule.case_sensitive,
        register=rule.register or None,
        requires=list(rule.requires),
        valid_from=rule.valid_from.isoformat() if rule.valid_from else None,
        valid_to=rule.valid_to.isoformat() if rule.valid_to else None,
        confidence=rule.confidence,
        source=rule.source,
        note=rule.note,
    )


def _finding(found: Finding) -> FindingOut:
    return FindingOut(
        verdict=found.verdict,
        code=found.code,
        message=found.message,
        action=ERRORS[found.code].action,
        rule=None if found.rule is None else _rule(found.rule),
    )


def _capabilities(can: Capabilities) -> CapabilitiesOut:
    paces = [
        ThroughputOut(limit=one.limit, per=one.per, key=one.key, carrier=one.carrier or None, source=one.source)
        for one in can.throughput
    ]
    return CapabilitiesOut(two_way=can.two_way, mms=can.mms, throughput=paces)


def _shown(call: Call, sender: Sender) -> SenderOut:
    book = senders.book(call.rt)
    campaign = book.campaign(sender)[0]
    return SenderOut(
        id=ids.public("snd", sender.id),
        address=sender.address,
        kind=sender.kind,
        countries=list(sender.countries),
        status=sender.status,
        inbound=sender.inbound,
        connectors=[call.house.pipeline.connector_name(number) for number in sender.connector_ids],
        campaign=campaign.reference if campaign else None,
        overrides=sender.overrides,
        capabilities=_capabilities(book.capabilities(sender)),
        created_at=rfc(sender.created_at),
    )
