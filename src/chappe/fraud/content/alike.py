"""Texts that differ only in their numbers are judged alike: codes, amounts and the numbers of orders are most of what a
customer's texts differ in. Pure.
"""

from __future__ import annotations

import re

from chappe.fraud.content.brands import Brands
from chappe.fraud.content.premium import CALLS
from chappe.text.urls import may_have_links

_WORD = re.compile(r"\w+")
_ALONE = re.compile(r"(?<!\w)[0-9]{1,6}(?!\w)")
_LONG = re.compile(r"[0-9](?:[ .()-]*[0-9]){6}|[0-9]{7}")  # perhaps a telephone number
_CALLED = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(CALLS)))})\W*[0-9]{{3}}", re.IGNORECASE)
# nothing invisible, for that may cut a number in pieces, and digits of no other script
_READABLE = re.compile(r"[\x20-\x7e\n\r\xa0-\xac\xae-\u017f‘’“”–—…€]*")


def alike(text: str, brands: Brands) -> str:
    """The text with zeros in its numbers, if nothing that is found in it, or not found, can depend on them; else the
    text. It can if a number may be that of a telephone or of a premium service, a part of a link, or of a name."""
    if (
        _READABLE.fullmatch(text) is None
        or _LONG.search(text) is not None
        or may_have_links(text)
        or _CALLED.search(text) is not None
        or (brands and brands.begins_any(_WORD.findall(text)))
    ):
        return text
    return _ALONE.sub(_zeros, text)


def _zeros(match: re.Match[str]) -> str:
    return "0" * len(match[0])
