"""What a text must say, and may not, by the law of the country it goes to. Pure but for `refusal` and `missing_in`.

`demands` reads the rules of a day once; `missing` holds a text against them and remembers the texts of lately. A way to
refuse is told by the opt-out link, by a keyword with the number that takes it, by a keyword that stands out, or by
words such as “unsubscribe”; which of them, and where in the text, depends on the rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from chappe import law
from chappe.consent import keywords
from chappe.messages.model import REPLY, Refusal, Submission
from chappe.templates import OPT_OUT_LINK
from chappe.text import sender_kind

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

_TAIL = 60  # characters: a text ends with what begins to end within them
_LONGEST_KEPT = 1_600  # characters, ten parts
HOUR_MS = 3_600_000

# -- ways to refuse ------------------------------------------------------------------------------------------------

# Beginnings of words that tell how to stop wherever they stand, without accents; those of other scripts may stand in
# the middle of what has no spaces
_STEMS = (
    *("unsubscri", "opt out", "opt-out", "optout", "desabonn", "desinscri", "desinscreve", "descadastr", "disiscri"),
    *("abmeld", "abbestell", "afmeld", "darse de baja", "darte de baja", "dar de baja", "odhlas", "odjav", "rezygn"),
    *("wypis", "dezabon", "leiratkoz", "avregistr", "peruuta tilaus", "iptal", "tu choi"),
)
_OTHER_STEMS = (
    *("отпис", "відпис", "отказать"),
    *("退订", "退訂", "取消订阅", "取消訂閱", "الغاء الاشتراك"),
)
# What stands in front of a keyword that is to be sent
_ASKS = re.compile(
    r"\b(?:reply|text|txt|send|sms|write|respond\w*|rispond\w*|repond\w*|envo\w+|envi\w+|invia\w*|antwort\w*|send\w*"
    r"|schreib\w*|antwoord\w*|stuur|svar\w*|skicka|odpov\w+|odpowied\w*|wyslij|posli\w*|trimite\w*|kuld\w*|gonder\w*"
    r"|mande|ответ\w*|отправ\w*|пришли\w*|надішл\w*|відправ\w*|soan|回复|回覆|ارسل)\W+(?:\w+\W+){0,2}$"
)
_NUMBER = re.compile(r"(?:\W{0,3}|\W(?:[^\W\d]{1,12}\W{1,2}){1,3})\+?\d[\d ]{1,14}\d")
_LINK = re.compile(r"(?:\W{0,3}|\W(?:\w{1,12}\W{1,2}){1,3})(?:https?://|www\.|[\w-]+\.[a-z]{2,}/)\S*")
_SPACES = {code: " " for code in range(128) if not chr(code).isalpha()}
_LETTERS = re.compile(r"[^\W\d_]+")
_MARKS = re.compile("[\u0300-\u036f\u0640\u064b-\u065f\u0670]+")


class Way(NamedTuple):
    """A way to refuse that a text tells: a `link`, a keyword with its `number`, or a `word`; it ends at `end` of the
    text without accents."""

    kind: Literal["link", "number", "word"]
    end: int


def ways_out(text: str, own: Collection[str] = (), page: str = "") -> Iterator[Way]:
    """All ways that a text tells, the surest first. `own` are more keywords, `page` is how the addresses of opt-out
    pages begin."""
    plain = unaccented(text)
    yield from _linked(plain, OPT_OUT_LINK)
    if page:
        yield from _linked(plain, page)
    low = plain.lower()
    words = {*(low.translate(_SPACES).split() if low.isascii() else _LETTERS.findall(low))}
    known = _stops() if not own else _stops() | {unaccented(word).lower(): True for word in own}
    for word in known.keys() & words:
        yield from _keyword(plain, low, word, known[word])
    heads = {word[:_HEAD] for word in words}
    for stem in _STEMS if not heads.isdisjoint(_HEADS) else ():
        yield from _stemmed(plain, low, stem)
    for stem in _OTHER_STEMS if not plain.isascii() else ():
        yield from _stemmed(plain, low, stem)


_HEAD = 3  # letters by which a text is found to have none of the stems
_HEADS = frozenset(re.split(r"\W", stem)[0][:_HEAD] for stem in _STEMS)


def _linked(plain: str, link: str) -> Iterator[Way]:
    at = plain.find(link)
    if at >= 0:
        end = plain.find(" ", at)
        yield Way("link", len(plain) if end < 0 else end)


def _keyword(plain: str, low: str, word: str, clear: bool) -> Iterator[Way]:
    """`STOP to 36111`, `Stop: https://...`, STOP in capitals, `reply stop`. Keywords that are also ordinary words count
    only behind a verb, or in capitals beside a number: an `order no 12345` is none."""
    for start, end in _places(low, word):
        way = _behind(plain, end)
        told = (way.kind != "word") + plain[start:end].isupper()
        if told >= (1 if clear else 2) or _ASKS.search(low, max(0, start - 40), start):
            yield way


def _stemmed(plain: str, low: str, stem: str) -> Iterator[Way]:
    at = low.find(stem)
    if at >= 0:
        end = at + len(stem)
        while end < len(plain) and plain[end].isalpha():
            end += 1
        yield _behind(plain, end)


def _behind(plain: str, end: int) -> Way:
    """`unsubscribe: https://...` tells more than the word alone."""
    for kind, pattern in _BEHIND:
        behind = pattern.match(plain, end)
        if behind is not None:
            return Way(kind, behind.end())
    return Way("word", end)


def _places(low: str, word: str) -> Iterator[tuple[int, int]]:
    """Where a word stands with no letter beside it."""
    start = low.find(word)
    while start >= 0:
        end = start + len(word)
        if not low[start - 1 : start].isalpha() and not low[end : end + 1].isalpha():
            yield start, end
        start = low.find(word, end)


_BEHIND: tuple[tuple[Literal["link", "number"], re.Pattern[str]], ...] = (("link", _LINK), ("number", _NUMBER))


@cache
def _stops() -> dict[str, bool]:
    """The keywords of one word that are heard, and whether each is clear by itself."""
    stops = [one for one in keywords.table() if one.kind == "stop"]
    single = [one for one in stops if one.keyword.isalpha()]
    return {unaccented(one.keyword).lower(): one.place == "first" and not one.weak for one in single}


def unaccented(text: str) -> str:
    """As long as it is, but for accents and what is written in several shapes."""
    return text if text.isascii() else _MARKS.sub("", unicodedata.normalize("NFKD", text))


# -- what is asked -------------------------------------------------------------------------------------------------


class Demand(NamedTuple):
    """What a rule asks of a text at its place: a way out (any, or one with number or link), or one of these phrases;
    `sure`: a text without it is refused. `code` is what lint calls it."""

    code: str
    phrases: tuple[str, ...]
    place: law.Place
    sure: bool
    rule: str
    source: str
    note: str
    suggestion: str
    strict: bool = False


class Demands:
    """Of a country and a purpose on one day. Told apart by identity."""

    __slots__ = ("all", "banned", "keywords", "page", "words")

    def __init__(
        self,
        all_: Iterable[Demand] = (),
        *,
        keywords: Iterable[str] = (),
        page: str = "",
        banned: Iterable[Banned] = (),
    ) -> None:
        self.all = tuple(all_)
        self.keywords = tuple(keywords)
        self.page = page
        self.banned = {one.word.casefold(): one for one in banned}
        words = "|".join(map(re.escape, sorted(self.banned, key=len, reverse=True)))
        self.words = re.compile(rf"(?<!\w)(?:{words})(?!\w)") if words else None

    def __bool__(self) -> bool:
        return bool(self.all) or self.words is not None


class Banned(NamedTuple):
    """A word that is not let through."""

    word: str
    sure: bool
    source: str
    rule: str = ""


class Missing(NamedTuple):
    """What a text lacks, or has and may not have."""

    code: str
    rule: str
    message: str
    suggestion: str
    sure: bool


HOW_TO_STOP = f"Add how to stop them, such as “STOP to 36111”, or the link {OPT_OUT_LINK}."
_PLACES = {"start": " at the start", "end": " at the end"}
# Act 480/2004 (CZ) asks for a clear mark and names none; a signature stands in such brackets (Alibaba Cloud SMS)
_SIGNS = {"commercial_mark": ("OS:", "obchodní sdělení", "obch. sdělení"), "signature": ("【",)}


@lru_cache(maxsize=4_096)
def demands(
    country: str, purpose: str, hour: int, own: law.Own = law.NOTHING, shape: str = "", brand: str = "", page: str = ""
) -> Demands:
    """In force in an hour (since the epoch). `shape` of the sender: whoever writes under a name has said it; `brand` is
    the name that a text from a number must say, where it is known."""
    rules = law.rules(country, hour * HOUR_MS, purpose=purpose, own=own)
    asked = [one for rule in rules if rule.kind == "wording" and (one := _demand(rule, shape, brand)) is not None]
    return Demands(
        asked,
        keywords=[rule.value for rule in rules if rule.kind == "keyword"],
        page=page,
        banned=[Banned(rule.value, rule.blocks, rule.source, rule.name) for rule in rules if rule.kind == "word"],
    )


def _demand(rule: law.Rule, shape: str, brand: str) -> Demand | None:
    """None where a text cannot tell."""
    where = _PLACES.get(rule.place, "")
    told = (rule.place, rule.blocks, rule.name, rule.source, rule.note)
    if rule.value in ("opt_out", "stop_short_code"):
        return Demand("opt_out_missing", (), *told, HOW_TO_STOP, rule.value == "stop_short_code")
    if rule.value == "sender_name":
        if shape == "alphanumeric" or not brand:
            return None
        return Demand("sender_name_missing", (brand,), *told, f"Write {brand} into it.")
    phrases = _SIGNS.get(rule.value) or rule.literals
    words = " or ".join(f"“{phrase}”" for phrase in phrases)
    return Demand("wording_missing", phrases, *told, f"Write {words}{where}.")


# -- what a text lacks ---------------------------------------------------------------------------------------------


def missing(text: str, asked: Demands) -> tuple[Missing, ...]:
    """Everything, in the order of the rules."""
    if not asked:
        return ()
    return _kept(text, asked) if len(text) <= _LONGEST_KEPT else judged(text, asked)


def judged(text: str, asked: Demands) -> tuple[Missing, ...]:
    """`missing` without a memory."""
    found = [
        Missing(one.code, one.rule, f"{one.note} ({one.source})", one.suggestion, one.sure)
        for one in unmet(text, asked)
    ]
    for word, one in spoken(text, asked):
        words = f"“{word}” is not let through ({one.source})."
        found.append(Missing("word_forbidden", one.rule, words, "Use another word.", one.sure))
    return tuple(found)


_kept = lru_cache(maxsize=8_192)(judged)


def unmet(text: str, asked: Demands) -> list[Demand]:
    """The demands that a text does not meet."""
    found = [one for one in asked.all if not one.phrases or not _says(text, one)]
    if all(one.phrases for one in found):
        return found
    for way in ways_out(text, asked.keywords, asked.page):
        found = [one for one in found if one.phrases or not _fits(way, one, len(text))]
        if all(one.phrases for one in found):
            break
    return found


def spoken(text: str, asked: Demands) -> Iterator[tuple[str, Banned]]:
    """Each word that is not let through, once, as it is written."""
    if asked.words is None:
        return
    folded = text.casefold()
    for word in dict.fromkeys(asked.words.findall(folded)):
        at = folded.find(word)
        written = text[at : at + len(word)] if len(folded) == len(text) else word
        yield written, asked.banned[word]


def _fits(way: Way, demand: Demand, length: int) -> bool:
    return not (demand.strict and way.kind == "word") and (demand.place != "end" or way.end >= length - _TAIL)


def _says(text: str, demand: Demand) -> bool:
    plain = unaccented(text).casefold().strip()
    for phrase in demand.phrases:
        folded = unaccented(phrase).casefold()
        if demand.place == "start":
            if plain.startswith(folded):
                return True
        elif folded in (plain[-_TAIL - len(folded) :] if demand.place == "end" else plain):
            return True
    return False


def opt_out_page(public_url: str | None) -> str:
    """How the addresses of opt-out links begin; "" where there are none."""
    return "" if public_url is None else f"{public_url}/o/"


# -- while a message is taken --------------------------------------------------------------------------------------


def missing_in(
    house: Pipeline, submission: Submission, country: str, text: str | None, now: int, *, sender: str | None = None
) -> tuple[Missing, ...]:
    """What the text of a submission lacks by the rules in force; `sender` is what it leaves from. Binary data and our
    own answers lack nothing."""
    if text is None or submission.origin == REPLY:
        return ()
    own, page = law.book(house.rt).own(submission.account_id), opt_out_page(house.rt.settings.public_url)
    shape = sender_kind(sender) if sender else ""
    return missing(text, demands(country, submission.purpose, now // HOUR_MS, own, shape, "", page))


def refusal(
    house: Pipeline, submission: Submission, country: str, text: str | None, now: int, *, sender: str | None = None
) -> Refusal | None:
    """Why a text may not go: a word that account or operator forbid, or, of marketing, wording that a rule surely asks
    for. The account's setting `wording` says whether that refuses."""
    found = missing_in(house, submission, country, text, now, sender=sender)
    if not found:
        return None
    account = house.accounts.account(submission.account_id)
    strict = account is not None and account.settings.wording == "refuse" and submission.purpose == "marketing"
    for one in found:
        if one.sure and (strict or one.code == "word_forbidden"):
            code = "word_forbidden" if one.code == "word_forbidden" else "wording_missing"
            return Refusal(code, f"{country}: {one.message} {one.suggestion} [{one.rule}]", "text")
    return None


__all__ = [
    "HOUR_MS",
    "HOW_TO_STOP",
    "Banned",
    "Demand",
    "Demands",
    "Missing",
    "Way",
    "demands",
    "judged",
    "missing",
    "missing_in",
    "opt_out_page",
    "refusal",
    "spoken",
    "unaccented",
    "unmet",
    "ways_out",
]
