"""Policies: what is to become of texts, as the operator says for all, for an account, and as the account asks for
itself. Pure.

A layer says what differs from the one below. The operator's replace what is below them; an account's own only ever
makes it stricter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from chappe.accounts import Purpose
from chappe.errors import Refused
from chappe.fraud.content import Action, Policy, codes

Mode = Literal["off", "observe", "enforce"]
EVERYONES = 0  # the account id of the installation's own layer
UNLISTED = "link_unlisted"
FAILED = "check_failed"
_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
_MODES: dict[str, int] = {"off": 0, "observe": 1, "enforce": 2}
_RANK: dict[str, int] = {"allow": 0, "review": 1, "block": 2}
_DAY_MS = 86_400_000
_MOST_A_DAY = 1_000_000_000
NEW_FOR_DAYS = 30  # an account whose first texts are looked at


class WarmUp(Struct, frozen=True, forbid_unknown_fields=True):
    """What a new account may send: `first_day` parts on its first day, each day `growth` times as many, for `days`."""

    first_day: Annotated[int, Meta(ge=1, le=10_000_000)] = 500
    growth: Annotated[float, Meta(ge=1.0, le=100.0)] = 2.0
    days: Annotated[int, Meta(ge=1, le=365)] = 14


class Layer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody says; None says nothing.

    `mode`: `observe` decides and counts, and lets everything pass. `actions` by code of a finding; `on_failure` is what
    becomes of a text whose check breaks. `review_first`: until so many of its texts are approved, all texts of an
    account younger than thirty days are looked at. `growth_alarm`: from so many times the most of any day of the month
    before.
    """

    mode: Mode | None = None
    purposes: tuple[Purpose, ...] | None = None
    actions: Mapping[str, Action] = {}
    score: Annotated[int, Meta(ge=1, le=1000)] | None = None
    on_failure: Action | None = None
    review_first: Annotated[int, Meta(ge=0, le=1000)] | None = None
    warm_up: WarmUp | Literal["off"] | None = None
    growth_alarm: Annotated[float, Meta(ge=1.1, le=1000.0)] | None = None


class FirewallPolicy(Struct, frozen=True):
    """What is in force for an account."""

    mode: Mode = "enforce"
    purposes: frozenset[Purpose] = frozenset(_PURPOSES)
    actions: Mapping[str, Action] = {}
    score: int = 60
    on_failure: Action = "allow"  # a firewall that breaks must not be what stops all messages, unless somebody says so
    review_first: int = 0
    warm_up: WarmUp | None = None
    growth_alarm: float = 2.0

    def content(self, lists_domains: bool) -> Policy:
        """For the checks. Unless somebody says what becomes of them, links to other domains are looked at as soon as
        the account has a list of its own."""
        actions: dict[str, Action] = {UNLISTED: "review" if lists_domains else "allow", **self.actions}
        return Policy({**actions, FAILED: self.on_failure}, self.score)


USUAL = FirewallPolicy()


class PolicyLayer(Struct, frozen=True):
    """A layer as it is kept: of the operator for everybody (account 0) or for an account, or an account's own."""

    id: int
    account_id: int
    by_operator: bool
    layer: Layer
    changed_at: int


class Policies:
    """All layers, one consistent version, and what is in force by them."""

    def __init__(self, layers: Iterable[PolicyLayer] = ()) -> None:
        self._layers = {(one.account_id, one.by_operator): one for one in layers}
        self._in_force: dict[int, FirewallPolicy] = {}

    def layer(self, account_id: int, *, by_operator: bool) -> PolicyLayer | None:
        return self._layers.get((account_id, by_operator))

    def of(self, account_id: int) -> FirewallPolicy:
        known = self._in_force.get(account_id)
        if known is None:
            known = self.given(account_id)
            own = self.layer(account_id, by_operator=False)
            known = self._in_force[account_id] = known if own is None else tightened(known, own.layer)
        return known

    def given(self, account_id: int) -> FirewallPolicy:
        """What the operator says for an account."""
        policy = USUAL
        for whose in dict.fromkeys((EVERYONES, account_id)):
            if (one := self.layer(whose, by_operator=True)) is not None:
                policy = replaced(policy, one.layer)
        return policy


def replaced(policy: FirewallPolicy, layer: Layer) -> FirewallPolicy:
    """The policy with what the layer says in its place."""
    said: dict[str, Any] = {name: getattr(layer, name) for name in layer.__struct_fields__}
    said = {name: value for name, value in said.items() if value is not None}
    said["actions"] = {**policy.actions, **layer.actions}
    if layer.purposes is not None:
        said["purposes"] = frozenset(layer.purposes)
    if layer.warm_up == "off":
        said["warm_up"] = None
    return msgspec.structs.replace(policy, **said)


def tightened(policy: FirewallPolicy, own: Layer) -> FirewallPolicy:
    """The policy with what the account asks for beyond it."""
    actions = dict(policy.actions)
    for code, action in own.actions.items():
        actions[code] = _stricter(actions.get(code) or _usual(code), action)
    return msgspec.structs.replace(
        policy,
        mode=max(policy.mode, own.mode or "off", key=_MODES.__getitem__),
        purposes=policy.purposes | frozenset(own.purposes or ()),
        actions=actions,
        score=min(policy.score, own.score or policy.score),
        on_failure=_stricter(policy.on_failure, own.on_failure or "allow"),
        review_first=max(policy.review_first, own.review_first or 0),
    )


def check_own(policy: FirewallPolicy, own: Layer) -> None:
    """Raises Refused scope_missing for what an account may not ask for: less than the operator does."""
    looser = next(_looser(policy, own), None)
    if looser is not None:
        action = "An account only makes it stricter. Ask the operator for the rest."
        raise Refused("scope_missing", "Only the operator makes the policy milder.", param=looser, action=action)


def check_codes(layer: Layer) -> None:
    """Raises Refused invalid_value for a code that does not exist."""
    for code in layer.actions:
        if code not in codes() or code == FAILED:
            words = f"There is no kind of finding {code[:50]}." if code != FAILED else "That is what on_failure is for."
            raise Refused("invalid_value", words, param="actions", action="See GET /v1/content/codes.")


def day_limit(warm_up: WarmUp, created_at: int, now: int) -> int | None:
    """How many parts an account may send on the day of `now`; None: as many as it likes. Days are UTC's."""
    day = max(0, now // _DAY_MS - created_at // _DAY_MS)
    if day >= warm_up.days:
        return None
    if math.log(warm_up.first_day) + day * math.log(warm_up.growth) >= math.log(_MOST_A_DAY):
        return _MOST_A_DAY
    return int(warm_up.first_day * warm_up.growth**day)


def _looser(policy: FirewallPolicy, own: Layer) -> Iterator[str]:
    if own.mode is not None and _MODES[own.mode] < _MODES[policy.mode]:
        yield "mode"
    if own.purposes is not None and not policy.purposes <= frozenset(own.purposes):
        yield "purposes"
    for code, action in own.actions.items():
        if _RANK[action] < _RANK[policy.actions.get(code) or _usual(code)]:
            yield f"actions.{code}"
    if own.score is not None and own.score > policy.score:
        yield "score"
    if own.on_failure is not None and _RANK[own.on_failure] < _RANK[policy.on_failure]:
        yield "on_failure"
    if own.review_first is not None and own.review_first < policy.review_first:
        yield "review_first"
    for name in ("warm_up", "growth_alarm"):
        if getattr(own, name) is not None:
            yield name


def _usual(code: str) -> Action:
    return "allow" if code == UNLISTED else codes()[code].action


def _stricter(one: Action, other: Action) -> Action:
    return max(one, other, key=_RANK.__getitem__)


__all__ = [
    "EVERYONES",
    "NEW_FOR_DAYS",
    "USUAL",
    "FirewallPolicy",
    "Layer",
    "Mode",
    "Policies",
    "PolicyLayer",
    "WarmUp",
    "check_codes",
    "check_own",
    "day_limit",
    "replaced",
    "tightened",
]
