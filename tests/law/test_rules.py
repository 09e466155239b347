"""The data: every row reads, has a source, and contradicts no other."""

from __future__ import annotations

import csv
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from chappe import law, numbers
from chappe.clock import parse_rfc3339
from chappe.law import days, table

EVERY = [rule for rules in law.all_rules().values() for rule in rules]
# the countries of which something is known, each with a document that says so
KNOWN = {
    *("FR", "BE", "CH", "LU", "DE", "AT", "ES", "PT", "IT", "GB", "IE", "NL", "PL", "CZ", "RO", "BG", "HU", "RS"),
    *("RU", "UA", "AM", "AE", "SA", "JO", "TR", "VN", "PH", "IN", "AU", "CN", "SG", "HK", "US", "PR", "CA", "BR"),
    *("MX", "ZA", "NG", "KE"),
}
FIRST = {
    "country": "FR",
    "region": "",
    "kind": "hours",
    "purpose": "marketing",
    "value": "08:00-20:00",
    "place": "",
    "binding": "law",
    "valid_from": "",
    "valid_to": "2026-05-31",
    "confidence": "high",
    "source": "a document",
    "note": "Words.",
}


def at(moment: str) -> int:
    return parse_rfc3339(moment)


def values(country: str, kind: str, moment: str = "2026-11-22T12:00:00Z", **more: Any) -> list[str]:
    return [rule.value for rule in law.rules(country, at(moment), **more) if rule.kind == kind]


def test_every_row_has_a_country_a_source_and_plain_words() -> None:
    assert set(law.all_rules()) == KNOWN
    with resources.files("chappe.law").joinpath("rules.csv").open(encoding="utf-8") as lines:
        assert len(EVERY) == len(list(csv.DictReader(lines)))
    assert len({rule.name for rule in EVERY}) == len(EVERY)
    for rule in EVERY:
        assert rule.source.strip() and rule.note.endswith("."), rule.name
        assert numbers.country(rule.country) is not None
        assert rule.confidence != "high" or rule.source not in ("sent.dm", "s.dm", "4notify.net")
        assert rule.binding not in ("account", "operator")


def test_rows_that_contradict_each_other_are_refused() -> None:
    later = FIRST | {"valid_from": "2026-06-01", "valid_to": "", "value": "09:00-19:00"}
    assert len(law.load([FIRST, later])["FR"]) == 2
    for change in ({"valid_from": "2026-05-31"}, {"valid_from": "", "purpose": "any"}):
        with pytest.raises(law.Contradiction, match=r"FR\.hours.* are in force on the same day"):
            law.load([FIRST, later | change])
    beside = later | {"valid_from": ""}
    for change in ({"region": "67"}, {"binding": "advice"}, {"purpose": "otp"}, {"country": "BE"}):
        law.load([FIRST, beside | change])
    ban = FIRST | {"kind": "ban", "value": "shaft"}
    law.load([ban, ban | {"value": "url_shorteners"}])
    with pytest.raises(law.Contradiction):
        law.load([ban, ban])


@pytest.mark.parametrize(
    "change",
    [
        {"country": "QQ"},
        {"country": "fr"},
        {"value": "8-20"},
        {"source": ""},
        {"note": ""},
        {"confidence": "sure"},
        {"kind": "mood"},
        {"kind": "cap"},
        {"kind": "ban", "value": "jokes"},
        {"kind": "wording", "value": "opt_out"},
        {"kind": "register", "value": " "},
        {"kind": "consent", "value": "perhaps"},
        {"kind": "opt_out", "value": "soon"},
        {"kind": "wording", "value": "AD", "place": "start"},
        {"place": "end"},
        {"valid_from": "2026-06-01"},
        {"valid_from": "tomorrow"},
        {"purpose": "fun"},
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_its_line(change: dict[str, str]) -> None:
    with pytest.raises(law.Contradiction, match=r"^line 3: "):
        law.load([FIRST | {"country": "BE"}, FIRST | change])


def test_the_law_of_a_day_is_that_of_its_country() -> None:
    charter = [rule for rule in law.rules("FR", at("2025-12-31T22:59:00Z")) if rule.binding == "operators"]
    assert charter[0].value == "Mo-Sa 08:00-22:00; Su,PH off"
    assert "08:00-21:30" in values("FR", "hours", "2025-12-31T23:00:00Z"), "it is 2026 in Paris"
    assert values("US", "opt_out_scope", "2027-01-30T12:00:00Z") == []
    assert values("US", "opt_out_scope", "2027-01-31T12:00:00Z") == ["revoke_all"]
    assert values("VN", "cap", "2020-09-30T12:00:00Z") == []


def test_what_countries_ask_is_found_by_kind() -> None:
    assert values("IN", "parameter") == [
        "entity_id_tlv=0x1400",
        "template_id_tlv=0x1401",
        "chain_hash_tlv=0x1402",
        "template_variable_characters=30",
    ]
    assert [(rule.value, rule.place) for rule in law.rules("VN", at("2026-01-01T00:00:00Z")) if rule.place] == [
        ("[QC]|[AD]", "start"),
        ("opt_out", "end"),
    ]
    assert {rule.literals for rule in EVERY if rule.literals} == {("[QC]", "[AD]")}
    assert values("US", "hours", purpose="marketing", region="TX") == ["08:00-21:00"]
    assert values("US", "hours", purpose="marketing", region="FL") == ["08:00-21:00", "08:00-20:00"]
    assert values("US", "hours", purpose="otp") == []
    assert set(values("US", "regime")) == {"TCPA", "10DLC"}
    assert law.rules("AQ", at("2026-01-01T00:00:00Z")) == []


def test_holidays_are_those_of_the_region() -> None:
    boxing_day = law.hours.day_number(date(2026, 12, 26))
    assert days.holiday("FR", None, boxing_day - 1) == "Christmas Day"
    assert days.holiday("FR", None, boxing_day) is None
    assert (
        days.holiday("FR", "67", boxing_day) == days.holiday("FR", "57", boxing_day) == days.somewhere("FR", boxing_day)
    )
    assert days.holiday("FR", "67", boxing_day) is not None
    assert days.holiday("FR", "75", boxing_day) is None
    assert days.holiday("AQ", None, boxing_day) is None and days.somewhere("AQ", boxing_day) is None
    holidays_asked_for = {rule.country for rule in EVERY if rule.kind == "hours" and "PH" in rule.value}
    assert holidays_asked_for == {"FR", "BR", "ZA", "JO", "AU"}
    for country in holidays_asked_for:
        assert days.holiday(country, None, law.hours.day_number(date(2026, 1, 1))), country


def test_the_page_of_the_rules_is_made_from_them() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "law.md"
    assert page.read_text("utf-8") == table.page(), "python -m chappe.law.table docs/reference/law.md"
