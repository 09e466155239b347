from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import combinations
from typing import NamedTuple

import pytest

from chappe import numbers
from chappe.clock import parse_rfc3339
from chappe.senders import Book, Enforcement, Rule, Sender, all_rules, check, findings, fold, kind_of, words_of
from chappe.senders.rules import rules_of

# the countries of which something is known, each with a document that says so
KNOWN = {
    *("FR", "BE", "CH", "LU", "DE", "AT", "ES", "IT", "GB", "IE", "NL", "PL", "CZ", "RO", "BG", "HU", "RS", "RU"),
    *("UA", "AM", "AE", "SA", "TR", "VN", "PH", "US", "CA", "PR", "IN", "BR", "MX", "AU", "NG", "KE", "SG", "HK"),
    "JO",
}
EVERY = [rule for rules in all_rules().values() for rule in rules]


class Settings(NamedTuple):
    any_sender: bool = False


class Holder(NamedTuple):
    id: int = 1
    default_sender: str | None = None
    settings: Settings = Settings()


AGGREGATOR = Holder(settings=Settings(any_sender=True))


def at(day: str) -> int:
    return parse_rfc3339(f"{day}T12:00:00Z")


def book(*addresses: str, enforcement: Enforcement | None = None) -> Book:
    senders = [
        Sender(n, 1, address, kind_of(address)[0], (), "active", False, (), 0) for n, address in enumerate(addresses, 1)
    ]
    return Book(senders, enforcement=enforcement)


def code(address: str, country: str, day: str = "2026-11-22", purpose: str = "transactional") -> str | None:
    refused = check(book(address), Holder(), address, country, at(day), purpose)
    return None if refused is None else refused.code


def warned(address: str, country: str, day: str = "2026-11-22") -> list[str]:
    found = findings(book(address), Holder(), address, country, at(day))
    return [one.code for one in found if one.verdict == "warning"]


def test_every_rule_has_a_source_a_country_and_a_sense() -> None:
    assert {rule.country for rule in EVERY} == KNOWN
    for rule in EVERY:
        assert rule.source and rule.note.endswith((".", "_")), rule
        assert numbers.country(rule.country), rule
        assert rule.kind in ("alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc", "numeric"), rule
        assert rule.allowed in ("yes", "no", "replaced", "register") and rule.confidence in "HML", rule
        assert (rule.allowed == "register") == bool(rule.register), rule
        assert not (rule.valid_from and rule.valid_to) or rule.valid_from <= rule.valid_to, rule
        assert not rule.maximum or rule.minimum <= rule.maximum <= 11, rule
        assert "sent.dm" not in rule.source or rule.confidence == "L", rule
        re.compile(rule.pattern), re.compile(rule.where)


def test_no_two_rules_about_the_same_senders_are_in_force_on_one_day() -> None:
    def overlap(one: Rule, other: Rule) -> bool:
        begin = max(one.valid_from or date.min, other.valid_from or date.min)
        return begin <= min(one.valid_to or date.max, other.valid_to or date.max)

    for rules in all_rules().values():
        for one, other in combinations(rules, 2):
            same = (one.kind, one.where) == (other.kind, other.where)
            assert not (same and overlap(one, other)), (one.name, other.name)


def test_a_rule_that_ends_is_followed_the_next_day() -> None:
    for rule in EVERY:
        if rule.valid_to is not None:
            after = [other for other in all_rules()[rule.country] if other.kind == rule.kind]
            assert any(other.valid_from == rule.valid_to + timedelta(days=1) for other in after), rule.name


@pytest.mark.parametrize(
    ("address", "country", "expected"),
    [
        ("Acme", "FR", None),
        ("Acme-Co", "FR", "sender_against_rules"),
        ("+33612345678", "FR", "sender_against_rules"),
        ("+33198765432", "FR", None),  # it is replaced
        ("38080", "FR", None),
        ("Acme", "US", "sender_against_rules"),
        ("Acme", "CA", "sender_against_rules"),
        ("Acme", "ES", "sender_not_registered"),
        ("+34911234567", "ES", None),  # out of the register's scope
        ("1Acme", "IT", "sender_against_rules"),
        ("Acme", "IT", "sender_not_registered"),
        ("+4915112345678", "GB", "sender_against_rules"),
        ("+447700900123", "GB", None),
        ("Al", "NL", "sender_against_rules"),
        ("Ali", "NL", None),
        ("A123456", "PH", "sender_against_rules"),
        ("INFO", "PH", "sender_against_rules"),
        ("1NF0", "PH", "sender_against_rules"),
        ("1NF0", "FR", None),  # which words are meant is our reading: it warns
        ("Infotel", "FR", None),
        ("RDV", "FR", None),
        ("Acme", "SG", None),  # a weak source warns
        ("Acme", "ZW", None),
        ("+12025550123", "US", "sender_not_registered"),
        ("+18005551234", "US", "sender_not_registered"),
        ("Acme1", "NG", "sender_against_rules"),
    ],
)
def test_a_country_says_what_it_takes(address: str, country: str, expected: str | None) -> None:
    assert code(address, country) == expected


def test_rules_begin_and_end_on_their_day() -> None:
    assert code("Acme", "ES", "2026-09-14") is None
    assert code("Acme", "ES", "2026-09-15") == "sender_not_registered"
    assert code("Acme", "AU", "2026-06-30") is None
    assert code("Acme", "AU", "2026-07-01") == "sender_not_registered"
    assert code("Acme-Co", "FR", "2025-03-09") is None
    assert code("+33612345678", "FR", "2019-07-31") is None
    assert [rule.allowed for rule in rules_of("IE", at("2025-08-01"))] == ["replaced"]


def test_one_book_lives_through_midnight() -> None:
    known = book("Acme")
    last_second = at("2026-09-14") + 43_199_000
    assert check(known, Holder(), "Acme", "ES", last_second) is None
    assert check(known, Holder(), "Acme", "ES", last_second + 1000) is not None


def test_promotional_names_carry_their_mark() -> None:
    registered = Enforcement(registration="off")
    for country, plain, marked in (("AE", "Acme", "AD-Acme"), ("SA", "Acme", "Acme-AD")):
        known = book(plain, marked, enforcement=registered)
        now = at("2026-11-22")
        assert check(known, Holder(), plain, country, now, "transactional") is None
        refused = check(known, Holder(), plain, country, now, "marketing")
        assert refused is not None and refused.code == "sender_against_rules" and "AD" in refused.message
        assert check(known, Holder(), marked, country, now, "marketing") is None


def test_what_a_weak_source_says_warns_and_blocks_nothing() -> None:
    assert warned("Acme", "SG") == ["sender_not_registered"]
    assert warned("Acme", "BE") == ["sender_against_rules"]
    assert warned("INFO", "DE") == ["sender_against_rules"]
    for rule in EVERY:
        if rule.confidence == "L" and rule.kind == "alphanumeric":
            assert code("Acmezz", rule.country) is None, rule.name


def test_a_refusal_names_the_rule_its_source_and_its_day() -> None:
    refused = check(book("Acme"), Holder(), "Acme", "ES", at("2026-11-22"))
    assert refused is not None
    for words in ("Spain", "CNMC alias register", "since 2026-09-15", "CNMC Circular 1/2026"):
        assert words in refused.message
    assert "POST /v1/sender_registrations" in refused.action


def test_the_operator_says_how_strict_registration_is() -> None:
    now = at("2026-11-22")
    for level, spain, czechia in (("off", False, False), ("high", True, False), ("medium", True, True)):
        known = book("Acme", enforcement=Enforcement(registration=level))  # type: ignore[arg-type]
        assert [check(known, Holder(), "Acme", c, now) is not None for c in ("ES", "CZ", "BG")] == [
            spain,
            czechia,
            False,
        ]


def test_who_may_use_any_address_answers_for_its_registration_but_not_for_the_rest() -> None:
    now = at("2026-11-22")
    assert check(book(), AGGREGATOR, "Shop", "ES", now) is None
    refused = check(book(), AGGREGATOR, "Shop", "US", now)
    assert refused is not None and refused.code == "sender_against_rules"


def test_words_are_told_by_their_letters_and_by_nothing_longer() -> None:
    assert {word.word for word in words_of("FR")} >= {"COLIS", "RDV", "INFO"}
    assert all(fold(word.word) for country in KNOWN for word in words_of(country))


def test_what_was_worked_out_is_forgotten_before_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chappe.senders.verdict.MOST_VERDICTS", 10)
    known, now = book("Acme"), at("2026-11-22")
    for n in range(50):
        assert check(known, AGGREGATOR, f"Shop{n}", "FR", now) is None
    assert len(known.verdicts) == 10
