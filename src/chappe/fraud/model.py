"""The domains that accounts link to. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, Struct

Status = Literal["active", "review"]


class Domain(Struct, frozen=True):
    """A domain of an account, in its wire form, with all that ends in it. In `review` it does not count: it looks
    like somebody's protected name, or is a public shortener, until the operator says otherwise."""

    id: int
    account_id: int
    domain: Annotated[str, Meta(min_length=3, max_length=253)]
    status: Status
    note: Annotated[str, Meta(max_length=200)]
    created_at: int


class Domains:
    """All domains, and per account those that count."""

    def __init__(self, every: Iterable[Domain] = ()) -> None:
        self._by_id = {one.id: one for one in every}
        self._by_account: defaultdict[int, list[Domain]] = defaultdict(list)
        for one in self._by_id.values():
            self._by_account[one.account_id].append(one)
        self._usable = {
            account_id: frozenset(one.domain for one in own if one.status == "active")
            for account_id, own in self._by_account.items()
        }

    def of(self, account_id: int) -> list[Domain]:
        return self._by_account.get(account_id, [])

    def get(self, account_id: int, domain_id: int) -> Domain | None:
        """None for what is another account's, too."""
        one = self._by_id.get(domain_id)
        return one if one is not None and one.account_id == account_id else None

    def usable(self, account_id: int) -> frozenset[str]:
        return self._usable.get(account_id, frozenset())
