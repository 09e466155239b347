"""The texts of replies. Pure.

`texts.csv` has one for each language, and for countries where more is asked: the programme's name, the help contact and
the charges in the United States (CTIA, Short Code Monitoring Handbook), both languages in Canada (Canadian Common
Short Code guidelines). They say what was done and nothing else: a confirmation may hold no marketing (47 CFR
64.1200(a)(12)). `languages.csv` tells the language of a country whose people are asked nothing else.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Literal

from chappe import text as texts

ReplyKind = Literal["stop", "help", "start"]
DEFAULT_LANGUAGE = "en"
_SHORTEST_BRAND = 6  # characters: a name is not cut further to make a reply fit one segment


@cache
def defaults() -> Mapping[tuple[str, str, str], str]:
    """By language, country (empty: any) and kind; `help_bare` is for who has told no contact."""
    return {(row["language"], row["country"], row["kind"]): row["text"] for row in _rows("texts.csv")}


@cache
def languages() -> frozenset[str]:
    return frozenset(language for language, _, _ in defaults())


def language_of(said: str, country: str) -> str:
    """The language to answer in: that of the word, else the country's."""
    if said in languages():
        return said
    return _country_languages().get(country, DEFAULT_LANGUAGE)


def compose(
    kind: ReplyKind,
    language: str,
    country: str,
    *,
    brand: str,
    contact: str = "",
    own: Mapping[tuple[str, str], str] | None = None,
) -> str:
    """The text of a reply. `own` are the account's, by kind and language (empty: any). One of ours has a single
    segment, for which a long name is cut."""
    own = own or {}
    mine = own.get((kind, language)) or own.get((kind, ""))
    if mine is not None:
        return filled(mine, brand, contact)
    name = "help_bare" if kind == "help" and not contact else kind
    known = defaults()
    text = known.get((language, country, name)) or known.get((language, "", name)) or known["en", "", name]
    for length in range(len(brand), _SHORTEST_BRAND, -1):
        made = filled(text, brand[:length].rstrip(), contact)
        if len(texts.encode(made).parts) == 1:
            return made
    return filled(text, brand, contact)


def filled(text: str, brand: str, contact: str) -> str:
    """`{brand}` and `{help}` are all that is replaced."""
    return text.replace("{brand}", brand).replace("{help}", contact)


@cache
def _country_languages() -> Mapping[str, str]:
    return {row["country"]: row["language"] for row in _rows("languages.csv")}


def _rows(name: str) -> Iterator[dict[str, str]]:
    with resources.files(__package__).joinpath(name).open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


__all__ = ["DEFAULT_LANGUAGE", "ReplyKind", "compose", "defaults", "filled", "language_of", "languages"]
