"""The data of this room as values: keywords, the words around them, sentences."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from chappe.consent.keywords.spelling import plain, unaccented

Kind = Literal["stop", "help", "start"]


class Keyword(Struct, frozen=True):
    """One row. `countries` (ISO 3166; none: all) are those where it is heard. `place`: `first` is heard as the first of
    up to three words, `whole` only as all there is. `clear`: it means nothing else, so that a slip is forgiven and a
    longer text that begins with it is looked at. `weak`: it only means what its kind says in answer to a question."""

    keyword: str
    kind: Kind
    languages: tuple[str, ...]
    countries: tuple[str, ...]
    place: Literal["first", "whole"]
    clear: bool
    weak: bool
    source: str
    confidence: Literal["high", "medium", "low"]

    def heard_in(self, country: str) -> bool:
        """Where it is not known where somebody lives, only what is heard everywhere."""
        return not self.countries or country in self.countries


class Words(NamedTuple):
    """What stands around keywords. `polite` leads from a phrase, in words, to its language."""

    polite: Mapping[tuple[str, ...], str]
    another: frozenset[str]
    goes_on: tuple[str, ...]
    unless: re.Pattern[str]


@cache
def table() -> Sequence[Keyword]:
    """All keywords. Raises ValueError for a file that contradicts itself."""
    found: dict[str, Keyword] = {}
    for row in _rows("keywords.csv"):
        lists = {name: tuple(row[name].split()) for name in ("languages", "countries")}
        flags = {name: row[name] == "yes" for name in ("clear", "weak")}
        one = msgspec.convert(row | lists | flags, Keyword)
        if not (one.source and plain(one.keyword)) or plain(one.keyword) in found:
            raise ValueError(f"{one.keyword}: no source, nothing to hear, or twice")
        found[plain(one.keyword)] = one
    return tuple(found.values())


@cache
def by_spelling() -> Mapping[str, Keyword]:
    """Keywords by what `plain` makes of them."""
    return {plain(one.keyword): one for one in table()}


@cache
def words() -> Words:
    texts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in _rows("words.csv"):
        texts[row["kind"]].append((row["language"], row["text"]))
    return Words(
        {tuple(plain(text).split()): language for language, text in texts["polite"]},
        frozenset(plain(text) for _, text in texts["another"]),
        tuple(plain(text) + " " for _, text in texts["goes_on"]),
        _any(text for _, text in texts["unless"]),
    )


@cache
def sentences() -> Mapping[str, re.Pattern[str]]:
    """By language, what a text says that refuses."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in _rows("sentences.csv"):
        assert row["source"]
        found[row["language"]].append(row["pattern"])
    return {language: _any(patterns) for language, patterns in found.items()}


def _any(patterns: Iterator[str] | Sequence[str]) -> re.Pattern[str]:
    """One of these, as whole words; languages without spaces have no words in that sense."""
    spelt = [_spelt(pattern) for pattern in patterns]
    return re.compile("|".join(f"(?:{one})" if _CJK.search(one) else rf"\b(?:{one})\b" for one in spelt))


def _spelt(pattern: str) -> str:
    """A pattern in the spelling of `plain`. Its own signs have no accents, and its classes are small: `\\w`."""
    return unaccented(pattern)


_CJK = re.compile("[\u3400-\u9fff]")


def _rows(name: str) -> Iterator[dict[str, str]]:
    with resources.files(__package__).joinpath(name).open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)
