"""What is to become of texts: the operator's policy, for everybody or for an account, and what an account asks for
itself beyond it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import fraud
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Purpose, given, rfc
from chappe.fraud import FirewallPolicy, Layer, Mode, PolicyLayer, WarmUp
from chappe.fraud.content import Action

resource = Resource(
    "Content policy",
    "What becomes of texts when messages are sent. The operator's word for the account replaces its word for all; an "
    "account itself only makes it stricter.",
    scope="senders",
    tenant=True,
)
staff = Resource("Content policy of the installation", "What holds for all accounts.", scope="admin")

_DAY_MS = 86_400_000
Code = Annotated[str, Meta(examples=["link_shortener"])]
Modes = Annotated[Mode, Meta(description="`observe` decides and counts, and lets everything pass.")]
Purposes = Annotated[tuple[Purpose, ...], Meta(min_length=1, max_length=4, description="Of messages that are checked.")]
Actions = Annotated[dict[Code, Action], Meta(max_length=50, description="By code of a finding; replaced as a whole.")]
Score = Annotated[int, Meta(ge=1, le=1000, description="From which score the words of frauds count.")]
OnFailure = Annotated[Action, Meta(description="What becomes of a text whose check breaks.")]
First = Annotated[
    int,
    Meta(ge=0, le=1000, description="Until so many of its texts are approved, a new account's texts are looked at."),
]
Growth = Annotated[
    float, Meta(ge=1.1, le=1000.0, description="An alarm from so many times the most of a day in the month before.")
]


class WarmUpShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a new account may send, in parts: so many on its first day, each day so many times more."""

    first_day: Annotated[int, Meta(ge=1, le=10_000_000)] = 500
    growth: Annotated[float, Meta(ge=1.0, le=100.0)] = 2.0
    days: Annotated[int, Meta(ge=1, le=365)] = 14


class ContentPolicyChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change; null says nothing any more, so that what lies below holds. The last two are the
    operator's."""

    mode: Modes | UnsetType | None = UNSET
    purposes: Purposes | UnsetType | None = UNSET
    actions: Actions | UnsetType = UNSET
    score: Score | UnsetType | None = UNSET
    on_failure: OnFailure | UnsetType | None = UNSET
    review_first: First | UnsetType | None = UNSET
    no_warm_up: Annotated[bool, Meta(description="None for this account, whatever holds for all.")] | UnsetType = UNSET
    warm_up: WarmUpShape | UnsetType | None = UNSET
    growth_alarm: Growth | UnsetType | None = UNSET


class ContentLayerOut(Struct, frozen=True, kw_only=True):
    """What somebody says; null says nothing."""

    mode: Modes | None
    purposes: list[Purpose] | None
    actions: dict[Code, Action]
    score: int | None
    on_failure: OnFailure | None
    review_first: int | None
    no_warm_up: bool
    warm_up: WarmUpShape | None
    growth_alarm: float | None


class ContentPolicyOut(Struct, frozen=True, kw_only=True):
    """What is in force, and who says what of it. `actions` are those that somebody changed; GET /v1/content/codes has
    the usual."""

    mode: Modes
    purposes: list[Purpose]
    actions: dict[Code, Action]
    score: int
    on_failure: OnFailure
    review_first: int
    warm_up: WarmUpShape | None
    growth_alarm: float
    operator: Annotated[ContentLayerOut | None, Meta(description="What the operator says for this account.")]
    own: Annotated[ContentLayerOut | None, Meta(description="What the account asks for beyond it.")]


class CountsQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """For how long."""

    days: Annotated[int, Meta(ge=1, le=92, description="Up to today.")] = 7


class ContentCount(Struct, frozen=True, kw_only=True):
    """How often something was decided on a day."""

    day: Annotated[str, Meta(examples=["2027-01-31"], description="UTC.")]
    verdict: Annotated[
        str, Meta(description="`allow`, `review` or `block`; `would_...` where the policy only observes.")
    ]
    code: Annotated[str, Meta(description="Of the finding that decided; empty for what passed.")]
    count: int


class ContentCounts(Struct, frozen=True):
    """What was decided, the latest day first."""

    data: list[ContentCount]


@resource.get("/v1/content/policy")
async def show(call: Call) -> ContentPolicyOut:
    """Show what is in force for the account."""
    return _shown(call, call.account_id)


@resource.patch("/v1/content/policy", example={"actions": {"link_unlisted": "block"}}, errors=("conflict",))
async def update(call: Call, body: ContentPolicyChange) -> ContentPolicyOut:
    """Change the policy: the operator for an account, an account for itself, and then to the stricter."""
    return await _changed(call, call.account_id, body, by_operator=_is_operator(call))


@resource.delete("/v1/content/policy", errors=("conflict",))
async def reset(call: Call) -> None:
    """Take back what the operator said for the account, or what the account asked for itself."""
    call.caller.need_live("the content policy")
    known = fraud.policies(call.rt)
    await fraud.drop_layer(call.rt, call.actor, known, call.account_id, by_operator=_is_operator(call))


@resource.get("/v1/content/counts")
async def counts(call: Call, query: CountsQuery) -> ContentCounts:
    """Count what was decided, also what was only observed; a few seconds behind."""
    found = await fraud.counts(call.rt, call.account_id, query.days)
    return ContentCounts(
        [
            ContentCount(day=rfc(one.day * _DAY_MS)[:10], verdict=one.verdict, code=one.code, count=one.number)
            for one in found
        ]
    )


@staff.get("/v1/content_policy")
async def show_everyones(call: Call) -> ContentPolicyOut:
    """Show what holds for all accounts."""
    return _shown(call, fraud.EVERYONES)


@staff.patch(
    "/v1/content_policy",
    example={"mode": "observe", "warm_up": {"first_day": 500, "growth": 2.0, "days": 14}},
    errors=("conflict",),
)
async def update_everyones(call: Call, body: ContentPolicyChange) -> ContentPolicyOut:
    """Change what holds for all accounts."""
    return await _changed(call, fraud.EVERYONES, body, by_operator=True)


def _is_operator(call: Call) -> bool:
    return call.caller.key.may("accounts")


async def _changed(call: Call, account_id: int, body: ContentPolicyChange, *, by_operator: bool) -> ContentPolicyOut:
    call.caller.need_live("the content policy")
    known = fraud.policies(call.rt)
    before = known.layer(account_id, by_operator=by_operator)
    layer = _layer(Layer() if before is None else before.layer, given(body))
    await fraud.set_layer(call.rt, call.actor, known, account_id, layer, by_operator=by_operator)
    return _shown(call, account_id)


def _layer(before: Layer, said: dict[str, Any]) -> Layer:
    """The layer with what was said."""
    none = said.pop("no_warm_up", None)
    if said.get("warm_up") is not None:
        said["warm_up"] = WarmUp(**msgspec.structs.asdict(said["warm_up"]))
    elif none is True:
        said["warm_up"] = "off"
    elif none is False and before.warm_up == "off":
        said["warm_up"] = None
    return msgspec.structs.replace(before, **said)


def _shown(call: Call, account_id: int) -> ContentPolicyOut:
    known = fraud.policies(call.rt)
    policy: FirewallPolicy = known.of(account_id)
    return ContentPolicyOut(
        mode=policy.mode,
        purposes=sorted(policy.purposes),
        actions=dict(policy.actions),
        score=policy.score,
        on_failure=policy.on_failure,
        review_first=policy.review_first,
        warm_up=_warm_up(policy.warm_up),
        growth_alarm=policy.growth_alarm,
        operator=_layer_out(known.layer(account_id, by_operator=True)),
        own=_layer_out(known.layer(account_id, by_operator=False)),
    )


def _layer_out(found: PolicyLayer | None) -> ContentLayerOut | None:
    if found is None:
        return None
    layer = found.layer
    return ContentLayerOut(
        mode=layer.mode,
        purposes=None if layer.purposes is None else list(layer.purposes),
        actions=dict(layer.actions),
        score=layer.score,
        on_failure=layer.on_failure,
        review_first=layer.review_first,
        no_warm_up=layer.warm_up == "off",
        warm_up=None if layer.warm_up == "off" else _warm_up(layer.warm_up),
        growth_alarm=layer.growth_alarm,
    )


def _warm_up(found: WarmUp | None) -> WarmUpShape | None:
    return None if found is None else WarmUpShape(**msgspec.structs.asdict(found))
