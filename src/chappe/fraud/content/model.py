"""The nouns of content checks: what was found in a text, what is to become of it, and by which policy. Pure."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from chappe.fraud.content.brands import NO_BRANDS, Brands

Action = Literal["allow", "review", "block"]
MAX_FINDINGS = 32  # in a decision
_RANK: dict[str, int] = {"allow": 0, "review": 1, "block": 2}


class Code(Struct, frozen=True):
    """A kind of finding: what becomes of the text unless the policy says otherwise, and what a customer reads."""

    code: str
    action: Action
    message: str
    advice: str


@cache
def codes() -> dict[str, Code]:
    """All kinds of findings."""
    with resources.files(__package__).joinpath("codes.csv").open(encoding="utf-8") as lines:
        rows = [msgspec.convert(row, Code) for row in csv.DictReader(lines)]
    return {row.code: row for row in rows}


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to become of texts: `actions` by code, where they differ from the usual; wordings count from `score`.

    `check_failed` of `actions` says whether a check that breaks lets texts through. Plain data: it is read from JSON
    with `policy_from`.
    """

    actions: Mapping[str, Action] = field(default_factory=dict)
    score: Annotated[int, Meta(ge=1, le=1000)] = 60

    def action(self, code: str) -> Action:
        return self.actions.get(code) or codes()[code].action

    def __hash__(self) -> int:
        return hash((tuple(sorted(self.actions.items())), self.score))


USUAL = Policy()


def policy_from(data: object) -> Policy:
    """Of JSON's values. Raises msgspec.ValidationError, also for a code that does not exist."""
    policy = msgspec.convert(data, Policy)
    unknown = sorted(policy.actions.keys() - codes().keys())
    if unknown:
        raise msgspec.ValidationError(f"There is no code {unknown[0][:50]} - at `$.actions`")
    return policy


class Facts(Struct, frozen=True):
    """What is known around a text. `domains` are those of the account that count, in their wire form; what ends in one
    of them is the account's, too. `purpose` is that of the message."""

    account_id: int = 0
    domains: frozenset[str] = frozenset()
    brands: Brands = NO_BRANDS
    purpose: str = ""


NO_FACTS = Facts()


class Finding(Struct, frozen=True, gc=False):
    """Something found at [start, end) of the text; `what` is there written, `why` says more."""

    code: str
    action: Action
    start: int
    end: int
    what: str
    why: str
    message: str
    advice: str


class Decision(Struct, frozen=True):
    """What is to become of a text: the strictest of its findings, which stand in their order in the text."""

    action: Action
    findings: tuple[Finding, ...] = ()


def decide(findings: list[Finding]) -> Decision:
    """The decision of findings, of which the strictest are kept if there are more than a reader can use."""
    if not findings:
        return CLEAN
    action = max((one.action for one in findings), key=_RANK.__getitem__)
    kept = sorted(findings, key=lambda one: (-_RANK[one.action], one.start))[:MAX_FINDINGS]
    return Decision(action, tuple(sorted(kept, key=lambda one: (one.start, one.code))))


CLEAN = Decision("allow")
