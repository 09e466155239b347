"""Brand protection: names that look like another's name (`text.confusable` tells). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from chappe.text.confusable import fold


class Protected(Struct, frozen=True):
    """A name that only its owners may use. No `account_ids`: nobody here; no `countries`: everywhere.

    `contained` also keeps others from names with this one inside, such as PayPalInfo.
    """

    id: int
    name: Annotated[str, Meta(min_length=1, max_length=40)]
    account_ids: tuple[int, ...]
    countries: tuple[Annotated[str, Meta(pattern=r"^[A-Z]{2}$")], ...]
    contained: bool
    created_at: int


class Names:
    """All protected names; a look-up is one folding and one dict access, and a walk over the few `contained` ones."""

    def __init__(self, protected: Iterable[Protected] = ()) -> None:
        self.all = tuple(protected)
        self._by_fold: defaultdict[str, list[Protected]] = defaultdict(list)
        self._contained = [(fold(one.name), one) for one in self.all if one.contained]
        for one in self.all:
            self._by_fold[fold(one.name)].append(one)

    def rival(self, account_id: int, address: str, countries: Sequence[str] = ()) -> Protected | None:
        """The protected name that the address looks like and that is somebody else's there. No `countries`: all."""
        if not self.all:
            return None
        folded = fold(address)
        candidates = [*self._by_fold.get(folded, ()), *(one for part, one in self._contained if part in folded)]
        candidates = [one for one in candidates if _meets(one.countries, countries)]
        if any(account_id in one.account_ids for one in candidates):
            return None  # two owners of one spelling share it
        return candidates[0] if candidates else None


def _meets(some: Sequence[str], others: Sequence[str]) -> bool:
    return not some or not others or bool({*some} & {*others})
