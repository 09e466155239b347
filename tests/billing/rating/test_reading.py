"""Files of rates: any layout, operators by name or code, faults by line; workbooks, hostile ones too."""

from __future__ import annotations

import io
import time
import zipfile
from datetime import datetime
from typing import Any

import openpyxl
import pytest

from chappe import numbers
from chappe.billing.rating.model import FOREVER
from chappe.billing.rating.rates import Rate
from chappe.billing.rating.reading import Read, csv_of, read_rates, read_rows

JANUARY = 1_798_761_600_000  # 2027-01-01T00:00:00Z
DAY = 86_400_000


def read(text: str, kind: Any = "customer", **more: Any) -> Read:
    return read_rates(text.encode(), kind, "EUR", **more)


def codes(found: Read) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.column, fault.code) for fault in found.faults]


def test_a_file_as_chappe_writes_it_is_read() -> None:
    found = read(
        "country,operator,channel,sender_kind,purpose,per,amount,roaming,currency,valid_from,valid_to\n"
        "FR,20801,sms,alphanumeric,otp,message,0.0725,0.01,EUR,2027-01-01,2027-01-02T00:00:00Z\n"
    )
    assert len(found.faults) == 0
    assert found.rates == [
        Rate(
            country="FR",
            operator="20801",
            sender_kind="alphanumeric",
            purpose="otp",
            per="message",
            amount=72_500,
            roaming=10_000,
            valid_from=JANUARY,
            valid_to=JANUARY + DAY,
        )
    ]


def test_a_suppliers_file_in_another_language_is_read() -> None:
    found = read("Land;Netz;Preis;Valid until\nGermany;Vodafone;0,0712;31.12.2026\nUK;;1.234,50 EUR;\n", "supplier")
    vodafone = {one.mccmnc for one in numbers.operators().of_brand("DE", "Vodafone")}
    assert len(found.faults) == 0 and vodafone
    assert {rate.operator for rate in found.rates if rate.country == "DE"} == vodafone
    assert {(rate.amount, rate.valid_to) for rate in found.rates if rate.country == "DE"} == {(71_200, JANUARY)}
    assert [(rate.country, rate.amount) for rate in found.rates if rate.country != "DE"] == [("GB", 1_234_500_000)]


def test_codes_come_in_one_cell_or_two_and_bring_their_country() -> None:
    found = read("mcc,mnc,price\n208,1,0.05\n208,,0.04\n", mapping={})
    assert codes(found) == []
    assert [(rate.country, rate.operator, rate.amount) for rate in found.rates] == [
        ("FR", "20801", 50_000),
        ("", "", 40_000),
    ]
    assert read("network,price\n208-01,0.05\n").rates[0].operator == "20801"


def test_cost_plus_and_not_served_are_said_in_words_of_their_own() -> None:
    found = read("country,amount,plus,percent\nFR,,0.02,\nBE,,,2.5%\nDE,not served,,\n")
    assert codes(found) == []
    assert [(rate.plus, rate.percent_ppm, rate.served) for rate in found.rates] == [
        (20_000, None, True),
        (None, 25_000, True),
        (None, None, False),
    ]


def test_rows_without_a_date_count_from_the_day_of_the_file() -> None:
    found = read("country,price\nFR,1\n", valid_from=JANUARY)
    assert (found.rates[0].valid_from, found.rates[0].valid_to) == (JANUARY, FOREVER)


def test_what_is_wrong_is_told_by_line() -> None:
    found = read(
        "country,operator,price,plus,currency,valid_from,valid_to,per,purpose\n"
        "FR,20801,-0.05,,,,,,\n"  # 2
        "FR,20801,,,,,,,\n"
        "FR,20801,0.05,,USD,,,,\n"
        "FR,20899,0.05,,,,,,\n"
        "FR,No Such Tel,0.05,,,,,,\n"  # 6
        "Atlantis,,0.05,,,,,,\n"
        "BE,20801,0.05,,,,,,\n"
        "FR,,0.05,0.01,,,,,\n"
        "FR,,0.0000001,,,,,,\n"  # 10
        "FR,,cheap,,,,,,\n"
        "FR,,0.05,,,01/02/2027,,,\n"
        "FR,,0.05,,,2027-01-02,2027-01-01,,\n"
        "FR,,0.05,,,,,pigeon,\n"  # 14
        "FR,,0.05,,,,,,spam\n"
        ",Orange,0.05,,,,,,\n"
        "FR,,2000000,,,,,,\n"
        "FR,,0.05 USD,,,,,,\n"  # 18
        "IT,,0.05,,,,,,\n"
        "IT,,0.06,,,,,,\n"
    )
    assert codes(found) == [
        (2, "amount", "price_negative"),
        (3, "amount", "price_missing"),
        (4, "currency", "currency_differs"),
        (5, "operator", "operator_unknown"),
        (6, "operator", "operator_unknown"),
        (7, "country", "country_unknown"),
        (8, "operator", "operator_elsewhere"),
        (9, "amount", "price_contradictory"),
        (10, "amount", "price_too_fine"),
        (11, "amount", "price_invalid"),
        (12, "valid_from", "date_unclear"),
        (13, "valid_to", "validity_empty"),
        (14, "per", "word_unknown"),
        (15, "purpose", "word_unknown"),
        (16, "country", "country_unknown"),
        (17, "amount", "price_too_high"),
        (18, "amount", "currency_differs"),
        (20, "", "rates_overlap"),
    ]
    assert "line 19" in list(found.faults)[-1].message


def test_cost_plus_is_not_for_suppliers_and_a_file_needs_a_price() -> None:
    assert codes(read("country,plus\nFR,0.02\n", "supplier")) == [(2, "plus", "price_contradictory")]
    assert codes(read("country,operator\nFR,20801\n")) == [(1, "amount", "column_missing")]
    assert [code for _, _, code in codes(read("", "supplier"))] == ["empty"]


def test_rows_of_cells_are_read_alike() -> None:
    rows = [{"country": "FR", "operator": "20801", "amount": "0.05"}, {"country": "FR", "amount": "much"}]
    found = read_rows(rows, "customer", "EUR")
    assert [rate.amount for rate in found.rates] == [50_000]
    assert codes(found) == [(2, "amount", "price_invalid")]


def workbook(rows: list[list[Any]], title: str = "Prices") -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    book.create_sheet("Notes").append(["nothing here"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


async def test_a_workbook_is_read_as_a_person_sees_it() -> None:
    data = workbook(
        [
            ["Country", "MCC", "MNC", "Price", "Effective date"],
            ["FR", 208, 1, 0.1 + 0.2, datetime(2027, 1, 1)],
            [None, None, None, None, None],
            ["BE", 206, 20, 0.0725, None],
        ]
    )
    rows = await csv_of(data)
    assert isinstance(rows, bytes)
    found = read_rates(rows, "supplier", "EUR")
    assert [(rate.operator, rate.amount, rate.valid_from) for rate in found.rates] == [
        ("20801", 300_000, JANUARY),
        ("20620", 72_500, 0),
    ]
    assert found.lines == [2, 4]
    named = await csv_of(data, "Notes")
    assert named == b"nothing here\n"
    missing = await csv_of(data, "Costs")
    assert not isinstance(missing, bytes) and missing.code == "sheet_missing" and "Prices, Notes" in missing.message


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        for name, data in members.items():
            book.writestr(name.replace("__", "/") + ".xml", data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (zipped(xl__workbook=b" " * (101 << 20)), "sheet_too_large"),
        (zipped(xl__workbook=b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cc">]><a>&b;</a>'), "sheet_unreadable"),
        (zipped(xl__workbook='<!DOCTYPE a [<!ENTITY b "cc">]><a/>'.encode("utf-16")), "sheet_unreadable"),
        (zipped(hello=b"<a/>"), "sheet_unreadable"),
        (b"PK\x03\x04 and then nothing of the kind", "sheet_unreadable"),
    ],
    ids=["bomb", "entities", "entities in UTF-16", "no workbook", "no zip"],
)
async def test_a_hostile_workbook_is_refused(data: bytes, code: str) -> None:
    assert len(data) < 1 << 20
    told = await csv_of(data)
    assert not isinstance(told, bytes)
    assert told.code == code


def test_twenty_thousand_rows_are_read_in_seconds() -> None:
    countries = [iso for iso in numbers.countries() if len(iso) == 2]
    kinds = ("", "alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc")
    lines = [
        f"{iso},{kind},{purpose},{number % 997 / 10_000:.4f},2027-{month:02}-01,2027-{month:02}-28"
        for number, (iso, kind, purpose, month) in enumerate(
            (iso, kind, purpose, month)
            for iso in countries
            for kind in kinds
            for purpose in ("", "otp", "marketing")
            for month in range(1, 6)
        )
    ][:20_000]
    text = "country,sender_kind,purpose,price,valid_from,valid_to\n" + "\n".join(lines)
    start = time.perf_counter()
    found = read(text)
    assert (len(found.rates), codes(found)) == (20_000, [])
    assert time.perf_counter() - start < 10
