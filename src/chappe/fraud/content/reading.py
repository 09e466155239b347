"""What is in a text, whoever sends it: links, words, numbers. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

import regex
from msgspec import Struct

from chappe.fraud.content.wordings import Wording, wordings_in
from chappe.text.confusable import LOOKS_LIKE
from chappe.text.invisible import Unveiled, overrides, unveil
from chappe.text.phones import Digits, find_phones, find_short_codes
from chappe.text.urls import Link, find_links

_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_LEAST_PHONE, _LEAST_SHORT, _LEAST_CODE = 7, 3, 4  # digits: in a group, and in a row
_GROUP = re.compile(r"\d(?:[ .()-]*\d){6}")
_LEAST_WALLET = 26  # letters and digits in a row
_LONG = re.compile(r"\d{4,}")
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
    """What is in a text. Positions are those of the text as written; `tokens` are its words as they were read."""

    text: str
    seen: Unveiled
    links: tuple[Link, ...]
    tokens: Sequence[str]
    reversed_at: tuple[int, ...]
    invisible: tuple[Span, ...]
    mixed: tuple[Span, ...]
    phones: tuple[Digits, ...]
    short_codes: tuple[Digits, ...]
    wallets: tuple[tuple[str, Span], ...]
    wordings: tuple[Wording, ...]
    code: Span | None

    def words(self) -> list[Span]:
        """The words with their places: most texts are read without anybody asking where."""
        return _words(self.text, self.seen, self.links)


def read(text: str) -> Reading:
    """All that a text has, in one walk per kind; what it cannot have is not looked for."""
    seen = unveil(text)
    links = find_links(text, seen)
    words = _words(text, seen, links) if links or seen.gaps or _may_be_mixed(seen.text) else None
    tokens = _WORD.findall(seen.text) if words is None else [span.read for span in words]
    digits = _DIGITS.findall(seen.text)
    most = max(map(len, digits), default=0)
    long = digits and (links or max(map(len, tokens), default=0) >= _LEAST_WALLET)
    return Reading(
        text=text,
        seen=seen,
        links=links,
        tokens=tokens,
        reversed_at=tuple(overrides(text)),
        invisible=tuple(span for span in words or () if _is_cut(span)) if seen.gaps else (),
        mixed=tuple(span for span in words or () if _is_mixed(span.read)),
        phones=_placed(text, seen, links, find_phones(seen.text)) if _may_have_phones(seen.text, digits) else (),
        short_codes=_placed(text, seen, links, find_short_codes(seen.text)) if most >= _LEAST_SHORT else (),
        wallets=tuple(_wallets(text, seen)) if long else (),
        wordings=wordings_in(tokens),
        code=_code(text, seen, tokens) if most >= _LEAST_CODE else None,
    )


def _may_have_phones(text: str, digits: list[str]) -> bool:
    return sum(map(len, digits)) >= _LEAST_PHONE and _GROUP.search(text) is not None


def _may_be_mixed(text: str) -> bool:
    return not text.isascii() and _FOREIGN.search(text) is not None and _LATIN.search(text) is not None


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


def _code(text: str, seen: Unveiled, tokens: Sequence[str]) -> Span | None:
    if _CODE_WORDS.isdisjoint(map(str.lower, tokens)):
        return None
    for run in _LONG.finditer(seen.text):
        if (match := _CODE.match(seen.text, run.start())) is not None:
            return _span(text, seen, match.start(), match.end())
    return None
