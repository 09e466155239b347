"""What lint asks of others: the law and suspicious content always; prices and senders of an account where there is one.

`pure_checks` needs no server; `house_checks` are those of a running Chappe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import phonenumbers

from chappe import billing, consent, fraud, law, numbers, routing, senders
from chappe.fraud import content as firewall
from chappe.messages import roads, simulate
from chappe.messages.lint import Checks, Register, Remark, Severity
from chappe.messages.wording import HOUR_MS, Demands, demands, opt_out_page
from chappe.templates import Content
from chappe.text import sender_kind

if TYPE_CHECKING:
    from chappe.accounts import Account
    from chappe.messages.pipeline import Pipeline

_SEVERITY: dict[str, Severity] = {"block": "error", "review": "warning", "allow": "info"}


def pure_checks(
    content: Content,
    now: int,
    *,
    domains: Iterable[str] = (),
    own: law.Own = law.NOTHING,
    facts: firewall.Facts | None = None,
    page: str = "",
) -> Checks:
    """The law of the countries at `now` (milliseconds), and what the firewall sees in a text. `domains` are the
    account's; when none is named, no link is called unknown. `page`: how the addresses of opt-out pages begin."""
    known = facts or firewall.Facts(domains=frozenset(domains), purpose=content.purpose)
    named = content.sender is not None and not content.sender.startswith(senders.PREFIX)
    shape = sender_kind(content.sender) if named and content.sender else ""

    def wording(country: str, purpose: str) -> Demands:
        return demands(country, purpose, now // HOUR_MS, own, shape, content.brand or "", page)

    def register(country: str) -> Register | None:
        return _register(country, law.rules(country, now, purpose=content.purpose, own=own))

    def look(text: str, country: str) -> Iterator[Remark]:
        bans = {
            rule.value: rule for rule in law.rules(country, now, purpose=content.purpose, own=own) if rule.kind == "ban"
        }
        for one in firewall.check(text, content.sender or "", country, facts=known).findings:
            if one.code == "link_unlisted" and not known.domains:
                continue
            rule = bans.get(_BANS.get(one.code, ""))
            severity: Severity = _SEVERITY[one.action]
            if rule is not None and rule.blocks:
                severity = "warning" if one.code in _UNKNOWN else "error"
            words = one.message if rule is None else f"{one.message} {rule.note} ({rule.source})"
            yield Remark(one.code, severity, words, one.advice or None, text[one.start : one.end] or None)

    return Checks(wording=wording, register=register, content=look)


# What the firewall calls it, and what the law does
_BANS = {
    "link_shortener": "url_shorteners",
    "link_unlisted": "urls_not_listed",
    "phone_premium": "premium_numbers",
    "phone_number": "phone_numbers_not_listed",
}
_UNKNOWN = ("phone_number",)  # whether it is on the list of the operators nobody has told us


def _register(country: str, rules: Iterable[law.Rule]) -> Register | None:
    """Where texts without a template are banned, they are registered; what its figures are."""
    known = {rule.value.partition("=")[0]: rule for rule in rules if rule.kind in ("ban", "parameter")}
    banned, longest = known.get("text_without_template"), known.get("template_variable_characters")
    if banned is None and longest is None:
        return None
    most = None if longest is None else (int(longest.value.partition("=")[2]), longest.source)
    if banned is None:
        return Register(None, False, most)
    return Register(banned.source, banned.blocks, most)


def house_checks(house: Pipeline, account: Account, content: Content, locales: tuple[str, ...] = ()) -> Checks:
    """Of an account, as accepting a message would find them now."""
    now = house.rt.clock.now()
    book = senders.book(house.rt)
    sender = content.sender or account.default_sender or ""

    def quote(country: str, segments: int) -> str | None:
        return price(house, account.id, country, segments, sender=sender, purpose=content.purpose)

    def check(address: str, country: str) -> Iterator[Remark]:
        for one in senders.findings(book, account, address, country, now, content.purpose):
            yield Remark(one.code, "error" if one.verdict == "refused" else "warning", one.message)

    facts = firewall.Facts(account.id, fraud.domains(house.rt).usable(account.id), _brands(book.names), content.purpose)
    own, page = law.book(house.rt).own(account.id), opt_out_page(house.rt.settings.public_url)
    pure = pure_checks(content, now, own=own, facts=facts, page=page)
    return dataclasses.replace(
        pure,
        quote=quote,
        sender=check,
        locales=locales,
        max_parts=house.rt.settings.max_parts,
        link=consent.opt_out_link(house.rt, 0),
    )


@lru_cache(maxsize=1)
def _brands(names: senders.Names) -> firewall.Brands:
    """The protected names, as the firewall wants them."""
    return firewall.Brands(firewall.Brand(one.name, one.account_ids, one.countries, one.contained) for one in names.all)


def price(
    house: Pipeline, account_id: int, country: str, segments: int, *, sender: str = "", purpose: str = "transactional"
) -> str | None:
    """What a message to an ordinary mobile number of a country costs the account now, as `0.145 EUR`; None where it is
    not billed, where no route leads there, or where there is no price."""
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    if example is None or sender.startswith(senders.PREFIX):
        return None
    to = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    try:
        case = simulate.case_of(house, account_id=account_id, to=to, sender=sender, purpose=purpose, segments=segments)
    except numbers.NumberError:
        return None
    ask = case.ask
    decision = routing.table(house.rt).decide(ask)
    order = () if decision is None else roads.ordered(house, decision, ask, case.seed)
    connector_id = next((one for one in order if house.active(one)), None)
    if decision is None or connector_id is None:
        return None
    where = billing.Where(ask.country, ask.operator, "sms", ask.sender_kind, purpose)
    told = house.tariffs.quote(account_id, connector_id, where, segments, ask.at, allow_loss=decision.allow_loss)
    if isinstance(told, billing.Unpriced) or told.price is None:
        return None
    return f"{billing.decimal(told.price)} {told.currency}"
