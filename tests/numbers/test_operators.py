"""Operators by MCC-MNC: what ships is sound and sourced, look-ups are by longest code, day, brand and name."""

import csv
from datetime import date
from importlib import resources

import pytest

from chappe.numbers import Operator, Operators, countries, is_mccmnc, operators
from chappe.numbers.operators import name_key

COUNTRIES = ("FR", "BE", "LU", "CH", "DE", "ES", "IT", "PT", "NL", "PL", "GB", "IE", "US", "CA", "RU", "UA")

# ITU-T E.212, list of mobile country codes (annex to Operational Bulletin 1117).
MCC = {
    **{"204": "NL", "206": "BE", "208": "FR", "214": "ES", "222": "IT", "228": "CH", "250": "RU", "255": "UA"},
    **{"260": "PL", "262": "DE", "268": "PT", "270": "LU", "272": "IE", "302": "CA", "234": "GB", "235": "GB"},
    **dict.fromkeys(("310", "311", "312", "313", "314", "315", "316"), "US"),
}


def rows():
    with resources.files("chappe.numbers").joinpath("operators.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_every_row_that_ships_is_well_formed_and_names_its_source():
    for row in rows():
        assert is_mccmnc(row["mccmnc"]), row
        assert row["country"] in countries(), row
        assert MCC[row["mccmnc"][:3]] == row["country"] or row["country"] in ("GG", "IM", "JE"), row
        assert len(row["mccmnc"]) == (6 if row["mccmnc"][0] == "3" else 5), row
        assert row["name"] and row["brand"], row
        assert row["status"] in ("operational", "closed"), row
        assert row["confidence"] in ("high", "medium"), row
        assert row["source"].startswith(("ITU-T E.212", "GNOME mobile-broadband-provider-info", "AOSP")), row
        assert all(not row[day] or date.fromisoformat(row[day]) for day in ("valid_from", "valid_to")), row


def test_each_of_the_first_countries_has_its_operators():
    for country in COUNTRIES:
        working = [row for row in operators().in_country(country) if row.status == "operational"]
        assert len({row.brand for row in working}) >= 3, country


@pytest.mark.parametrize(
    ("mccmnc", "country", "brand"),
    [
        ("20801", "FR", "Orange"),
        ("20810", "FR", "SFR"),
        ("20820", "FR", "Bouygues"),
        ("20815", "FR", "Free"),
        ("20601", "BE", "Proximus"),
        ("27001", "LU", "POST"),
        ("22801", "CH", "Swisscom"),
        ("26201", "DE", "Telekom"),
        ("26202", "DE", "Vodafone"),
        ("21407", "ES", "Movistar"),
        ("22201", "IT", "TIM"),
        ("26806", "PT", "MEO"),
        ("20408", "NL", "KPN"),
        ("26006", "PL", "Play"),
        ("23430", "GB", "EE"),
        ("23458", "IM", "Manx Telecom"),
        ("27201", "IE", "Vodafone"),
        ("310410", "US", "AT&T"),
        ("310260", "US", "T-Mobile"),
        ("311480", "US", "Verizon"),
        ("302720", "CA", "Rogers"),
        ("25001", "RU", "MTS"),
        ("25503", "UA", "Kyivstar"),
    ],
)
def test_well_known_networks_are_who_they_are(mccmnc, country, brand):
    found = operators().get(mccmnc)
    assert (found.country, found.brand, found.status) == (country, brand, "operational")


def test_a_code_is_text_and_unknown_ones_are_none():
    assert operators().get("208001") is None
    assert operators().get("2081") is None
    assert operators().get("") is None
    assert "20801" in operators() and "20800" not in operators()


def test_a_holder_depends_on_the_day():
    listed = operators()
    assert listed.get("310120", date(2020, 3, 31)).name == "Sprint"
    assert listed.get("310120", date(2020, 4, 1)).name == "T-Mobile USA"
    assert listed.get("310120").name == "T-Mobile USA"
    assert listed.get("20416", date(2023, 9, 4)).brand == "T-Mobile"
    assert listed.get("20416", date(2023, 9, 5)).brand == "Odido"
    assert {row.brand for row in listed.in_country("IT", date(2016, 1, 1))} >= {"Wind", "3"}
    assert not {row.brand for row in listed.in_country("IT")} & {"Wind", "3"}


def test_withdrawn_codes_are_known_as_closed():
    assert operators().get("22298").status == "closed"


@pytest.mark.parametrize(
    ("imsi", "home"),
    [
        ("208011234567890", "20801"),
        ("20801", "20801"),
        ("310410123456789", "310410"),  # three digits of MNC
        ("310590123456789", "310590"),
        ("204081234567890", "20408"),
        ("208991234567890", None),
        ("", None),
    ],
)
def test_the_home_network_of_an_imsi_is_the_longest_listed_code(imsi, home):
    found = operators().home_of(imsi)
    assert (found and found.mccmnc) == home


def test_where_a_long_code_begins_like_a_short_one_the_long_one_wins():
    listed = Operators([Operator("40504", "IN", "Short", "Short"), Operator("405045", "IN", "Long", "Long")])
    assert listed.home_of("405045000000000").name == "Long"
    assert listed.home_of("405044000000000").name == "Short"


def test_a_brand_means_all_its_codes_and_a_name_the_main_one():
    listed = operators()
    assert [row.mccmnc for row in listed.of_brand("FR", "orange")] == ["20801", "20802", "20832"]
    assert {row.country for row in listed.of_brand("FR", "Orange")} == {"FR"}
    assert listed.named("BOUYGUES TELECOM", "fr") == "20820"
    assert listed.named('ПАО "Мобильные ТелеСистемы"', "RU") == "25001"
    assert listed.named('ООО "Т2 Мобайл"', "RU") == "25020"
    assert listed.named("E-Plus", "DE") == "26203"
    assert listed.named("T-Mobile", "NL") == "20416"
    assert listed.named("Orange", "DE") is None
    assert listed.named("", "FR") is None


def test_names_are_compared_without_their_legal_form():
    assert name_key("Telefónica Móviles España, S.A.U.") == name_key("TELEFONICA MOVILES ESPANA")
    assert name_key("P4 Sp. z o.o.") == name_key("P4")
    assert name_key("S.A.") == "sa"


def test_own_rows_go_over_those_that_ship():
    own = Operator("20801", "FR", "Mine", "Mine")
    more = Operator("20899", "FR", "Other", "Other")
    updated = operators().updated([own, more])
    assert updated.get("20801") is own and updated.get("20899") is more
    assert updated.get("20810") is operators().get("20810")
    assert len(updated) == len(operators()) + 1
    assert [row.name for row in updated if row.mccmnc == "20801"] == ["Mine"]


def test_two_holders_of_one_code_on_one_day_are_refused():
    day = date(2024, 1, 1)
    before = Operator("20801", "FR", "A", "A", valid_to=day)
    after = Operator("20801", "FR", "B", "B", valid_from=day)
    assert Operators([after, before]).get("20801") is after
    with pytest.raises(ValueError, match="20801 has two holders"):
        Operators([before, after, Operator("20801", "FR", "C", "C", valid_from=date(2025, 1, 1))])
