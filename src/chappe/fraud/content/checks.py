"""The checks: what a reading of a text means for who sends it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from chappe.fraud.content.brands import Match
from chappe.fraud.content.model import CLEAN, NO_FACTS, USUAL, Action, Decision, Facts, Finding, Policy, codes, decide
from chappe.fraud.content.premium import is_premium_short, telephone
from chappe.fraud.content.reading import Reading, read
from chappe.fraud.content.shorteners import shorteners
from chappe.text.domains import registrable
from chappe.text.urls import Link

Found = tuple[str, int, int, str, str]
"""Code, start, end, what, why."""
_HIDING = {
    "invisible": "invisible characters",
    "compatibility": "letters of other shapes",
    "scheme": "a broken scheme",
    "dot": "a dot in other signs or words",
    "userinfo": "another name in front of the host",
    "percent": "percent-encoding in the host",
    "mixed_scripts": "letters of several scripts",
}
_DOMAIN_CODES = {"exact": "link_brand", "alike": "link_lookalike", "near": "link_similar"}
_LONGEST_NAME = 60  # characters
_SHOWN = 80  # characters of what was found in a message; a text can be one long word


def check(text: str, sender: str = "", country: str = "", policy: Policy = USUAL, facts: Facts = NO_FACTS) -> Decision:
    """What is found in a text, and what is to become of it.

    `country` is where it goes (ISO, or empty: unknown), `sender` what it comes from. Never raises: a check that breaks
    is a finding of its own, which the policy judges. Texts that come again with the same facts cost a look-up.
    """
    decision = _kept if len(text) <= _LONGEST_KEPT else examine
    try:
        return decision(text, sender, country, policy, facts)
    except Exception as error:  # the firewall must not be what stops messages, unless its policy says so
        return decide([finding(("check_failed", 0, len(text), "", type(error).__name__), policy)])


def examine(text: str, sender: str, country: str, policy: Policy, facts: Facts) -> Decision:
    """As `check`, but nothing is remembered, and what breaks is raised."""
    seen = read(text)
    found = [
        *_of_links(seen, country, facts),
        *_of_writing(seen),
        *_of_brands(seen, sender, country, facts),
        *_of_numbers(text, seen, country),
        *_of_words(seen, policy, facts),
    ]
    return decide([finding(one, policy) for one in found]) if found else CLEAN


_LONGEST_KEPT = 1_600  # characters, ten parts: with 32 findings each, 2,048 such decisions have some 60 MB at worst
_kept = lru_cache(maxsize=2_048)(examine)


def finding(found: Found, policy: Policy) -> Finding:
    """What was found, explained and judged by a policy."""
    code, start, end, what, why = found
    kind = codes()[code]
    what = what if len(what) <= _SHOWN else what[: _SHOWN - 1] + "…"
    action: Action = policy.action(code)
    return Finding(code, action, start, end, what, why, kind.message.format(what=what, why=why), kind.advice)


def _of_links(seen: Reading, country: str, facts: Facts) -> Iterator[Found]:
    for link in seen.links:
        place = (link.start, link.end, link.written)
        hiding = [_HIDING[name] for name in link.disguises if name in _HIDING]
        if hiding:
            yield "link_disguised", *place, ", ".join(hiding)
        own = _is_own(link.host, facts)
        if not own and (match := _brand_of(link, country, facts)) is not None:
            yield _DOMAIN_CODES[match.how], link.start, link.end, link.shown, match.brand.name
        if link.kind == "mail":
            continue
        if "ip" in link.disguises:
            yield "link_ip", link.start, link.end, link.host, ""
        elif link.domain in shorteners() or link.host in shorteners():
            yield "link_shortener", link.start, link.end, link.host, ""
        elif not own:
            yield "link_unlisted", link.start, link.end, link.host, ""
        if "port" in link.disguises:
            yield "link_port", *place, ""


def _is_own(host: str, facts: Facts) -> bool:
    """Whether the host, or one that it is part of, is the account's."""
    if not facts.domains:
        return False
    labels = host.split(".")
    return any(".".join(labels[start:]) in facts.domains for start in range(len(labels)))


def _brand_of(link: Link, country: str, facts: Facts) -> Match | None:
    """The worst that the names in a host are taken for."""
    if not facts.brands or "ip" in link.disguises:
        return None
    return facts.brands.match_host(link.host, _names_in(link), facts.account_id, country)


def _names_in(link: Link) -> Iterator[str]:
    """The labels of a host and their parts, without its public suffix."""
    public = registrable(link.host)
    suffix = link.domain.partition(".")[2] if public else ""
    labels = link.shown.split(".")
    labels = labels[: len(labels) - (suffix.count(".") + 1 if suffix else 0)]
    yield from dict.fromkeys(name for label in labels[-6:] for name in (label, *label.split("-")) if name)


def _of_writing(seen: Reading) -> Iterator[Found]:
    for at in seen.reversed_at[:1]:
        yield "text_reversed", at, at + 1, "", ""
    for span in seen.invisible:
        yield "text_invisible", span.start, span.end, span.read, ""
    for span in seen.mixed:
        yield "text_mixed_scripts", span.start, span.end, span.read, ""


def _of_brands(seen: Reading, sender: str, country: str, facts: Facts) -> Iterator[Found]:
    brands = facts.brands
    if not brands:
        return
    if sender and (match := brands.match(sender, facts.account_id, country)) is not None:
        yield "brand_sender", 0, 0, sender, match.brand.name
    calls = any(link.kind == "link" for link in seen.links) or bool(seen.phones)
    if not brands.begins_any(seen.tokens):
        return
    told: set[tuple[str, str]] = set()
    words = seen.words()
    for index, span in enumerate(words):
        for count in range(1, brands.words(span.read) + 1):
            group = words[index : index + count]
            written = " ".join(one.read for one in group)
            match = brands.match(written, facts.account_id, country) if len(written) <= _LONGEST_NAME else None
            if match is None or (match.brand.name, match.how) in told:
                continue
            told.add((match.brand.name, match.how))
            code = "brand_disguised" if match.how == "alike" else "brand_with_call" if calls else "brand_mention"
            yield code, span.start, group[-1].end, written, match.brand.name


def _of_numbers(text: str, seen: Reading, country: str) -> Iterator[Found]:
    for one in seen.phones:
        number = telephone(one.written, one.international, country)
        if number is not None:
            code = "phone_premium" if number.line_type == "premium" else "phone_number"
            yield code, one.start, one.end, number.e164, f"{number.line_type}, {number.country}"
    for one in seen.short_codes:
        if is_premium_short(text, one, country):
            yield "short_code_premium", one.start, one.end, one.written, country
    for name, span in seen.wallets:
        yield "wallet_address", span.start, span.end, span.written, name


def _of_words(seen: Reading, policy: Policy, facts: Facts) -> Iterator[Found]:
    if sum(one.score for one in seen.wordings) >= policy.score and seen.wordings:
        words = seen.words()
        end = words[-1].end if words else 0
        frauds = ", ".join(dict.fromkeys(one.fraud for one in seen.wordings))
        yield "scam_wording", 0, end, "", frauds
    if seen.code is not None and facts.purpose not in ("", "otp"):
        yield "otp_lookalike", seen.code.start, seen.code.end, "*" * len(seen.code.read), ""
