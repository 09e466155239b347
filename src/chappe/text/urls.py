r"""Links in a text, as phones and people see them. Pure, linear in the length of the text.

Found are addresses with a scheme (also `hxxp`, `http:\\`), names without one that end in a top-level domain, IP
addresses, and what is left of them by tricks: invisible characters, full-width letters, dots in brackets or in words,
user names in front of the host, percent-encoding, scripts of mixed letters. A search walks over the text once: no two
quantifiers of a pattern can take the same character, so that no text makes it walk back.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Literal
from urllib.parse import unquote

import regex
from msgspec import Struct

from chappe.text.domains import MAX_HOST, MAX_LABEL, ascii_host, ip_address, is_top_level, registrable, shown_host
from chappe.text.invisible import Unveiled, unveil

Disguise = Literal[
    "invisible", "compatibility", "scheme", "dot", "userinfo", "percent", "mixed_scripts", "port", "punycode", "ip"
]
Kind = Literal["link", "mail"]


class Link(Struct, frozen=True, gc=False):
    """A link, `written[start:end]` of the text. `host` is its wire form (lower case, punycode, IP addresses in their
    usual form), `domain` what somebody has registered of it. `mail` is an address `user@host` without a scheme."""

    start: int
    end: int
    written: str
    host: str
    domain: str
    kind: Kind
    disguises: tuple[Disguise, ...] = ()

    @property
    def shown(self) -> str:
        """The host in letters."""
        return shown_host(self.host)


# Top-level domains that people say and write aloud; with all of them "au point de" or "fini. It" would be links.
_ALOUD = r"(?:com|net|org|info|biz|xyz|top|online|site|shop|co\.uk|com\.br|ru|рф|ком|ру)(?![\w-])"
# behind a full stop a sentence begins, and with a capital
_ALOUD_SMALL = rf"(?=(?-i:[a-zр]|COM\b|NET\b|ORG\b)){_ALOUD}"
_DOT_WORDS = r"(?:dot|d0t|point|punkt|punto|ponto|kropka|nokta|точка)"
_DOT = (
    r"(?:[.\u3002](?=\w)"
    rf"|\s{{0,2}}[\[({{<]\s?(?:[.\u3002]|{_DOT_WORDS})\s?[\])}}>]\s{{0,2}}"
    rf"|\s{{1,3}}(?:dot|d0t|точка)\s{{1,3}}(?={_ALOUD})"
    rf"|\s{{1,2}}\.\s{{0,2}}(?={_ALOUD})"
    rf"|\.\s{{1,2}}(?={_ALOUD_SMALL}))"
)
_CANDIDATE = re.compile(
    r"(?P<scheme>(?:h(?:tt|xx|\*\*|__)p|f(?:t|x)p)s?\s?\[?:\]?\s?[/\\]{2}\s?(?P<authority>[^\s/\\?#<>\"]++))"
    rf"|(?<![\w-])(?P<host>[\w-]++(?:{_DOT}[\w-]++)+)",
    re.IGNORECASE,
)
# what every candidate has one of; most texts have none. Each begins with a sign that is found at a glance
_DOTTED = re.compile(r"[.\u3002]\w")
_SLASHED = re.compile(r"[:\]]\s?[/\\]")
_BRACKETED = re.compile(rf"[\[({{<]\s?(?:[.\u3002]|{_DOT_WORDS})\s?[\])}}>]", re.IGNORECASE)
_SAID = re.compile(r"\s(?:dot|d0t|точка)\s", re.IGNORECASE)
_PARTED = re.compile(rf"\.\s{{1,2}}{_ALOUD}", re.IGNORECASE)
_SAYABLE = ("dot", "d0t", "точка")
_DOTS = re.compile(_DOT, re.IGNORECASE)
_SCHEMES = ("http://", "https://", "ftp://", "ftps://")
_TAIL = re.compile(r"(?::(?P<port>\d{1,5})(?!\d))?(?P<path>[/\\?#][^\s<>\"«»]*+)?")
_CLOSING = ".,;:!?)]}'’”…»、。"
_USER = re.compile(r"[\w.+%-]{1,64}@$")
_ASCII_HEAD = re.compile(r"[a-z0-9-]+", re.IGNORECASE | re.ASCII)
# scripts that write no spaces: what stands before a name is a sentence and no part of it
_UNSPACED = regex.compile(
    r"^[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]+(?=[A-Za-z0-9][\w-]*$)"
)
_LATIN = regex.compile(r"\p{Latin}")
_LOOKS_LATIN = regex.compile(r"[\p{Cyrillic}\p{Greek}\p{Armenian}\p{Cherokee}]")
_NO_LABEL = re.compile(r"^[-_]+|[-_]+$")
_LONGEST = 1_000  # of a candidate: a host has 253 characters


def find_links(written: str, unveiled: Unveiled | None = None) -> tuple[Link, ...]:
    """All links of a text, in their order; `unveiled` if the caller has it already."""
    seen = unveiled or unveil(written)
    text = seen.text
    if not may_have_links(text):
        return ()
    found: list[Link] = []
    gaps = sorted(seen.gaps)
    position = 0
    while (match := _CANDIDATE.search(text, position)) is not None:
        link, position = _read(match, written, seen, gaps)
        if link is not None:
            found.append(link)
    return tuple(found)


def may_have_links(text: str) -> bool:
    if _DOTTED.search(text) is not None:
        return True
    if ("/" in text or "\\" in text) and _SLASHED.search(text) is not None:
        return True
    if _BRACKETED.search(text) is not None or ("." in text and _PARTED.search(text) is not None):
        return True
    small = text.lower()
    return any(word in small for word in _SAYABLE) and _SAID.search(text) is not None


def _read(match: re.Match[str], written: str, seen: Unveiled, gaps: list[int]) -> tuple[Link | None, int]:
    """The link of a candidate, and where to go on."""
    text, end = seen.text, match.end()
    group = "authority" if match["scheme"] else "host"
    name_start = match.start(group)
    if end - name_start > _LONGEST:
        return None, end
    if group == "host" and text[end : end + 1] == "@":
        return None, end  # the user of an address: the host comes next
    user, host, port, name_end = _split(match[group], name_start) if match["scheme"] else ("", match[group], "", end)
    name_start = name_end - len(host) if match["scheme"] else name_start
    placed = _place(host, name_start, gaps, loose=bool(match["scheme"]))
    if placed is None:
        return None, max(end, match.start() + 1)
    wire, domain, start, stop = placed
    disguises: list[Disguise] = []
    kind: Kind = "link"
    tail = _TAIL.match(text, stop if not port else end)
    assert tail is not None  # it matches nothing, too
    if match["scheme"]:
        start = match.start()
        spelt = match["scheme"][: match.start("authority") - match.start()].lower()
        disguises += ["scheme"] if spelt not in _SCHEMES else []
    elif start and text[start - 1] == "@" and (before := _USER.search(text, max(0, start - 65), start)):
        start = before.start()
        hides = tail["path"] is not None and "." in before[0] and is_top_level(before[0][:-1].rpartition(".")[2])
        kind, user = ("link", before[0]) if hides else ("mail", "")
    port = port or tail["port"] or ""
    full_stop = max(stop, tail.start() + len(tail[0].rstrip(_CLOSING)))
    disguises += ["userinfo"] if user else []
    disguises += ["port"] if port not in ("", "80", "443") else []
    disguises += _disguises(host, wire)
    if _cut(text, start, full_stop, gaps):
        disguises.append("invisible")
    first, last = seen.at[start], seen.at[full_stop - 1] + 1
    if text is not written and "invisible" not in disguises:
        raw = written[seen.at[name_start] : seen.at[stop - 1] + 1]
        disguises += ["compatibility"] if raw != text[name_start:stop] else []
    return Link(first, last, written[first:last], wire, domain, kind, tuple(disguises)), max(full_stop, end)


def _cut(text: str, start: int, end: int, gaps: list[int]) -> bool:
    """Whether something invisible stands within the link, or between it and a letter: around a link it is common where
    one writes from right to left."""
    for gap in gaps[bisect_left(gaps, start) : bisect_left(gaps, end + 1)]:
        if start < gap < end or (text[gap - 1 : gap].isalnum() and text[gap : gap + 1].isalnum()):
            return True
    return False


def _split(authority: str, start: int) -> tuple[str, str, str, int]:
    """(user, host, port, end of the host) of `user@host:port`."""
    user, at, rest = authority.rpartition("@")
    offset = start + len(user) + len(at)
    if rest.startswith("["):
        host = rest[: rest.find("]") + 1] or rest
        return user, host, "", offset + len(host)
    host, _, port = rest.partition(":")
    digits = re.match(r"\d{0,5}", port, re.ASCII)
    return user, host, digits[0] if digits else "", offset + len(host)


def _place(host: str, start: int, gaps: list[int], *, loose: bool) -> tuple[str, str, int, int] | None:
    """(wire form, registered domain, start, end) of the host in a candidate; None if there is none.

    `loose`: it stood behind a scheme, where names without a known ending and odd spellings are hosts, too.
    """
    if loose and (address := ip_address(unquote(host).rstrip(".,;:!?)"))) is not None:
        return address, address, start, start + len(host)
    pieces = _pieces(host, start)
    if len(pieces) == 4 and all(piece.isdigit() for piece, _ in pieces):
        found = ip_address(".".join(piece for piece, _ in pieces))
        return None if found is None else (found, found, pieces[0][1], _after(pieces))
    while len(pieces) > 1 and (cut := _ending(pieces[-1], gaps)) is None:
        if loose and len(pieces) == 2 and _ending(pieces[0], gaps) is None:
            break
        pieces.pop()
    else:
        if len(pieces) > 1 and cut is not None:
            pieces[-1] = cut
    address = ".".join(piece for piece, _ in pieces)
    if not loose and (len(pieces) < 2 or _ending(pieces[-1], []) is None):
        return None
    if not pieces or len(address) > 3 * MAX_HOST:  # percent-encoded at most
        return None
    label, at = pieces[-1]
    if not loose and not label.isascii() and host[at - start - 1] == "\u3002":
        return None  # a full stop between two sentences
    wire = ascii_host(unquote(address) if loose else address)
    if wire is None:
        return None
    domain = registrable(wire)
    if domain is None and not loose:
        return None
    return wire, domain or wire, pieces[0][1], _after(pieces)


def _after(pieces: list[tuple[str, int]]) -> int:
    label, at = pieces[-1]
    return at + len(label)


def _pieces(host: str, start: int) -> list[tuple[str, int]]:
    """The labels of a host with their places; without hyphens and underlines around them, and without a sentence of a
    script that writes no spaces in front."""
    pieces: list[tuple[str, int]] = []
    begin = 0
    for dot in [*_DOTS.finditer(host), None]:
        label = host[begin : dot.start() if dot else len(host)]
        lead = len(label) - len(label.lstrip("-_"))
        if not pieces and (sentence := _UNSPACED.match(label)):
            lead = sentence.end()
        pieces.append((_NO_LABEL.sub("", label[lead:]), start + begin + lead))
        begin = dot.end() if dot else begin
    return [piece for piece in pieces if piece[0]]


def _ending(piece: tuple[str, int], gaps: list[int]) -> tuple[str, int] | None:
    """The label as far as it is a top-level domain: as a whole, up to something invisible, or up to other letters."""
    label, at = piece
    if len(label) <= MAX_LABEL and is_top_level(label):
        return piece
    near = gaps[bisect_left(gaps, at + 1) : bisect_left(gaps, at + min(len(label), MAX_LABEL))]
    cuts = [gap - at for gap in reversed(near)]
    if (head := _ASCII_HEAD.match(label)) is not None and head.end() < len(label) and not label[head.end()].isascii():
        cuts.append(head.end())
    return next(((label[:cut], at) for cut in cuts if cut <= MAX_LABEL and is_top_level(label[:cut])), None)


def _disguises(host: str, wire: str) -> list[Disguise]:
    """What the spelling of a host hides."""
    found: list[Disguise] = []
    if any(dot[0] not in ".\u3002" for dot in _DOTS.finditer(host)):
        found.append("dot")
    if "%" in host:
        found.append("percent")
    if wire[-1].isdigit() or ":" in wire:
        found.append("ip")
    if "xn--" in host.lower():
        found.append("punycode")
    if any(_LATIN.search(label) and _LOOKS_LATIN.search(label) for label in shown_host(wire).split(".")):
        found.append("mixed_scripts")
    return found
