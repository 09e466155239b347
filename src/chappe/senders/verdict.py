"""May this account send from this address to that country? Pure; asked for every message.

`check` answers from memory: one dict access for a sender and country that were asked about today. `findings` works it
out and tells everything, also what only warns. `choose` turns what a message says (nothing, an address, a pool) into
an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, Protocol

from msgspec import Struct

from chappe import numbers
from chappe.errors import Refused
from chappe.senders.kinds import Kind, kind_of
from chappe.senders.model import Book, Sender, canonical
from chappe.senders.pools import PREFIX, Ring
from chappe.senders.rules import DAY_MS, Rule, rules_of, word_of
from chappe.senders.ten_dlc import barrier
from chappe.text import check_alphanumeric, sender_kind

MOST_VERDICTS = 262_144  # about 60 MB when full; the oldest go
_UNKNOWN: Any = object()


class Policy(Protocol):
    """What `check` must know of an account's settings."""

    @property
    def any_sender(self) -> bool: ...


class Holder(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def default_sender(self) -> str | None: ...

    @property
    def settings(self) -> Policy: ...


class Finding(Struct, frozen=True):
    """One thing to say of a sender in a country: a refusal or a warning, its code, and the rule behind it if any."""

    verdict: Literal["refused", "warning"]
    code: str
    message: str
    rule: Rule | None = None


def check(
    book: Book, account: Holder, sender: str, country: str | None, now: int, purpose: str = "transactional"
) -> Refused | None:
    """Why the account may not send from this address to this country, as a value; None if it may.

    `now` in milliseconds picks the rules in force. Codes: sender_not_allowed, sender_invalid, sender_not_registered,
    sender_against_rules, sender_lookalike.
    """
    if book.day != now // DAY_MS:
        _turn(book, now)
    key = (account.id, account.settings.any_sender, sender, country, purpose == "marketing")
    verdict = book.verdicts.get(key, _UNKNOWN)
    if verdict is _UNKNOWN:
        found = findings(book, account, sender, country, now, purpose)
        refused = next((one for one in found if one.verdict == "refused"), None)
        verdict = None if refused is None else Refused(refused.code, refused.message, param="from")
        if len(book.verdicts) >= MOST_VERDICTS:
            del book.verdicts[next(iter(book.verdicts))]
        book.verdicts[key] = verdict
    return verdict  # type: ignore[no-any-return]


def choose(
    book: Book, account: Holder, asked: str | None, country: str, digits: str, now: int, purpose: str
) -> str | Refused | None:
    """The address that a message to a number (country, digits) goes out from: what it asks for, else the account's
    default for the country, else its default. A pool is asked for the member that this person always meets.

    None if nobody says; a Refused (sender_not_allowed) for a pool that is none, or has no member for this country.
    """
    sender = asked or book.default(account.id, country) or account.default_sender
    if sender is None or not sender.startswith(PREFIX):
        return sender
    pool = book.pool(account.id, sender[len(PREFIX) :])
    if pool is None:
        return Refused("sender_not_allowed", f"There is no pool {sender[len(PREFIX) :]}.", param="from")
    if book.day != now // DAY_MS:
        _turn(book, now)
    key = (pool.id, account.settings.any_sender, country, purpose == "marketing")
    ring = book.rings.get(key)
    if ring is None:
        members = [book.get(account.id, number) for number in pool.sender_ids]
        usable = [
            one.address for one in members if one and not check(book, account, one.address, country, now, purpose)
        ]
        ring = book.rings[key] = Ring(usable)
    chosen = ring.choose(digits)
    if chosen is None:
        return Refused(
            "sender_not_allowed", f"No sender of the pool {pool.name} may be used to {country}.", param="from"
        )
    return chosen


def findings(
    book: Book,
    account: Holder,
    address: str,
    country: str | None,
    now: int,
    purpose: str = "transactional",
    operator: str | None = None,
) -> list[Finding]:
    """Everything there is to say of a sender to a country, the refusals of the account first."""
    known = book.find(account.id, address)
    return [
        *_ownership(known, account, address, country),
        *_rules(book, known, address, country or "", now, purpose, operator),
        *(_lookalike(book, account.id, address, country) if known is None else ()),
    ]


def fault(address: str) -> Refused | None:
    """What is wrong with an address as such, as a value; None for a usable one."""
    kind = sender_kind(address)
    if kind in ("numeric", "short_code"):
        return None
    error = check_alphanumeric(address)
    return None if error is None else Refused("sender_invalid", error.message, param="from")


# -- one kind of finding after the other ---------------------------------------------------------------------------


def _ownership(known: Sender | None, account: Holder, address: str, country: str | None) -> Iterator[Finding]:
    words = None
    if known is None:
        if not account.settings.any_sender:
            words = f"{address} is not a sender of this account."
        elif wrong := fault(address):
            yield Finding("refused", wrong.code, wrong.message)
    elif known.status == "review":
        words = f"The sender {address} looks like a protected name and waits for the operator's review."
    elif known.status != "active":
        words = f"The sender {address} is suspended."
    elif known.countries and country not in known.countries:
        words = f"{address} may not be used to {country or 'this number'}."
    if words is not None:
        yield Finding("refused", "sender_not_allowed", words)


def _rules(
    book: Book, known: Sender | None, address: str, country: str, now: int, purpose: str, operator: str | None
) -> Iterator[Finding]:
    kind: Kind = known.kind if known is not None else kind_of(address)[0]
    bare = canonical(address)
    for rule in rules_of(country, now):
        if rule.concerns(kind, bare):
            yield from _form(rule, bare, country, purpose)
            if rule.allowed == "register":
                yield from _registration(book, rule, known, address, country, now, operator)
    word = word_of(country, bare) if kind == "alphanumeric" else None
    if word is not None:
        words = f"{address} is too general a name in {_place(country)} ({word.source})."
        yield Finding("warning" if word.confidence == "L" else "refused", "sender_against_rules", words)


def _form(rule: Rule, bare: str, country: str, purpose: str) -> Iterator[Finding]:
    """What the rule says of every sender of its kind, and of this spelling."""
    blocks: Literal["refused", "warning"] = "refused" if rule.sure else "warning"
    wrong = None
    if rule.allowed == "no":
        wrong = "is not carried"
    elif rule.allowed == "replaced":
        yield Finding("warning", "sender_against_rules", _told(rule, bare, country, "arrives changed"), rule)
    elif rule.minimum and len(bare) < rule.minimum:
        wrong = f"is shorter than {rule.minimum} characters"
    elif rule.maximum and len(bare) > rule.maximum:
        wrong = f"is longer than {rule.maximum} characters"
    elif rule.pattern and not re.fullmatch(rule.pattern, bare):
        wrong = "is not of the form that is taken"
    elif purpose == "marketing" and not bare.startswith(rule.promo_prefix):
        wrong = f"must start with {rule.promo_prefix} in promotional messages"
    elif purpose == "marketing" and not bare.endswith(rule.promo_suffix):
        wrong = f"must end with {rule.promo_suffix} in promotional messages"
    if wrong is not None:
        yield Finding(blocks, "sender_against_rules", _told(rule, bare, country, wrong), rule)


def _registration(
    book: Book, rule: Rule, known: Sender | None, address: str, country: str, now: int, operator: str | None
) -> Iterator[Finding]:
    """An account that may use any address answers for them itself: there is no sender to register."""
    if known is not None and rule.kind == "ten_dlc":
        why = barrier(*book.campaign(known))
    elif known is not None and book.registered(known.id, country, now, operator):
        why = None
    else:
        why = f"it has no approved registration ({rule.register})"
    if why is None:
        return
    strict = {"off": "", "high": "H", "medium": "HM"}[book.enforcement.registration]
    blocks = known is not None and rule.confidence in strict
    words = _told(rule, address, country, f"may not be used: {why}")
    yield Finding("refused" if blocks else "warning", "sender_not_registered", words, rule)


def _lookalike(book: Book, account_id: int, address: str, country: str | None) -> Iterator[Finding]:
    """Of addresses that nobody looked at when they were registered."""
    if sender_kind(address) != "alphanumeric":
        return
    rival = book.names.rival(account_id, address, (country,) if country else ())
    if rival is not None:
        words = f"{address} looks like {rival.name}, which is protected."
        yield Finding("refused", "sender_lookalike", words)


def _told(rule: Rule, address: str, country: str, what: str) -> str:
    return f"To {_place(country)}: {address} {what}. {rule.note} (Rule {rule.name}; source: {rule.source}.)"


def _place(country: str) -> str:
    found = numbers.country(country)
    return found.name if found else country


def _turn(book: Book, now: int) -> None:
    """A new day: other rules may be in force."""
    book.day = now // DAY_MS
    book.verdicts.clear()
    book.rings.clear()


__all__ = ["Finding", "Holder", "Policy", "check", "choose", "fault", "findings"]
