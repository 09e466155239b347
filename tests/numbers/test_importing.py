"""Tables of ranges and operators in the layouts that registries and suppliers publish, sound and broken."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.numbers import Ranges, operators, read_operators, read_ranges
from chappe.tabular import Limits


def ranges(text, **options):
    data = text.encode() if isinstance(text, str) else text
    return read_ranges(data, operators=options.pop("operators", operators()), **options)


def codes(result):
    return [(fault.line, fault.column, fault.code) for fault in result.faults]


def holder(result, digits):
    assert not result.faults, result.faults.first
    found = Ranges(result.ranges).get(digits)
    return found and found.mccmnc


def test_international_prefixes():
    result = ranges("Prefix,MCC-MNC\n33612,208-01\n+33 6 98,20810\n0044 7700,23410\n")
    assert result.rows == 3
    assert holder(result, "33612345678") == "20801"
    assert holder(result, "33698000000") == "20810"
    assert holder(result, "447700123456") == "23410"


def test_the_russian_registry_of_def_codes():
    text = (
        "АВС/ DEF;От;До;Емкость;Оператор;Регион;ИНН\n"
        '900;0000000;0061999;62000;ООО "Т2 Мобайл";Краснодарский край;7743895280\n'
        '916;0000000;9999999;10000000;"ПАО ""Мобильные ТелеСистемы""";г. Москва;7740000076\n'
        "958;0000000;0009999;10000;ООО Ромашка;г. Москва;1\n"
    )
    for data in (text.encode(), text.encode("cp1251"), text.encode("utf-8-sig")):
        result = ranges(data, country="RU", names={"Ромашка": ""})
        assert holder(result, "79000012345") == "25020"
        assert holder(result, "79161234567") == "25001"
        assert Ranges(result.ranges).get("79161234567").region == "г. Москва"
        assert holder(result, "79000062000") is None
        assert holder(result, "79580000001") is None  # a name that is mapped to nothing is nobody's


def test_the_french_file_of_tranches():
    text = (
        "EZABPQM;Tranche_Debut;Tranche_Fin;Mnémo;Territoire;Date_Attribution\n"
        "0600;0600000000;0600999999;XXFM;Métropole;2012-01-10\n"
        "0607;0607000000;0607999999;XXOR;Métropole;1996-01-01\n"
    )
    names = {"XXFM": "20815", "XXOR": "20801"}
    for data in (text.encode(), text.encode("cp1252")):
        result = ranges(data, country="FR", names=names)
        assert [(found.first, found.last) for found in result.ranges] == [
            ("33600000000", "33600999999"),
            ("33607000000", "33607999999"),
        ]
        assert holder(result, "33607123456") == "20801"


def test_the_north_american_codes():
    result = ranges("NPA,NXX,X,Company,RateCenter\n201,200,A,AT&T,X\n201,201,3,Verizon,Y\n", country="US")
    assert holder(result, "12012001234") == "310410"
    assert holder(result, "12012013999") == "311480"
    assert holder(result, "12012014000") is None
    by_position = ranges("NPA-NXX\tOCN name\n201-200\tT-Mobile\n", country="US", mapping={"operator": 2}, header=True)
    assert holder(by_position, "12012001111") == "310260"


def test_national_prefixes_lose_their_trunk_prefix_and_italy_keeps_its_zero():
    assert holder(ranges("prefix;operator\n0612;Orange\n612;Orange\n", country="FR"), "33612000000") == "20801"
    assert ranges("first;last;operator\n89160000000;89169999999;MTS\n", country="RU").ranges[0].first == "79160000000"
    assert ranges("prefix;operator\n06;TIM\n", country="IT").ranges[0].first == "3906"


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        (",,,20801", "prefix", "range_missing"),
        (",33600000000,,20801", "last", "range_missing"),
        ("3.36E+11,,,20801", "prefix", "range_bad_digits"),
        ("33612x,,,20801", "prefix", "range_bad_digits"),
        ("3361234567890123,,,20801", "prefix", "range_too_long"),
        ("33,,,20801", "prefix", "range_too_wide"),
        ("99912,,,20801", "prefix", "country_unknown"),
        (",33600000000,3360099999,20801", "last", "range_lengths_differ"),
        (",33600999999,33600000000,20801", "last", "range_reversed"),
        ("33612,,,20899", "operator", "operator_unknown"),
        ("33612,,,Nobody", "operator", "operator_unknown"),
        ("33612,,,", "operator", "value_missing"),
    ],
)
def test_a_bad_row_is_told_by_line_and_column(row, column, code):
    result = ranges(f"prefix,first,last,operator\n33698,,,20810\n{row}\n")
    assert codes(result) == [(3, column, code)]
    assert result.faults.first[0].message[0].isupper() or result.faults.first[0].message[0] in "+'0123456789"


def test_contradictory_and_overlapping_ranges_are_told_by_their_later_line():
    result = ranges(
        "first,last,operator\n"
        "33600000000,33600999999,20801\n"
        "33610000000,33610999999,20810\n"
        "33600500000,33600599999,20810\n"
        "33610000000,33610999999,20820\n"
    )
    assert sorted(codes(result)) == [(4, "", "range_overlaps"), (5, "", "range_contradicts")]
    assert "line 2" in next(fault.message for fault in result.faults if fault.line == 4)


def test_a_wrong_country_or_mapping_is_a_fault_of_the_whole():
    assert (0, "country", "country_unknown") in codes(ranges("prefix,operator\n336,20801\n", country="ZZ"))
    assert (0, "operator", "operator_unknown") in codes(ranges("prefix,operator\n336,X\n", names={"X": "20899"}))


def test_names_need_a_country_that_can_be_told_from_the_number():
    result = ranges("prefix,operator\n33612,Orange\n4179,Swisscom\n79161,MTS\n77011,MTS\n")
    assert codes(result) == [(5, "operator", "operator_unknown")]  # +7 701 is Kazakhstan's
    assert [found.mccmnc for found in result.ranges] == ["20801", "22801", "25001"]


def test_limits_hold():
    assert codes(ranges("prefix,operator\n33612,20801\n33613,20801\n", limits=Limits(rows=1))) == [
        (3, "", "too_many_rows")
    ]


@given(st.text(max_size=200))
def test_no_table_makes_it_raise(text):
    ranges("prefix,first,last,operator\n" + text, country="FR")
    read_operators(("mccmnc,country,name,valid_from\n" + text).encode(), origin="test")


def read(text):
    return read_operators(text.encode(), origin="our own list of 2026")


def test_operators_in_one_column_or_two_with_dates_and_status():
    result = read(
        "MCC;MNC;ISO;Operator;Brand;Status;Valid from;Valid to\n"
        "208;01;FR;Orange SA;Orange;Operational;;\n"
        "405;045;in;Long;;;;\n"
        "310;120;US;Sprint;Sprint;closed;;01.04.2020\n"
        "310;120;United States;T-Mobile;;active;2020-04-01;\n"
    )
    assert not result.faults
    assert [found.mccmnc for found in result.operators] == ["20801", "405045", "310120", "310120"]
    listed = operators().updated(result.operators)
    assert listed.get("20801").name == "Orange SA"
    assert listed.get("405045").source == "our own list of 2026"
    assert listed.get("310120", date(2020, 3, 31)).status == "closed"
    assert listed.get("310120").brand == "T-Mobile"
    assert read("PLMN,Country,Network\n208-01,FR,Orange\n").operators[0].mccmnc == "20801"


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        ("2081,FR,X,,,", "mccmnc", "mccmnc_bad"),
        ("abc01,FR,X,,,", "mccmnc", "mccmnc_bad"),
        ("20801,ZZ,X,,,", "country", "country_unknown"),
        ("20801,FR,X,dormant,,", "status", "status_unknown"),
        ("20801,FR,X,,2024-02-30,", "valid_from", "date_bad"),
        ("20801,FR,X,,01/02/2024,", "valid_from", "date_bad"),  # whose month?
        ("20801,FR,X,,2024-02-01,2024-02-01", "valid_to", "dates_reversed"),
        ("20810,FR,Y,,,", "mccmnc", "operator_overlaps"),
    ],
)
def test_bad_operators_are_told_by_line(row, column, code):
    result = read(f"mccmnc,country,name,status,valid_from,valid_to\n20810,FR,SFR,,,\n{row}\n")
    assert codes(result) == [(3, column, code)]


def test_a_network_code_that_lost_its_zero_is_not_guessed():
    assert codes(read("mcc,mnc,country,name\n208,1,FR,Orange\n")) == [(2, "mccmnc", "mccmnc_bad")]
