"""What a text from a phone says about further messages. Pure, linear, and never raises.

The whole message decides: a keyword alone, or first of up to three words, politeness apart. What is longer and refuses
in a sentence is for somebody to look at (`review`), and stops marketing meanwhile. A refusal wins over everything else;
nothing is taken for an opt-in that is not one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from msgspec import Struct

from chappe.consent.keywords.spelling import near, plain
from chappe.consent.keywords.table import Keyword, by_spelling, sentences, table, words

LONGEST = 1_600  # characters that are read: ten segments
FEW = 3  # words
_SHORTEST_TYPO = 4  # letters of a keyword
_MANY = 24  # polite words at most: what is longer is no keyword anyway


class Meaning(Struct, frozen=True):
    """`keyword` is what was heard in the spelling of `plain`, or the part of the text that says so. `language` is empty
    if several speak so. `weak`: only to be taken as an answer to a question."""

    kind: Literal["stop", "help", "start", "review"]
    keyword: str
    how: Literal["keyword", "typo", "own", "sentence"]
    language: str = ""
    weak: bool = False


def hear(text: str, *, country: str = "", own: Collection[str] = ()) -> Meaning | None:
    """What the text says, None if nothing of this. `country` (ISO 3166) is the writer's, `own` are the words with which
    people refuse an account besides."""
    said = plain(text[:LONGEST])
    if not said:
        return None
    rest, language = _without_manners(_parted(said).split())
    if not rest:
        return None
    return _keyword(rest, language, country, own) or _sentence(said, rest)


# -- keywords ------------------------------------------------------------------------------------------------------


def _keyword(rest: Sequence[str], language: str, country: str, own: Collection[str]) -> Meaning | None:
    phrase = " ".join(rest)
    if own and phrase in {plain(one) for one in own}:
        return Meaning("stop", phrase, "own")
    if len(rest) > max(FEW, (len(phrase) + 1) / 2):  # S T O P are four words of a letter each
        return None
    exact = _known(phrase, country) or _written_apart(rest, country)
    if exact is not None:
        return _meaning(exact, language)
    if len(rest) <= FEW and (found := _among(rest, country)) is not None:
        return _meaning(found, language)
    if len(rest) == 1 and (slip := _slip(phrase)) is not None:
        return _meaning(slip, language, "typo")
    return None


def _known(phrase: str, country: str) -> Keyword | None:
    found = by_spelling().get(phrase)
    return found if found is not None and found.heard_in(country) else None


def _written_apart(rest: Sequence[str], country: str) -> Keyword | None:
    """`un subscribe`, `S.T.O.P`: a refusal whose word was cut."""
    if len(rest) < 2:
        return None
    found = _known("".join(rest), country)
    return found if found is not None and found.kind == "stop" else None


def _among(rest: Sequence[str], country: str) -> Keyword | None:
    """A refusal that a few words begin with, or one among nothing but keywords: STOP wins."""
    for count in range(len(rest) - 1, 0, -1):
        found = _known(" ".join(rest[:count]), country)
        if found is not None and found.kind == "stop" and found.place == "first":
            return None if goes_on(rest) else found
    known = [_known(word, country) for word in rest]
    if None in known:
        return None
    return next((one for one in known if one is not None and one.kind == "stop"), None)


def goes_on(rest: Sequence[str]) -> bool:
    """Whether it begins as a refusal and is about something else: `stop by tomorrow`."""
    return " ".join((*rest, "")).startswith(words().goes_on)


def _slip(word: str) -> Keyword | None:
    """The refusal that was meant by a word with one slip, unless it is a word of its own."""
    if len(word) < _SHORTEST_TYPO - 1 or word in words().another:
        return None
    forgiving = ((plain(one.keyword), one) for one in table() if one.clear)
    return next((one for meant, one in forgiving if len(meant) >= _SHORTEST_TYPO and near(word, meant)), None)


def _meaning(found: Keyword, language: str, how: Literal["keyword", "typo"] = "keyword") -> Meaning:
    if language not in found.languages:
        language = found.languages[0] if len(found.languages) == 1 else ""
    return Meaning(found.kind, plain(found.keyword), how, language, found.weak)


# -- manners -------------------------------------------------------------------------------------------------------


def _without_manners(said: Sequence[str]) -> tuple[Sequence[str], str]:
    """What is left of the words without the polite ones at both ends, and the language of those."""
    polite, language = words().polite, ""
    longest = max(map(len, polite))
    start, end = 0, len(said)
    for _ in range(_MANY):
        before = (start, end)
        for count in range(longest, 0, -1):
            if start + count <= end and (known := polite.get(tuple(said[start : start + count]))):
                start, language = start + count, known
                break
        for count in range(longest, 0, -1):
            if start + count <= end and (known := polite.get(tuple(said[end - count : end]))):
                end, language = end - count, known
                break
        if before == (start, end):
            break
    return said[start:end], language


def _parted(said: str) -> str:
    """Chinese has no spaces: its polite words are taken apart from the others."""
    if said.isascii() or len(said) > _MANY:
        return said
    for phrase, language in words().polite.items():
        if language == "zh":
            said = said.replace(phrase[0], f" {phrase[0]} ")
    return said


# -- sentences -----------------------------------------------------------------------------------------------------


def _sentence(said: str, rest: Sequence[str]) -> Meaning | None:
    """A refusal in a text. Nothing but the refusal, in a few words, is as clear as a keyword."""
    meant = words().unless.sub("|", said)
    for language, pattern in sentences().items():
        found = pattern.search(meant)
        if found is not None:
            clear = len(rest) <= FEW and found[0] == " ".join(rest)
            return Meaning("stop" if clear else "review", found[0], "sentence", language)
    left = meant.split()
    for word in left if len(rest) <= FEW else left[:1]:
        known = by_spelling().get(word)
        if known is not None and known.clear and not goes_on(left):
            return Meaning("review", word, "sentence", _one(known))
    return None


def _one(found: Keyword) -> str:
    return found.languages[0] if len(found.languages) == 1 else ""


__all__ = ["LONGEST", "Meaning", "hear"]
