"""Content checks: what would be found in a text, and the domains that an account may link to."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from chappe import fraud, ids, senders
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Purpose, Time, given, page_of, rfc
from chappe.errors import Refused
from chappe.fraud import Domain
from chappe.fraud.content import Action, Brand, Brands, Facts, Finding, Policy, check, codes, policy_from

resource = Resource(
    "Content",
    "What a text has in it that its reader, an operator or the law would mind: links and their disguises, names of "
    "others, telephone numbers, the words of known frauds. Nothing is sent and nothing is fetched.",
    scope="messages:send",
    tenant=True,
)
allowed = Resource(
    "Domains",
    "The domains that an account links to, each with all that ends in it. Links to others are looked at.",
    scope="senders",
    tenant=True,
)

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", description="Where the text goes.", examples=["FR"])]
Code = Annotated[str, Meta(examples=["link_shortener"])]
DomainStatus = Annotated[
    fraud.Status,
    Meta(
        description="`review`: it does not count yet, because it is a public shortener or looks like a protected name."
    ),
]


class PolicyIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to become of texts, where it differs from the usual."""

    actions: Annotated[dict[Code, Action], Meta(max_length=50, description="By code of a finding.")] = {}
    score: Annotated[int, Meta(ge=1, le=1000, description="From which score the words of frauds count.")] = 60


class NewCheck(Struct, forbid_unknown_fields=True, kw_only=True):
    """The text, and how it would be sent."""

    text: Annotated[str, Meta(max_length=10_000)]
    from_: Annotated[str, Meta(max_length=40, description="The sender.")] = field(name="from", default="")
    country: Country | None = None
    purpose: Purpose | None = None
    policy: PolicyIn | None = None


class FoundOut(Struct, frozen=True, kw_only=True):
    """Something found in a text. `start` and `end` count characters (Unicode code points), `end` is behind the last."""

    code: Code
    action: Action
    start: int
    end: int
    what: Annotated[str, Meta(description="What was found, as it was read.")]
    why: str
    message: str
    advice: Annotated[str, Meta(description="What to do; empty where nothing need be done.")]


class CheckOut(Struct, frozen=True, kw_only=True):
    """What is to become of a text: the strictest of its findings."""

    action: Action
    findings: list[FoundOut]


class CodeOut(Struct, frozen=True, kw_only=True):
    """A kind of finding, and what becomes of such texts unless a policy says otherwise."""

    code: Code
    action: Action
    message: str
    advice: str


class Codes(Struct, frozen=True):
    """All kinds of findings."""

    data: list[CodeOut]


class NewDomain(Struct, forbid_unknown_fields=True, kw_only=True):
    """A domain, in letters or in punycode, without a scheme."""

    domain: Annotated[str, Meta(min_length=3, max_length=253, examples=["example.com"])]
    note: Annotated[str, Meta(max_length=200)] = ""


class DomainChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change. The status is the operator's."""

    status: DomainStatus | UnsetType = UNSET
    note: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET


class DomainOut(Struct, frozen=True, kw_only=True):
    """A domain of the account."""

    id: Annotated[str, Meta(examples=["cdm_006h3r8k2w0g4"])]
    domain: Annotated[str, Meta(description="In its wire form: lower case, punycode.")]
    status: DomainStatus
    note: str
    created_at: Time


@resource.post(
    "/v1/content/check",
    example={"text": "Your parcel waits: https://bit.ly/3xYzAbC", "from": "Acme", "country": "GB"},
)
async def check_(call: Call, body: NewCheck) -> CheckOut:
    """Check a text."""
    facts = Facts(
        call.account_id,
        fraud.domains(call.rt).usable(call.account_id),
        _brands(senders.book(call.rt).names),
        body.purpose or "",
    )
    decision = check(body.text, body.from_, body.country or "", _policy(body.policy), facts)
    return CheckOut(action=decision.action, findings=[_found(one) for one in decision.findings])


@resource.get("/v1/content/codes", tenant=False)
async def list_codes(call: Call) -> Codes:
    """List the kinds of findings."""
    return Codes([CodeOut(code=c.code, action=c.action, message=c.message, advice=c.advice) for c in codes().values()])


@allowed.get("/v1/content/domains", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[DomainOut]:
    """List domains."""
    return page_of(fraud.domains(call.rt).of(call.account_id), query, "cdm", _shown, lambda one: one.id)


@allowed.get("/v1/content/domains/{id:cdm}")
async def get(call: Call, id: int) -> DomainOut:
    """Show a domain."""
    return _shown(fraud.found_domain(call.rt, call.account_id, id))


@allowed.post("/v1/content/domains", status=201, example={"domain": "example.com"}, errors=("duplicate_name",))
async def create(call: Call, body: NewDomain) -> DomainOut:
    """Add a domain; with it all that ends in it."""
    call.caller.need_live("domains")
    made = await fraud.create_domain(
        call.rt,
        call.actor,
        call.account_id,
        domain=body.domain,
        note=body.note,
        brands=_brands(senders.book(call.rt).names),
        vouched=call.caller.key.may("accounts"),
    )
    return _shown(made)


@allowed.patch("/v1/content/domains/{id:cdm}", example={"note": "Our shop."})
async def update(call: Call, id: int, body: DomainChange) -> DomainOut:
    """Change a domain."""
    call.caller.need_live("domains")
    before, fields = fraud.found_domain(call.rt, call.account_id, id), given(body)
    if fields.get("status", before.status) != before.status:
        call.caller.need("accounts")
    return _shown(await fraud.update_domain(call.rt, call.actor, call.account_id, id, **fields))


@allowed.delete("/v1/content/domains/{id:cdm}")
async def delete(call: Call, id: int) -> None:
    """Remove a domain."""
    call.caller.need_live("domains")
    await fraud.delete_domain(call.rt, call.actor, call.account_id, id)


@lru_cache(maxsize=1)
def _brands(names: senders.Names) -> Brands:
    """The protected names as content checks want them; made again when somebody changed one."""
    return Brands(Brand(one.name, one.account_ids, one.countries, one.contained) for one in names.all)


def _policy(asked: PolicyIn | None) -> Policy:
    if asked is None:
        return Policy()
    for code in asked.actions:
        if code not in codes():
            words = f"There is no kind of finding {code[:50]}."
            raise Refused("invalid_value", words, param="policy.actions", action="See GET /v1/content/codes.")
    return policy_from({"actions": asked.actions, "score": asked.score})


def _found(one: Finding) -> FoundOut:
    return FoundOut(
        code=one.code,
        action=one.action,
        start=one.start,
        end=one.end,
        what=one.what,
        why=one.why,
        message=one.message,
        advice=one.advice,
    )


def _shown(one: Domain) -> DomainOut:
    return DomainOut(
        id=ids.public("cdm", one.id),
        domain=one.domain,
        status=one.status,
        note=one.note,
        created_at=rfc(one.created_at),
    )
