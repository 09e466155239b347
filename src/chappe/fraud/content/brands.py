"""Protected names in texts and in domains: exact, disguised, or one letter away. Pure.

Whose names are protected is another room's business; it comes as `Brand` values. A look-up is a few dict accesses
however many names there are: a name one edit away has a spelling with one letter less in common with the other
(the deletion neighbourhood of W. Garbe's symmetric delete spelling correction).
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from chappe.fraud.content.memo import Memo
from chappe.text.confusable import fold

_NEAR_FROM = 6  # letters: in shorter names one letter makes another word (Orange, Range)
_LONGEST = 60  # letters: names have at most 40
_REMEMBERED = 8_192  # hosts: few per campaign
_DISGUISED_FROM = 4  # letters: shorter words fold into each other by chance


class Brand(Struct, frozen=True):
    """A name that only `account_ids` may use; no `countries`: everywhere. `contained`: also inside longer words."""

    name: str
    account_ids: tuple[int, ...] = ()
    countries: tuple[str, ...] = ()
    contained: bool = False


class Match(Struct, frozen=True):
    """A word that is a brand's name (`exact`), looks like it (`alike`) or is one letter away (`near`)."""

    brand: Brand
    how: str


class Brands:
    """All protected names."""

    def __init__(self, brands: Iterable[Brand] = ()) -> None:
        self._by_fold: defaultdict[str, list[Brand]] = defaultdict(list)
        self._near: defaultdict[str, set[str]] = defaultdict(set)
        self._contained: list[tuple[str, Brand]] = []
        self._heads: dict[str, int] = {}
        self._counted: Memo[int] = Memo(self._count)
        self._hosts: dict[tuple[str, int, str], Match | None] = {}
        for brand in brands:
            folded = fold(brand.name)
            self._by_fold[folded].append(brand)
            if len(folded) >= _NEAR_FROM:
                for spelling in _deletions(folded):
                    self._near[spelling].add(folded)
            if brand.contained:
                self._contained.append((folded, brand))
            words = brand.name.split()
            if len(words) > 1:
                head = fold(words[0])
                self._heads[head] = max(self._heads.get(head, 0), len(words))

    def __bool__(self) -> bool:
        return bool(self._by_fold)

    def words(self, head: str) -> int:
        """How many words a name may have that begins with this one; 0 where no name does."""
        return self._counted[head]

    def begins_any(self, words: Iterable[str]) -> bool:
        """Whether a name may begin with one of these words."""
        return any(map(self._counted.__getitem__, words))

    def _count(self, head: str) -> int:
        if head.isdigit() or len(head) > _LONGEST:
            return 0
        folded = fold(head)
        if folded in self._heads:
            return self._heads[folded]
        return 1 if folded in self._by_fold or any(part in folded for part, _ in self._contained) else 0

    def match(self, word: str, account_id: int, country: str, *, near: bool = False) -> Match | None:
        """The name of somebody else that a word is, or is taken for. `near`: also one letter away."""
        if not self._by_fold:
            return None
        folded = fold(word)
        found = self._others(self._by_fold.get(folded, ()), account_id, country)
        if found is not None:
            how = "exact" if plain(word) == plain(found.name) else "alike"
            return Match(found, how) if how == "exact" or len(folded) >= _DISGUISED_FROM else None
        inside = [brand for part, brand in self._contained if part in folded]
        if inside and (one := self._others(inside, account_id, country)) is not None:
            return Match(one, "exact" if plain(one.name) in plain(word) else "alike")
        return self._close(folded, account_id, country) if near and len(folded) >= _NEAR_FROM - 1 else None

    def match_host(self, host: str, names: Iterable[str], account_id: int, country: str) -> Match | None:
        """The worst that the names in a host are taken for; `names` are made of the host alone."""
        key = (host, account_id, country)
        if key in self._hosts:
            return self._hosts[key]
        met = [found for name in names if (found := self.match(name, account_id, country, near=True)) is not None]
        worst = min(met, key=lambda one: ("alike", "near", "exact").index(one.how), default=None)
        if len(self._hosts) >= _REMEMBERED:
            self._hosts.clear()
        self._hosts[key] = worst
        return worst

    def _close(self, folded: str, account_id: int, country: str) -> Match | None:
        names = {name for spelling in _deletions(folded) for name in self._near.get(spelling, ())}
        for name in sorted(names):
            if one_edit(folded, name):
                found = self._others(self._by_fold[name], account_id, country)
                if found is not None:
                    return Match(found, "near")
        return None

    def _others(self, brands: Iterable[Brand], account_id: int, country: str) -> Brand | None:
        """The first that is somebody else's there; None where one of them is the account's own."""
        here = [brand for brand in brands if not brand.countries or not country or country in brand.countries]
        if any(account_id in brand.account_ids for brand in here):
            return None
        return here[0] if here else None


NO_BRANDS = Brands()


@lru_cache(maxsize=16_384)
def plain(word: str) -> str:
    """Letters and digits alone, without case and accents."""
    return "".join(char for char in unicodedata.normalize("NFKD", word).casefold() if char.isalnum())


def one_edit(one: str, other: str) -> bool:
    """Whether one letter was added, left out, changed, or two neighbours swapped (Damerau-Levenshtein, 1)."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if len(one) != len(other):
        longer, shorter = (one, other) if len(one) > len(other) else (other, one)
        return longer[at + 1 :] == shorter[at:]
    swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
    return one[at + 1 :] == other[at + 1 :] or swapped


def _deletions(word: str) -> set[str]:
    """The word, and all it becomes without one of its letters."""
    word = word[:64]
    return {word} | {word[:i] + word[i + 1 :] for i in range(len(word))}
