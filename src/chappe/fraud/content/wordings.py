"""The words of known frauds, by language: a score, never a verdict by itself. Pure; the words are in `wordings.csv`.

A wording is met when the text has a word of each of its three columns: what it is about, what is asked, why it
hurries. Such texts are sent honestly, too, which is why the usual policy has somebody look at them and no more.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib import resources

from msgspec import Struct

from chappe.fraud.content.brands import plain
from chappe.fraud.content.memo import Memo


class Wording(Struct, frozen=True):
    """A fraud in a language: the words of which a text must have one each."""

    fraud: str
    language: str
    needs: tuple[frozenset[str], ...]
    score: int


@cache
def all_wordings() -> tuple[Wording, ...]:
    with resources.files(__package__).joinpath("wordings.csv").open(encoding="utf-8") as lines:
        return tuple(
            Wording(
                row["fraud"],
                row["language"],
                tuple(frozenset(map(plain, row[part].split())) for part in ("first", "second", "third")),
                int(row["score"]),
            )
            for row in csv.DictReader(lines)
        )


@cache
def _by_first() -> dict[str, list[Wording]]:
    found: defaultdict[str, list[Wording]] = defaultdict(list)
    for wording in all_wordings():
        for word in wording.needs[0]:
            found[word].append(wording)
    return dict(found)


@cache
def _needed() -> frozenset[str]:
    return frozenset(word for wording in all_wordings() for part in wording.needs for word in part)


def _known(word: str) -> str:
    """The plain form of a word that stands in a wording, else nothing."""
    found = "" if len(word) >= 40 or word.isdigit() else plain(word)
    return found if found in _needed() else ""


_KNOWN = Memo(_known)


def wordings_in(words: Iterable[str]) -> tuple[Wording, ...]:
    """The wordings that a text of these words meets."""
    plains = set(map(_KNOWN.__getitem__, words))
    candidates = {id(one): one for word in plains for one in _by_first().get(word, ())}
    met = [one for one in candidates.values() if all(not plains.isdisjoint(part) for part in one.needs[1:])]
    return tuple(sorted(met, key=lambda one: (one.fraud, one.language)))
