"""Letters that look alike. Pure.

`fold` writes a name as a reader sees it at a glance: letters of other scripts become the Latin ones they look like,
digits the letters they stand for, separators go, doubled letters count once. Two names with one folding are
look-alikes: `PayPal`, `PayPaI`, `P@y-Pal` and the same in Cyrillic. The table is our own reading of such letters; the
Unicode consortium publishes a larger one (UTS #39), made for every script and not for the letters of a name.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

# Each Latin letter, and what is taken for it: Cyrillic, Greek and other Latin letters of both cases, digits, marks.
# i, l, I, 1 and | are one stroke, hence one letter; w is two v.
LOOKS_LIKE = {
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
_LETTER = {looks: letter for letter, all_ in LOOKS_LIKE.items() for looks in all_}


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
