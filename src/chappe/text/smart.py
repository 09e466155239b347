"""Smart encoding: replacing characters that GSM-7 lacks by ones that read the same, so that a part holds 160 not 70.

Never silent (every change is listed), never partial (a text that cannot become GSM-7 as a whole stays as it is), never
inside a URL, and never on digits of another script, which may be a code.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from chappe.text.alphabet import DEFAULT
from chappe.text.normalise import Change


def _table(*rows: tuple[str, str]) -> dict[str, str]:
    return {char: becomes for chars, becomes in rows for char in chars}


_READS_AS = _table(
    ("‘’‚‛′`´ʼʻ‹›", "'"),
    ("“”„‟«»″", '"'),
    ("‐‑‒–—―−⁃", "-"),
    ("…", "..."),
    ("•·∙●", "*"),
    ("⁄∕", "/"),
    ("œ", "oe"),
    ("Œ", "OE"),
    ("łŀ", "l"),
    ("ŁĿ", "L"),
    ("đð", "d"),
    ("ĐÐ", "D"),
    ("þ", "th"),
    ("Þ", "Th"),
    ("™", "(TM)"),
    ("©", "(C)"),
    ("®", "(R)"),
    ("º", "o"),
    ("ª", "a"),
    ("°", "deg"),
    ("×", "x"),
    ("№", "No"),
    ("\u00ad\u2060\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", ""),  # invisible hints
)
# The four letters that Turkish cannot lose without its customer's word.
_TURKISH = _table(("ş", "s"), ("Ş", "S"), ("ğ", "g"), ("Ğ", "G"), ("ı", "i"), ("İ", "I"))
# ICAO Doc 9303 part 3, section 6 (passports), without the soft sign.
_ICAO = (
    "аa бb вv гg дd еe ёe жzh зz иi йi кk лl мm нn оo пp рr сs тt уu фf хkh цts чch шsh щshch ъie ыy ь эe юiu яia "
    "ґg єie іi їi ўu ђd ѓg јj ќk љlj њnj ћc џdz"
)
_CYRILLIC_LOWER = {pair[0]: pair[1:] for pair in _ICAO.split()}
_CYRILLIC = _CYRILLIC_LOWER | {lower.upper(): latin.capitalize() for lower, latin in _CYRILLIC_LOWER.items()}
_OPT_IN = {"turkish": _TURKISH, "cyrillic": _CYRILLIC}

_URL = re.compile(r"(?:https?://|www\.)[^\s“”‘’«»„]+", re.IGNORECASE)


@lru_cache(maxsize=4096)
def suggest(char: str, accepted: tuple[str, ...] = ()) -> str | None:
    """What one character becomes in GSM-7, or None. `accepted` opts in to `turkish` and `cyrillic` losses."""
    if char in DEFAULT.codes:
        return char
    for script in accepted:
        if (latin := _OPT_IN[script].get(char)) is not None:
            return latin
    if (latin := _READS_AS.get(char)) is not None:
        return latin
    if char in _TURKISH or char.isdecimal():
        return None
    if 0x300 <= ord(char) <= 0x36F:
        return ""  # an accent with no composed form; its letter stays
    base = "".join(_READS_AS.get(c, c) for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return base if base != char and base and all(c in DEFAULT.codes for c in base) else None


def transliterate(text: str, accepted: tuple[str, ...] = ()) -> tuple[str, tuple[Change, ...]] | None:
    """The text in GSM-7 characters and what changed, or None when some character has no equal."""
    if any(char not in DEFAULT.codes for url in _URL.findall(text) for char in url):
        return None
    counts: Counter[tuple[str, str]] = Counter()
    out: list[str] = []
    for char in text:
        latin = suggest(char, accepted)
        if latin is None:
            return None
        if latin != char:
            counts[char, latin] += 1
        out.append(latin)
    if not any(out):
        return None  # nothing but lone accents: an empty message is worse than UCS-2
    return "".join(out), tuple(Change(old, new, count, "smart") for (old, new), count in counts.items())
