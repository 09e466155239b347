"""Names of hosts: their wire form, who can register them, and the many spellings of an IP address. Pure.

Public suffixes are those of the list at publicsuffix.org, as the package `publicsuffixlist` ships them.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

MAX_HOST, MAX_LABEL = 253, 63  # RFC 1035, 2.3.4


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


@lru_cache(maxsize=8_192)
def is_top_level(label: str) -> bool:
    """Whether a name may end so; in any script and case."""
    wire = ascii_host(label)
    return wire is not None and "." not in wire and _suffixes().publicsuffix(f"a.b.{wire}") is not None


@lru_cache(maxsize=8_192)
def ascii_host(host: str) -> str | None:
    """The host on the wire: lower case, other scripts in punycode (RFC 3492). None if it can be no host's name."""
    labels = unicodedata.normalize("NFKC", host).lower().replace("\u3002", ".").rstrip(".").split(".")
    encoded = [_label(label) for label in labels]
    wire = ".".join(label or "" for label in encoded)
    return wire if all(encoded) and len(wire) <= MAX_HOST else None


def _label(label: str) -> str | None:
    if not 0 < len(label) <= MAX_LABEL:
        return None
    if not label.isascii():
        try:
            label = "xn--" + label.encode("punycode").decode("ascii")
        except UnicodeError:
            return None
    plain = label.replace("-", "").replace("_", "")
    return label if len(label) <= MAX_LABEL and plain.isalnum() and label[0] != "-" != label[-1] else None


@lru_cache(maxsize=8_192)
def shown_host(wire: str) -> str:
    """The host as a browser could show it: punycode decoded where it can be."""
    return ".".join(_shown(label) for label in wire.split("."))


def _shown(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


@lru_cache(maxsize=8_192)
def registrable(wire: str) -> str | None:
    """What somebody has registered: `example.co.uk` of `www.example.co.uk`; None for a public suffix."""
    found: str | None = _suffixes().privatesuffix(wire)
    return found


def ip_address(host: str) -> str | None:
    """The address that a browser makes of a host: `0x7f.1`, `017700000001` and `2130706433` are 127.0.0.1, too
    (WHATWG URL, IPv4 parser). None if it is none."""
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host.strip("[]").partition("%")[0]))
        except ValueError:
            return None
    pieces = host.rstrip(".").split(".")
    if not 1 <= len(pieces) <= 4:
        return None
    numbers = [_number(piece) for piece in pieces]
    if any(number is None for number in numbers):
        return None
    *heads, last = (number for number in numbers if number is not None)
    if any(head > 255 for head in heads) or last >= 256 ** (5 - len(pieces)):
        return None
    value = last + sum(head << 8 * (3 - place) for place, head in enumerate(heads))
    return str(ipaddress.IPv4Address(value))


def _number(piece: str) -> int | None:
    """Decimal, 0 octal, 0x hexadecimal."""
    if not piece.isascii() or len(piece) > 14:
        return None
    try:
        if piece[:2].lower() == "0x":
            return int(piece[2:] or "0", 16) if piece[2:].isalnum() or not piece[2:] else None
        if not piece.isdigit():
            return None
        return int(piece, 8) if len(piece) > 1 and piece[0] == "0" else int(piece)
    except ValueError:
        return None
