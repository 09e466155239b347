"""Texts in one spelling: small letters and digits without accents, one space between words. Pure."""

from __future__ import annotations

import re
import unicodedata

# letters that Unicode does not take apart, Arabic letters that people write for one another, and a stretcher (tatweel)
_ALIKE = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ی": "ي", "ى": "ي", "ک": "ك", "ـ": None})
_MARKS = ("Mn", "Me", "Cf")
_DRAWN_OUT = re.compile(r"([^\W\d])\1\1+")


def plain(text: str) -> str:
    """`«Arrêt !!»` is `arret`, `STOOOP` is `stop`, `İPTAL` is `iptal`. Linear; any text has one."""
    if not text.isascii():
        text = unaccented(text)
    text = text.casefold()
    words = "".join(char if char.isalnum() else " " for char in text).split()
    return _DRAWN_OUT.sub(r"\1", " ".join(words))


def unaccented(text: str) -> str:
    """Without accents, vowel signs and what is invisible; compatible forms (full-width, mathematical) as plain ones."""
    for _ in range(2):  # folding makes new marks: a capital I with a dot
        text = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in text if unicodedata.category(char) not in _MARKS)
        text = text.casefold().translate(_ALIKE)
    return text


def near(word: str, meant: str) -> bool:
    """Whether one letter was forgotten, added or mistaken, or two neighbours were swapped (optimal string alignment
    distance 1)."""
    if word == meant or abs(len(word) - len(meant)) > 1:
        return False
    if len(word) == len(meant):
        wrong = [n for n, (one, other) in enumerate(zip(word, meant, strict=True)) if one != other]
        if len(wrong) == 1:
            return True
        return len(wrong) == 2 and wrong[1] == wrong[0] + 1 and word[wrong[0] : wrong[1] + 1] == _swapped(meant, wrong)
    longer, shorter = (word, meant) if len(word) > len(meant) else (meant, word)
    return any(longer[:n] + longer[n + 1 :] == shorter for n in range(len(longer)))


def _swapped(meant: str, at: list[int]) -> str:
    return meant[at[1]] + meant[at[0]]
