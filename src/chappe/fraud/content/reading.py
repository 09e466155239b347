"""What is in a text, whoever sends it: links, words, numbers. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right

import regex
from msgspec import Struct

from chappe.fraud.content.wordings import Wording, wordings_in
from chappe.text.confusable import LOOKS_LIKE
from chappe.text.invisible import Unveiled, overrides, unveil
from chappe.text.phones import Digits, find_phones, find_short_codes
from chappe.text.urls import Link, find_links

_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_CODE = re.compile(r"(?<![\w.,:/+-])\d{4,8}(?![\w/%€$£]|[.,:-]\d)")
# words for a code in the languages whose short messages we have seen most of; with digits beside them, one is meant
_CODE_WORDS = frozenset(
    [
        "code",
        "codes",
        "otp",
        "pin",
        "passcode",
        "password",
        "código",
        "codigo",
        "codice",
        "kod",
        "kód",
        "koodi",
        "kode",
        "wachtwoord",
        "passwort",
        "verification",
        "vérification",
        "verificación",
        "verifica",
        "код",
        "пароль",
        "кода",
        "رمز",
        "驗證碼",
        "验证码",
    ]
)
_WALLETS = (
    # BIP 173 and 350; BIP 13 and the older form, base 58; EIP-55
    ("Bitcoin", re.compile(r"\bbc1[02-9ac-hj-np-z]{25,87}\b", re.IGNORECASE)),
    ("Bitcoin", re.compile(r"\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b")),
    ("Ethereum", re.compile(r"\b0x[0-9a-fA-F]{40}\b")),
)
_LATIN = regex.compile(r"\p{Latin}")
_FOREIGN = regex.compile(r"[\p{Cyrillic}\p{Greek}\p{Armenian}]")
_LOOKS_LATIN = frozenset("".join(LOOKS_LIKE.values()))
_SHORTEST_MIXED = 4  # letters: shorter words are units, such as µSv


class Span(Struct, frozen=True, gc=False):
    """A piece of the text as written, and what it was read as."""

    start: int
    end: int
    written: str
    read: str


class Reading(Struct, frozen=True):
    """What is in a text. Positions are those of the text as written."""

    links: tuple[Link, ...]
    words: tuple[Span, ...]
    reversed_at: tuple[int, ...]
    invisible: tuple[Span, ...]
    mixed: tuple[Span, ...]
    phones: tuple[Digits, ...]
    short_codes: tuple[Digits, ...]
    wallets: tuple[tuple[str, Span], ...]
    wordings: tuple[Wording, ...]
    code: Span | None


def read(text: str) -> Reading:
    """All that a text has, in one walk per kind."""
    seen = unveil(text)
    links = find_links(text, seen)
    words = _words(text, seen, links)
    digits = _DIGIT.search(seen.text) is not None
    ascii_only = text.isascii()
    return Reading(
        links=links,
        words=tuple(words),
        reversed_at=tuple(overrides(text)),
        invisible=() if not seen.gaps else tuple(span for span in words if _is_cut(span)),
        mixed=() if ascii_only else tuple(span for span in words if _is_mixed(span.read)),
        phones=_placed(text, seen, links, find_phones(seen.text)) if digits else (),
        short_codes=_placed(text, seen, links, find_short_codes(seen.text)) if digits else (),
        wallets=tuple(_wallets(text, seen)) if digits else (),
        wordings=wordings_in(frozenset(span.read for span in words)),
        code=_code(text, seen, words) if digits else None,
    )


def _words(text: str, seen: Unveiled, links: tuple[Link, ...]) -> list[Span]:
    """The words outside of links."""
    found = [(match.start(), match.end(), match[0]) for match in _WORD.finditer(seen.text)]
    if seen.text is text:
        words = [Span(start, end, word, word) for start, end, word in found]
    else:
        words = [_span(text, seen, start, end) for start, end, _ in found]
    return [word for word in words if not _within(links, word.start)] if links else words


def _span(text: str, seen: Unveiled, start: int, end: int) -> Span:
    first, last = seen.at[start], seen.at[end - 1] + 1
    return Span(first, last, text[first:last], seen.text[start:end])


def _within(links: tuple[Link, ...], at: int) -> bool:
    """Links stand in their order and never in each other."""
    index = bisect_right(links, at, key=_start_of) - 1
    return index >= 0 and at < links[index].end


def _start_of(link: Link) -> int:
    return link.start


def _placed(text: str, seen: Unveiled, links: tuple[Link, ...], found: list[Digits]) -> tuple[Digits, ...]:
    spans = [(_span(text, seen, one.start, one.end), one) for one in found]
    return tuple(
        Digits(span.start, span.end, one.written, one.international)
        for span, one in spans
        if not _within(links, span.start)
    )


def _is_cut(span: Span) -> bool:
    """Something invisible between Latin letters or digits: joiners belong into words of other scripts and soft hyphens
    into long words."""
    written = span.written.replace("\xad", "")
    return span.read.isascii() and len(written) > len(span.read)


def _is_mixed(word: str) -> bool:
    """Latin letters beside those of another script that are read as Latin, and no others."""
    if word.isascii() or len(word) < _SHORTEST_MIXED or _LATIN.search(word) is None:
        return False
    foreign = _FOREIGN.findall(word)
    return bool(foreign) and all(char in _LOOKS_LATIN for char in foreign)


def _wallets(text: str, seen: Unveiled) -> list[tuple[str, Span]]:
    return [
        (name, _span(text, seen, match.start(), match.end()))
        for name, pattern in _WALLETS
        for match in pattern.finditer(seen.text)
        if any(map(str.isdigit, match[0][1:])) and not match[0].isdigit()
    ]


def _code(text: str, seen: Unveiled, words: list[Span]) -> Span | None:
    if _CODE_WORDS.isdisjoint(span.read.lower() for span in words):
        return None
    match = _CODE.search(seen.text)
    return None if match is None else _span(text, seen, match.start(), match.end())
