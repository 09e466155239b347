"""Rates of exchange: the day's or the last before, exact until the one rounding; files as banks publish them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chappe.billing.rating.fx import DAY_MS, PPB, Fx, FxRate, day_of, day_text, ppb_of, ppb_text, read_fx, rounded


def rate(base: str, quote: str, day: int, value: str) -> FxRate:
    return FxRate(base, quote, day, ppb_of(value), "test")


FX = Fx([rate("EUR", "USD", 10, "1.25"), rate("EUR", "USD", 12, "1.5"), rate("EUR", "JPY", 10, "160")])


def test_a_conversion_takes_the_rate_of_its_day_or_the_last_before() -> None:
    amounts = [FX.convert(1_000_000, "EUR", "USD", day * DAY_MS) for day in (9, 10, 11, 12, 99)]
    assert amounts == [None, 1_250_000, 1_250_000, 1_500_000, 1_500_000]
    assert FX.convert(1_000_000, "EUR", "USD", 12 * DAY_MS - 1) == 1_250_000


def test_it_goes_backwards_and_by_a_third_currency() -> None:
    assert FX.convert(1_250_000, "USD", "EUR", 10 * DAY_MS) == 1_000_000
    assert FX.convert(1_000_000, "USD", "JPY", 10 * DAY_MS) == 128_000_000
    assert FX.convert(7, "CHF", "CHF", 0) == 7
    assert FX.convert(1, "EUR", "CHF", 99 * DAY_MS) is None


def test_a_row_that_joins_two_goes_before_the_way_by_a_third() -> None:
    fx = Fx([rate("EUR", "USD", 1, "2"), rate("EUR", "JPY", 1, "200"), rate("USD", "JPY", 1, "99")])
    assert fx.convert(1_000_000, "USD", "JPY", DAY_MS) == 99_000_000


@given(st.integers(0, 10**15), st.integers(PPB, 10**15))
def test_there_and_back_is_the_same_within_one_micro_unit(amount: int, ppb: int) -> None:
    fx = Fx([FxRate("EUR", "XXX", 0, ppb, "")])
    there = fx.convert(amount, "EUR", "XXX", 0)
    assert there is not None and type(there) is int and there >= amount  # worth no less than a euro's worth of units
    back = fx.convert(there, "XXX", "EUR", 0)
    assert back is not None and abs(back - amount) <= 1


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_rounding_is_half_away_from_zero_and_odd(over: int, under: int) -> None:
    assert rounded(-over, under) == -rounded(over, under)
    assert abs(rounded(over, under) * under - over) * 2 <= under
    assert rounded(under, 2 * under) == 1


@given(st.integers(1, 10**17))
def test_a_rate_is_written_as_it_is_read(ppb: int) -> None:
    assert ppb_of(ppb_text(ppb)) == ppb


def test_the_banks_wide_file_is_read() -> None:
    # the layout of eurofxref-hist.csv: the newest day first, N/A, a comma at the end of each line
    data = b"Date,USD,JPY,CYP,\n2026-11-20,1.0823,160.25,N/A,\n2026-11-19,1.0811,160.9,N/A,\n"
    rates, faults = read_fx(data)
    assert len(faults) == 0
    assert [(r.base, r.quote, day_text(r.day), r.rate_ppb) for r in rates] == [
        ("EUR", "USD", "2026-11-20", 1_082_300_000),
        ("EUR", "JPY", "2026-11-20", 160_250_000_000),
        ("EUR", "USD", "2026-11-19", 1_081_100_000),
        ("EUR", "JPY", "2026-11-19", 160_900_000_000),
    ]
    assert "ECB" in rates[0].source
    # that of eurofxref.csv, one day: spaces behind the commas, the month as a word
    rates, faults = read_fx(b"Date, USD, JPY, \n20 November 2026, 1.0823, 160.25, \n")
    assert (len(faults), rates[0].day) == (0, day_of("2026-11-20"))


def test_a_long_file_is_read_and_its_faults_are_told_by_line() -> None:
    rates, faults = read_fx(b"day;base;quote;rate;source\n2026-11-20;eur;gbp;0.84;desk\n")
    assert (rates, len(faults)) == ([FxRate("EUR", "GBP", day_of("2026-11-20"), 840_000_000, "desk")], 0)
    bad = (
        b"day,base,quote,rate\n2026-11-20,EUR,GBP,0.84\n20.11.2026,EUR,GBP,0.84\n2026-11-20,EUR,EUR,1\n"
        b"2026-11-21,EUR,GBP,-1\n2026-11-20,EUR,GBP,0.85\n2026-11-20,EUR,pounds,1\n2026-11-21,EUR,GBP,0\n"
    )
    found = {(fault.line, fault.code) for fault in read_fx(bad)[1]}
    assert found == {
        (3, "date_unclear"),
        (4, "currency_unknown"),
        (5, "rate_invalid"),
        (6, "rates_overlap"),
        (7, "currency_unknown"),
        (8, "rate_invalid"),
    }
    assert [fault.code for fault in read_fx(b"USD,JPY\n1,2\n")[1]] == ["column_missing"]
