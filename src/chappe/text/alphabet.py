"""The GSM 7-bit alphabet and its national tables (3GPP TS 23.038, 6.2.1 and annex A).

An `Alphabet` is a locking shift table (one septet a character) with a single shift table (ESC and one septet). Septets
are bytes 0-127, one an octet, as they travel over SMPP. The national tables lie in `national.csv` and are read when a
message first needs one; misprints of the printed tables (Kannada 24, Tamil 24, Telugu 22-23) are put right there.
"""

from __future__ import annotations

import codecs
import csv
from functools import cache
from importlib import resources

ESC = 0x1B
CR = 0x0D
UNASSIGNED = "�"

DEFAULT_TABLE = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
EXTENSION_TABLE = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}


class Alphabet:
    """One pair of tables, by their national language identifiers (0 is the default)."""

    __slots__ = ("codes", "extension", "locking", "single", "table")

    def __init__(self, locking: int, single: int, table: str, extension: dict[int, str]) -> None:
        self.locking = locking
        self.single = single
        # An ESC that nothing follows is shown as a space (TS 23.038, 6.2.1, note 1).
        self.table = table[:ESC] + " " + table[ESC + 1 :]
        self.extension = extension
        # Where a table prints a character twice the first place wins, and one septet wins over two.
        codes = {char: bytes((ESC, code)) for code, char in sorted(extension.items(), reverse=True)}
        codes |= {char: bytes((code,)) for code, char in reversed(list(enumerate(table))) if char != UNASSIGNED}
        del codes["\x1b"]
        self.codes: dict[str, bytes] = codes

    def encode(self, text: str) -> bytes | None:
        """The septets of `text`, or None when a character is missing from these tables."""
        if not (self.locking or self.single) and (septets := quick(text)) is not None:
            return septets
        try:
            return b"".join(map(self.codes.__getitem__, text))
        except KeyError:
            return None

    def decode(self, septets: bytes) -> str:
        """The text of `septets`; UnicodeDecodeError when an octet is above 127, so no septet."""
        if ESC not in septets:
            return codecs.charmap_decode(septets, "strict", self.table)[0]
        first, *rest = septets.split(b"\x1b")
        pieces = [codecs.charmap_decode(first, "strict", self.table)[0]]
        after_escape = False  # two ESC in a row: reserved, shown as a space
        for piece in rest:
            if not piece:
                pieces.append(" " if not after_escape else "")
                after_escape = not after_escape
                continue
            text = codecs.charmap_decode(piece, "strict", self.table)[0]
            if not after_escape:
                # An unknown extension code is shown as the character of the main table (TS 23.038, 6.2.1.1).
                text = self.extension.get(piece[0], text[0]) + text[1:]
            after_escape = False
            pieces.append(text)
        return "".join(pieces)


DEFAULT = Alphabet(0, 0, DEFAULT_TABLE, EXTENSION_TABLE)


@cache
def _national() -> dict[tuple[str, int], dict[int, str]]:
    tables: dict[tuple[str, int], dict[int, str]] = {}
    with resources.files(__package__).joinpath("national.csv").open(encoding="ascii") as lines:
        for row in csv.DictReader(lines):
            table = tables.setdefault((row["shift"], int(row["id"])), {})
            for column in range(16):
                if point := row[f"{column:X}"]:
                    table[int(row["row"]) * 16 + column] = chr(int(point, 16))
    return tables


@cache
def _alphabet(locking: int, single: int) -> Alphabet:
    table = DEFAULT_TABLE
    if locking:
        chars = _national()["locking", locking]
        table = "".join("\x1b" if code == ESC else chars.get(code, UNASSIGNED) for code in range(128))
    return Alphabet(locking, single, table, _national()["single", single] if single else EXTENSION_TABLE)


def alphabet(locking: int = 0, single: int = 0) -> Alphabet:
    """The alphabet of two national language identifiers; an unknown one means the default (TS 23.040, 9.2.3.24.15)."""
    if locking or single:
        known = _national()
        locking = locking if ("locking", locking) in known else 0
        single = single if ("single", single) in known else 0
    return _alphabet(locking, single) if locking or single else DEFAULT


def national_alphabets(language: int) -> tuple[Alphabet, ...]:
    """Every way to use one language's tables, the cheapest header first; empty for an unknown language."""
    known = _national()
    single = ("single", language) in known
    locking = ("locking", language) in known
    pairs = [(0, language)] * single + [(language, 0)] * locking + [(language, language)] * (single and locking)
    return tuple(alphabet(*pair) for pair in pairs)


# What Windows-1252 shares with the default alphabet is nearly every text, and bytes translate in C: each octet becomes
# its septet, an extension character the code of its place with the top bit set, which ESC then replaces. CR and form
# feed are left out: they are normalised away.
_SHARED = {char: codes for char, codes in DEFAULT.codes.items() if char not in "\r\f" and not "Ͱ" <= char <= "Ͽ"}
_OCTETS = "".join(_SHARED).encode("cp1252")
_TO_SEPTET = bytes.maketrans(_OCTETS, bytes(c[-1] | 0x80 if len(c) > 1 else c[0] for c in _SHARED.values()))
_ESCAPED = [(bytes((codes[1] | 0x80,)), codes) for codes in _SHARED.values() if len(codes) > 1]


def quick(text: str) -> bytes | None:
    """The septets of a text that needs no normalising and is Western; None for any other text."""
    try:
        octets = text.encode("latin-1") if "€" not in text else text.encode("cp1252")
    except UnicodeEncodeError:
        return None
    if octets.translate(None, _OCTETS):
        return None
    septets = octets.translate(_TO_SEPTET)
    if not septets.isascii():
        for mark, codes in _ESCAPED:
            septets = septets.replace(mark, codes)
    return septets


def pack(septets: bytes, header: int = 0) -> bytes:
    """Septets eight to seven octets, after a header of `header` octets (TS 23.038, 6.1.2.1)."""
    if not septets:
        return b""
    fill = -header * 8 % 7  # the text starts on a septet boundary counted from the header's first octet
    bits = 0
    for index, septet in enumerate(septets):
        bits |= septet << (fill + 7 * index)
    used = fill + 7 * len(septets)
    octets = (used + 7) // 8
    if octets * 8 - used == 7:
        bits |= CR << used  # seven spare bits would read as @ (TS 23.038, 6.1.2.3.1)
    return bits.to_bytes(octets, "little")


def unpack(octets: bytes, header: int = 0) -> bytes:
    """The septets of packed octets that follow a header of `header` octets."""
    fill = -header * 8 % 7
    bits = int.from_bytes(octets, "little") >> fill
    count, spare = divmod(max(len(octets) * 8 - fill, 0), 7)
    septets = bytes(bits >> 7 * index & 0x7F for index in range(count))
    return septets[:-1] if spare == 0 and septets.endswith(b"\r") else septets
