"""What texts have in common that are one for a reviewer: the same words and findings, whoever is greeted. Pure.

Masked are digits, what stands behind the host of a link, and a name behind a greeting. What was found in a text
(domains, telephone numbers, protected names, wallets) is part of the digest as it was found: a text with another number
is another text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from chappe.fraud.content import Finding
from chappe.text.invisible import unveil
from chappe.text.urls import find_links

_DIGIT = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")
_GREETINGS = (
    "hi|hello|hey|dear|good morning|good evening|bonjour|bonsoir|salut|coucou|cher|chère|hallo|guten tag|guten morgen|"
    "liebe|lieber|sehr geehrter?|hola|buenos días|estimad[oa]|querid[oa]|ciao|buongiorno|gentile|car[oa]|olá|bom dia|"
    "prezad[oa]|dag|beste|geachte|hej|hei|god dag|kære|kjære|cześć|dzień dobry|witaj|ahoj|dobrý den|szia|kedves|salut|"
    "bună|merhaba|sayın|sevgili|привет|здравствуйте|добрый день|уважаем(?:ый|ая)|дорог(?:ой|ая)|γεια σου|αγαπητ[έή]|"
    "привіт|вітаємо|шановн(?:ий|а)"
)
# "Hi Anna," "Bonjour Marie-Claire !" "Sehr geehrte Frau Dr. Weber,": a greeting and up to four words
_GREETED = re.compile(rf"\s*(?P<greeting>{_GREETINGS})(?:\s[^\W\d_][\w'’.-]{{0,24}}){{1,4}}\s?(?=[,!:])", re.IGNORECASE)


def digest(text: str, findings: Sequence[Finding]) -> str:
    """32 hexadecimal digits: 128 bits of BLAKE2b (RFC 7693)."""
    made = hashlib.blake2b(masked(text).encode("utf-8", "surrogatepass"), digest_size=16)
    for found in sorted({(one.code, one.what, one.why) for one in findings}):
        made.update("\x00".join(("", *found)).encode("utf-8", "surrogatepass"))
    return made.hexdigest()


def masked(text: str) -> str:
    """The text with the same in place of what differs from one recipient to the next."""
    pieces, at = [], 0
    for link in find_links(text):
        pieces += [_plain(text[at : link.start]), f"<{link.host}>"]
        at = link.end
    whole = "".join([*pieces, _plain(text[at:])])
    greeted = _GREETED.match(whole)
    return whole if greeted is None else f"{greeted['greeting']} <name>{whole[greeted.end() :]}"


def _plain(text: str) -> str:
    return _SPACE.sub(" ", _DIGIT.sub("0", unveil(text).text))


__all__ = ["digest", "masked"]
