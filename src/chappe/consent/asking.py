"""May an account write to these persons? Asked for a whole batch, when messages are accepted and before they leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chappe.consent import store
from chappe.consent.model import No, Question, covers
from chappe.storage import Row

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SLICE = 2_000  # persons a question; a list of ten thousand is asked in five

Found = Mapping[int, Sequence[Row]]
"""By person key: what ASK has found of them."""


async def may_send(rt: Runtime, questions: Sequence[Question]) -> list[No | None]:
    """For each question None, which is yes, or why not. Raises Unavailable."""
    answers: list[No | None] = []
    for start in range(0, len(questions), SLICE):
        asked = questions[start : start + SLICE]
        found = await look(rt, asked)
        answers += [decide(found, question) for question in asked]
    return answers


async def look(rt: Runtime, questions: Iterable[Question]) -> Found:
    """What the tables have of these persons; `decide` reads it. Raises Unavailable."""
    people: set[int] = set()
    marketing: set[int] = set()
    for question in questions:
        people.add(question.person_key)
        people.add(question.everyones_key)
        if question.purpose == "marketing" and question.needs_consent:
            marketing.add(question.person_key)
    found: defaultdict[int, list[Row]] = defaultdict(list)
    if people:
        for row in await rt.store.read(store.ASK({"people": list(people), "marketing": list(marketing)})):
            found[row[0]].append(row)
    return found


def decide(found: Found, question: Question) -> No | None:
    """Pure: None is yes."""
    if not found:
        return _NOBODY_ASKED if question.purpose == "marketing" and question.needs_consent else None
    mine = found.get(question.person_key, ())
    for row in mine:
        if row[1] == 0 and _forbids(row, question):
            return _opted_out(row, "This person is not to be written to")
    for row in found.get(question.everyones_key, ()):
        if row[1] == 0 and _forbids(row, question):
            return _opted_out(row, "The operator lets nobody write to this person")
    if question.purpose != "marketing" or not question.needs_consent:
        return None
    return _agreed(mine, question)


def _forbids(row: Row, question: Question) -> bool:
    _key, _kind, _id, channel, scope, value, cover, _reason, expires_at = row
    if expires_at is not None and expires_at <= question.at:
        return False
    if channel not in ("any", question.channel) or not covers(cover, question.purpose):
        return False
    if scope == "account":
        return True
    return bool(value.removeprefix("+") == getattr(question, scope).removeprefix("+"))


def _opted_out(row: Row, words: str) -> No:
    what = {"suppression": row[2], "reason": row[7], "scope": row[4]}
    about = f" ({row[4]} {row[5]})" if row[5] else ""
    return No("opted_out", f"{words}{about}: {row[7].replace('_', ' ')}.", what)


def _agreed(rows: Iterable[Row], question: Question) -> No | None:
    """The newest word about this brand, else about all of them."""
    best: tuple[Any, ...] | None = None
    for _key, kind, entry_id, channel, purpose, brand, state, _basis, expires_at in rows:
        if kind != 1 or purpose != "marketing" or channel not in ("any", question.channel):
            continue
        if brand and brand != question.brand:
            continue
        word = (brand != "", entry_id, state, expires_at)
        if best is None or word[:2] > best[:2]:
            best = word
    if best is None:
        return _NOBODY_ASKED
    _, entry_id, state, expires_at = best
    if state != "given":
        return No("opted_out", "This person has withdrawn the consent.", {"consent": entry_id})
    if expires_at is not None and expires_at <= question.at:
        return No("consent_missing", "The consent has expired.", {"consent": entry_id})
    return None


_NOBODY_ASKED = No("consent_missing", "There is no proof that this person agreed to marketing.", {})

__all__ = ["Found", "decide", "look", "may_send"]
