"""Cleaning a text before it is counted: composed characters, one kind of line end, nothing invisible.

Each step keeps the text the same to the eye. What changed is listed, since an invisible character costs money: one
decomposed accent or zero-width space forces UCS-2 and halves the part.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import regex
from msgspec import Struct

from chappe.text.errors import TextError

clusters = regex.compile(r"\X").findall
"""The grapheme clusters of a text: what a reader takes for one character."""


class Change(Struct, frozen=True):
    """A replacement made in the text, with how often. `kind` is `normalised` or `smart`."""

    original: str
    replacement: str
    count: int
    kind: str


# Joiners build emoji and spell Persian and Indic words; after a Latin letter they are litter of copy and paste.
_LITTER = re.compile(
    "\r\n?|[\x85\u2028\u2029\x0b]"  # line ends
    "|\t"
    "|[\x00-\x08\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\ufeff]"
    "|(?<![\u0590-\u200a\u200d\u2010-\ufdff\ufe0f\U00010000-\U0010ffff])[\u200c\u200d]"
)
_BECOMES = dict.fromkeys(("\r\n", "\r", "\x85", "\u2028", "\u2029", "\x0b"), "\n") | {"\t": " "}
_SURROGATE = re.compile("[\ud800-\udfff]")


def normalise(text: str) -> tuple[str, tuple[Change, ...]]:
    """The clean text and what was changed; TextError `invalid_text` on a lone surrogate."""
    if text.isascii() and _LITTER.search(text) is None:
        return text, ()
    if _SURROGATE.search(text):
        text = _join_surrogates(text)
    counts: Counter[tuple[str, str]] = Counter()

    def clean(match: re.Match[str]) -> str:
        becomes = _BECOMES.get(match[0], "")
        counts[match[0], becomes] += 1
        return becomes

    text = _LITTER.sub(clean, text)
    if not unicodedata.is_normalized("NFC", text):
        for cluster in clusters(text):
            if (composed := unicodedata.normalize("NFC", cluster)) != cluster:
                counts[cluster, composed] += 1
        text = unicodedata.normalize("NFC", text)
    return text, tuple(Change(old, new, count, "normalised") for (old, new), count in counts.items())


def _join_surrogates(text: str) -> str:
    """Pairs that came apart in a foreign JSON are joined; a lone one has no character to stand for."""
    try:
        return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
    except UnicodeDecodeError:
        raise TextError("invalid_text", "The text holds half of a character (a lone UTF-16 surrogate).") from None
