"""Brand protection: names that look like another's name. Pure.

`fold` writes a name as a reader sees it at a glance: letters of other scripts become the Latin ones they look like,
digits the letters they stand for, separators go, doubled letters count once. Two names with one folding are
look-alikes: `PayPal`, `PayPaI`, `P@y-Pal` and the same in Cyrillic. The table is our own reading of such letters; the
Unicode consortium publishes a larger one (UTS #39), made for every script and not for the eleven letters of a sender.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated

from msgspec import Meta, Struct

# Each Latin letter, and what is taken for it: Cyrillic, Greek and other Latin letters of both cases, digits, marks.
# i, l, I, 1 and | are one stroke, hence one letter; w is two v.
_LOOKS_LIKE = {
    "a": "АаΑα@4ɑ",
    "b": "ВвЬьΒβ8ß",
    "c": "Ссς¢©(",
    "d": "Ԁԁđð",
    "e": "ЕеЭэΕεΣ3€ə",
    "f": "ƒϜ",
    "g": "Ԍԍ9ɡ",
    "h": "НнһҺΗ",
    "j": "Јј",
    "k": "КкΚκ",
    "l": "ІіΙι1|!ıłŁIiLlӀӏ",
    "m": "МмΜ",
    "n": "ПпΝη",
    "o": "ОоΟοσ0øØ",
    "p": "РрΡρþ",
    "q": "Ԛԛ",
    "r": "Гг",
    "s": "Ѕѕ5$§",
    "t": "ТтΤτ7+",
    "u": "υцЦμ",
    "v": "ѴѵνwWШшωԜԝ",
    "x": "ХхΧχ×",
    "y": "УуΥγ¥",
    "z": "Ζ2",
}
_LETTER = {looks: letter for letter, all_ in _LOOKS_LIKE.items() for looks in all_}


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


@lru_cache(maxsize=16_384)
def fold(name: str) -> str:
    """The letters that a hasty reader sees; folding twice changes nothing."""
    letters = "".join(_seen(char) for char in unicodedata.normalize("NFKD", name))
    return _single(_single(letters).replace("rn", "m"))  # which run together on a small screen


def _single(letters: str) -> str:
    """Each letter once where it stands several times in a row."""
    return "".join(char for char, before in zip(letters, " " + letters, strict=False) if char != before)


def _seen(char: str) -> str:
    """The letters that a character is read as; nothing for separators, accents and signs."""
    if char in _LETTER:
        return _LETTER[char]
    return "".join(
        _LETTER.get(plain, plain if plain.isalnum() else "")
        for folded in char.casefold()
        for plain in unicodedata.normalize("NFKD", folded)
    )
