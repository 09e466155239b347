"""Rules: what countries ask of messages, whether one may go at a time, and what is asked beyond them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from chappe import ids, law, numbers
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Purpose, Time, moment, page_of, rfc
from chappe.errors import Refused
from chappe.law import Adjustment, AdjustmentKind, Binding, Confidence, Kind, Rule, Verdict, Warned

resource = Resource(
    "Rules",
    "What countries ask of messages: hours, wording, bans, limits, each with its source. No legal advice.",
    scope="messages:read",
    tenant=True,
)
adjusting = Resource(
    "Rule adjustments",
    "What an account asks of itself beyond the law, and what the operator adds or waives.",
    scope="senders",
    tenant=True,
)

_AT = "RFC 3339, or a local time without an offset; now if it is left out."
_LONGEST_REGION = r"^[A-Za-z0-9]{1,3}$"


class RulesQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """When, what, and where."""

    at: Annotated[str, Meta(max_length=40, description=_AT, examples=["2026-12-25T21:45"])] | None = None
    purpose: Purpose = "marketing"
    zone: Annotated[str, Meta(max_length=60, description="Of the recipient; else all of the country's.")] | None = None
    region: (
        Annotated[str, Meta(pattern=_LONGEST_REGION, description="As ISO 3166-2 has it after the country.")] | None
    ) = None


class CountryRuleOut(Struct, frozen=True, kw_only=True):
    """A rule: who asks what, since when, and who says so."""

    name: Annotated[str, Meta(description="Which a waiver names.", examples=["VN.hours.marketing.law@2020-10-01"])]
    country: str
    region: str | None
    kind: Kind
    purpose: Literal["any", "otp", "transactional", "service", "marketing"]
    value: str
    place: Annotated[Literal["start", "end", "any"], Meta(description="Where the wording stands.")] | None
    binding: Annotated[Binding, Meta(description="Who asks; `advice` is only told.")]
    blocks: Annotated[bool, Meta(description="Whether it may hold a message up; others warn.")]
    valid_from: str | None
    valid_to: str | None
    confidence: Confidence
    source: str
    explanation: str


class RuleWarning(Struct, frozen=True, kw_only=True):
    """What speaks against sending then without forbidding it; `rule` by its name."""

    message: str
    rule: str | None


class HoursVerdict(Struct, frozen=True, kw_only=True):
    """Whether the message may go at that time as far as hours are concerned. `next_legal_at` is null when barred."""

    state: Literal["now", "wait", "barred"]
    next_legal_at: Time | None
    local_times: Annotated[list[str], Meta(description="The same, on the wall clocks of the zones.")]
    rule: Annotated[str, Meta(description="The name of the rule that holds it up.")] | None
    message: str
    warnings: list[RuleWarning]


class CountryRulesOut(Struct, frozen=True, kw_only=True):
    """What applies to a message for the country. Without rules nothing is known that speaks against any."""

    country: str
    region: str | None
    at: Time
    purpose: Purpose
    zones: list[str]
    holiday: Annotated[str, Meta(description="The public holiday that it is there.")] | None
    hours: HoursVerdict
    rules: list[CountryRuleOut]
    waived: Annotated[list[str], Meta(description="Names of the rules that the operator waives for the account.")]
    sender_rules: Annotated[str, Meta(description="Where the rules about senders are.")]


CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["FR"], description="Null: every country.")]


class NewAdjustment(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to hold for the account beside the law. `hours`, `cap` and `ban` are written as in rules."""

    kind: Annotated[AdjustmentKind, Meta(description="`waiver`, a rule's name that is not kept: for the operator.")]
    value: Annotated[str, Meta(min_length=1, max_length=200, examples=["Mo-Fr 09:00-18:00; PH off"])]
    country: CountryCode | None = None
    purpose: Literal["any", "otp", "transactional", "service", "marketing"] = "any"
    reason: Annotated[str, Meta(max_length=500)] = ""
    everyone: Annotated[bool, Meta(description="For all accounts. Needs the scope admin.")] = False


class AdjustmentOut(Struct, frozen=True, kw_only=True):
    """What holds for the account beside the law."""

    id: Annotated[str, Meta(examples=["rad_006h3r8k2w0g4"])]
    kind: AdjustmentKind
    value: str
    country: str | None
    purpose: Literal["any", "otp", "transactional", "service", "marketing"]
    reason: str
    everyone: bool
    by_operator: Annotated[bool, Meta(description="Only the operator deletes it.")]
    created_at: Time


@resource.get("/v1/rules/{country:country}")
async def show(call: Call, country: str, query: RulesQuery) -> CountryRulesOut:
    """Show what applies in a country at a time, and when a message may go.

    The country as two letters (ISO 3166-1 alpha-2), in either case. Where zone or region are not told, a minute is
    legal only if it is in all of them."""
    code = country.upper()
    if numbers.country(code) is None:
        raise Refused("not_found", f"There is no country {country}.", param="country")
    zones = law.zones_of(code) if query.zone is None else (_zone(query.zone),)
    at = call.rt.clock.now() if query.at is None else _moment(query.at, zones)
    region = query.region.upper() if query.region is not None else None
    own = law.book(call.rt).own(call.account_id)
    found = law.rules(code, at, purpose=query.purpose, region=region, own=own)
    known = law.rules(code, at, purpose=query.purpose, region=region)
    return CountryRulesOut(
        country=code,
        region=region,
        at=rfc(at),
        purpose=query.purpose,
        zones=list(zones),
        holiday=law.holiday_at(code, region, zones, at),
        hours=_hours(law.verdict(code, query.purpose, zones, at, region=region, own=own), at, zones),
        rules=[_rule(one) for one in found],
        waived=[one.name for one in known if one.name in own.waived],
        sender_rules=f"/v1/senders/rules/{code}",
    )


@adjusting.get("/v1/rule_adjustments", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[AdjustmentOut]:
    """List what holds for the account beside the law."""
    return page_of(law.book(call.rt).of(call.account_id), query, "rad", _shown, lambda one: one.id)


@adjusting.get("/v1/rule_adjustments/{id:rad}")
async def get(call: Call, id: int) -> AdjustmentOut:
    """Show an adjustment."""
    return _shown(law.found_adjustment(call.rt, call.account_id, id))


@adjusting.post(
    "/v1/rule_adjustments",
    status=201,
    example={"kind": "hours", "value": "Mo-Fr 09:00-18:00; PH off", "country": "FR", "purpose": "marketing"},
    errors=("conflict",),
)
async def create(call: Call, body: NewAdjustment) -> AdjustmentOut:
    """Ask for more than the law, or as the operator waive a rule of it."""
    call.caller.need_live("rule adjustments")
    if body.everyone or body.kind == "waiver":
        call.caller.need("admin")
    made = await law.create_adjustment(
        call.rt,
        call.actor,
        None if body.everyone else call.account_id,
        kind=body.kind,
        value=body.value,
        country=body.country,
        purpose=body.purpose,
        reason=body.reason,
        by_operator=call.caller.key.may("admin"),
    )
    return _shown(made)


@adjusting.delete("/v1/rule_adjustments/{id:rad}")
async def delete(call: Call, id: int) -> None:
    """Delete an adjustment; those that the operator made, only the operator does."""
    call.caller.need_live("rule adjustments")
    found = law.found_adjustment(call.rt, call.account_id, id)
    await law.delete_adjustment(call.rt, call.actor, found, by_operator=call.caller.key.may("admin"))


def _zone(name: str) -> str:
    known = {zone for one in numbers.countries().values() for zone in one.time_zones}
    if name not in known:
        raise Refused("invalid_value", f"There is no time zone {name}.", param="zone")
    return name


def _moment(text: str, zones: tuple[str, ...]) -> int:
    """Milliseconds. A time without an offset is that of the zones, if their clocks agree."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return moment(text, "at")
    if read.tzinfo is not None:
        return moment(text, "at")
    meant = {moment(read.replace(tzinfo=ZoneInfo(zone)).isoformat(), "at") for zone in zones}
    if len(meant) > 1:
        words = f"It is {len(meant)} moments in {len(zones)} time zones: write the offset, or give the zone."
        raise Refused("invalid_value", "at has no offset.", param="at", action=words)
    return meant.pop()


def _hours(found: Verdict, at: int, zones: Iterable[str]) -> HoursVerdict:
    warnings = [_warning(one) for one in found.warnings]
    if isinstance(found, law.Barred):
        return HoursVerdict(
            state="barred",
            next_legal_at=None,
            local_times=[],
            rule=found.rule.name,
            message=found.message,
            warnings=warnings,
        )
    until, rule = (found.until, found.rule) if isinstance(found, law.Wait) else (at, None)
    return HoursVerdict(
        state="now" if rule is None else "wait",
        next_legal_at=rfc(until),
        local_times=_local(until, zones),
        rule=None if rule is None else rule.name,
        message="It may go." if rule is None else f"It waits: {rule.note} (Source: {rule.source}.)",
        warnings=warnings,
    )


def _local(at: int, zones: Iterable[str]) -> list[str]:
    """Each wall clock once."""
    times = (datetime.fromtimestamp(at // 1000, ZoneInfo(zone)).isoformat(timespec="minutes") for zone in zones)
    return list(dict.fromkeys(times))


def _warning(one: Warned) -> RuleWarning:
    return RuleWarning(message=one.message, rule=None if one.rule is None else one.rule.name)


def _rule(rule: Rule) -> CountryRuleOut:
    return CountryRuleOut(
        name=rule.name,
        country=rule.country,
        region=rule.region or None,
        kind=rule.kind,
        purpose=rule.purpose,
        value=rule.value,
        place=rule.place or None,
        binding=rule.binding,
        blocks=rule.blocks,
        valid_from=rule.valid_from.isoformat() if rule.valid_from else None,
        valid_to=rule.valid_to.isoformat() if rule.valid_to else None,
        confidence=rule.confidence,
        source=rule.source,
        explanation=rule.note,
    )


def _shown(one: Adjustment) -> AdjustmentOut:
    return AdjustmentOut(
        id=ids.public("rad", one.id),
        kind=one.kind,
        value=one.value,
        country=one.country,
        purpose=one.purpose,
        reason=one.reason,
        everyone=one.account_id is None,
        by_operator=one.by_operator,
        created_at=rfc(one.created_at),
    )
