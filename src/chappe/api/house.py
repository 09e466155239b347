"""What every handler of the door shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chappe.api.access import Caller, Gate
from chappe.api.facts import Facts
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.messages import Pipeline
    from chappe.runtime import Runtime
    from chappe.webhooks import Webhooks

Check = Callable[[], str | None]
"""A reason not to be ready, or None."""


@dataclass(slots=True)
class House:
    rt: Runtime
    pipeline: Pipeline
    webhooks: Webhooks
    gate: Gate
    checks: Mapping[str, Check] = field(default_factory=dict)
    facts: Facts = field(init=False)

    def __post_init__(self) -> None:
        self.facts = Facts(self.rt)


@dataclass(slots=True, frozen=True)
class Call:
    """One request, its caller known and let in. `account_id` is whose objects it is about."""

    house: House
    caller: Caller
    account_id: int
    request_id: str

    @property
    def rt(self) -> Runtime:
        return self.house.rt

    @property
    def actor(self) -> str:
        return self.caller.actor

    @property
    def test(self) -> bool:
        return self.caller.key.test


def missing(what: str) -> Refused:
    return Refused("not_found", f"There is no such {what}.", param="id")


__all__ = ["Call", "Check", "House", "missing"]
