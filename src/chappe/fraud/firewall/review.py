"""Reviews: texts that somebody must look at, and what was decided. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct

from chappe.fraud.content import Finding

State = Literal["open", "approved", "rejected", "withdrawn", "expired"]
Decided = Literal["approved", "rejected", "withdrawn"]
DAYS = 30  # that a decision is remembered
MAY: dict[str, frozenset[str]] = {
    # an approval that is taken back is a rejection of what has not left yet
    "approved": frozenset({"open", "rejected", "withdrawn", "expired"}),
    "rejected": frozenset({"open", "approved", "withdrawn", "expired"}),
    "withdrawn": frozenset({"open"}),
}
"""From which states one comes to a decision."""


class Review(Struct, frozen=True):
    """Texts of an account and sender that are one to a reviewer (`digest`); `sample` is the first that came.

    `count` messages came. A decision is remembered `until` a moment; `unsettled`: messages may still wait for it.
    """

    account_id: int
    digest: str
    sender: str
    id: int
    state: State
    sample: str
    country: str
    purpose: str
    findings: tuple[Finding, ...]
    count: int
    opened_at: int
    until: int | None
    decided_at: int | None
    decided_by: str | None
    note: Annotated[str, Meta(max_length=500)]
    unsettled: bool
    revision: int

    @property
    def key(self) -> dict[str, Any]:
        return {"account_id": self.account_id, "digest": self.digest, "sender": self.sender}


class Held(Struct, frozen=True, gc=False):
    """Why a message must wait for a reviewer."""

    digest: str
    sender: str
    country: str
    purpose: str
    text: str
    findings: tuple[Finding, ...]

    @property
    def told(self) -> dict[str, Any]:
        """What history says."""
        return told("review", self.findings)


class Noted(Struct, frozen=True, gc=False):
    """What was found in a message that passes all the same. `would`: what else would have become of it."""

    would: str
    findings: tuple[Finding, ...]

    @property
    def told(self) -> dict[str, Any]:
        """What history says."""
        return told("allow", self.findings) | {"would": self.would}


def told(action: str, findings: Iterable[Finding]) -> dict[str, Any]:
    return {"action": action, "findings": [one.code for one in findings if one.action != "allow"]}


class Decision(NamedTuple):
    """What was decided of texts that are one; remembered `until` a moment."""

    state: str
    until: int
    note: str


class Decisions:
    """All that is remembered, one consistent version, and how many texts of an account were approved."""

    def __init__(self, rows: Iterable[tuple[Any, ...]] = (), approved: Iterable[tuple[int, int]] = ()) -> None:
        self._known = {(row[0], row[1], row[2]): Decision(*row[3:]) for row in rows}
        self._approved = dict(approved)

    def get(self, account_id: int, digest: str, sender: str, now: int) -> Decision | None:
        known = self._known.get((account_id, digest, sender))
        return known if known is not None and known.until > now else None

    def approved(self, account_id: int) -> int:
        return self._approved.get(account_id, 0)


__all__ = ["DAYS", "MAY", "Decided", "Decision", "Decisions", "Held", "Noted", "Review", "State", "told"]
