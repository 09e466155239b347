"""An attempt on its way: from the claim of its row until its fate is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chappe.channels import Outcome
from chappe.messages import store
from chappe.messages.model import Message


@dataclass(slots=True, eq=False)
class Flight:
    """An attempt on the wire: what is known of its message, and how many of its parts still owe an answer."""

    message: Message
    attempt: int
    claim: int
    tries: int = 1
    doubts: int = 0
    tried: str = ""
    launched: int = 0  # parts that owe an answer, or have given it
    written: bool = False
    answers: list[Outcome] = field(default_factory=list)  # those that are stored


def flight_of(row: Sequence[Any], claim: int) -> Flight:
    """A row of CLAIMED or ORPHANS."""
    _, attempt, tries, doubts, tried = row[:5]
    return Flight(store.message(tuple(row), 5), attempt, claim, tries=tries, doubts=doubts, tried=tried)
