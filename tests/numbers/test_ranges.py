"""Number ranges: the longest prefix is the holder's, from-to becomes prefixes, contradictions are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.numbers import Operators, Range, Ranges, operators, portable, published_ranges
from chappe.numbers.ranges import conflicts, prefixes


def prefix(digits, mccmnc, region="", line=0):
    return Range(digits, digits, mccmnc, region, line)


def holder(ranges, digits):
    found = ranges.get(digits)
    return found and found.mccmnc


def test_the_longest_prefix_wins():
    ranges = Ranges([prefix("336", "20801"), prefix("33612", "20810"), prefix("3361234", "20820")])
    assert holder(ranges, "33601234567") == "20801"
    assert holder(ranges, "33612000000") == "20810"
    assert holder(ranges, "33612340000") == "20820"
    assert holder(ranges, "33712345678") is None
    assert holder(ranges, "33") is None
    assert holder(ranges, "") is None


def test_prefixes_of_any_length_are_found_beside_each_other():
    found = [prefix("7", "a"), prefix("79", "b"), prefix("790", "c"), prefix("7900", "d"), prefix("79001", "e")]
    ranges = Ranges(found)
    for digits, expected in (("71", "a"), ("791", "b"), ("7901", "c"), ("790022", "d"), ("790012", "e"), ("7", "a")):
        assert holder(ranges, digits) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("79000000000", "79000021999", ["7900000", "7900001", "79000020", "79000021"]),
        ("33600000000", "33609999999", ["3360"]),
        ("33600000000", "33619999999", ["3360", "3361"]),
        ("33612345678", "33612345678", ["33612345678"]),
        ("10", "99", ["1", "2", "3", "4", "5", "6", "7", "8", "9"]),
    ],
)  # fmt: skip
def test_a_range_becomes_the_fewest_prefixes(first, last, expected):
    assert prefixes(first, last) == expected


@given(st.integers(10_000, 99_999), st.integers(10_000, 99_999))
def test_prefixes_cover_a_range_exactly_and_none_could_be_joined(one, other):
    low, high = sorted((one, other))
    found = prefixes(str(low), str(high))
    covered = [n for text in found for n in range(int(text.ljust(5, "0")), int(text.ljust(5, "9")) + 1)]
    assert covered == list(range(low, high + 1))
    for text in found:
        assert len(text) == 1 or not all(text[:-1] + digit in found for digit in "0123456789")


@given(
    st.lists(
        st.tuples(st.text("0123456789", max_size=4), st.text("0123456789", max_size=4), st.sampled_from("ABC")),
        max_size=8,
    ),
    st.text("0123456789", min_size=6, max_size=6),
)
def test_a_look_up_finds_the_narrowest_range_that_covers_the_number(rows, rest):
    found = []
    for one, other, mccmnc in rows:
        low, high = sorted((("33" + one).ljust(6, "0"), ("33" + other).ljust(6, "0")))
        row = Range(low, high, mccmnc)
        if all(apart_or_nested(row, before) for before in found):
            found.append(row)
    number = "33" + rest
    covering = [row for row in found if row.extent[0] <= int(number.ljust(15, "0")) <= row.extent[1]]
    expected = min(covering, key=lambda row: row.extent[1] - row.extent[0]).mccmnc if covering else None
    assert holder(Ranges(found), number) == expected


def apart_or_nested(row, other):
    (low, high), (its_low, its_high) = row.extent, other.extent
    if high < its_low or its_high < low:
        return True
    return (low, high) != (its_low, its_high) and (
        (low <= its_low and its_high <= high) or (its_low <= low and high <= its_high)
    )


def test_a_range_of_somebody_unlisted_hides_the_wider_one():
    ranges = Ranges([prefix("33607", "20801"), prefix("3360712", "")])
    assert holder(ranges, "33607123456") is None
    assert holder(ranges, "33607223456") == "20801"


def test_a_piece_of_a_range_does_not_hide_the_prefix_within_it():
    ranges = Ranges([prefix("336123", "20810"), Range("3361200000", "3361259999", "20801")])
    assert holder(ranges, "33612300000") == "20810"
    assert holder(ranges, "33612400000") == "20801"


def test_regions_are_kept():
    ranges = Ranges([Range("79000000000", "79000061999", "25020", "Краснодарский край")])
    assert ranges.get("79000012345").region == "Краснодарский край"


def told(rows):
    return [(found.one.line, found.other.line, found.same) for found in conflicts(rows)]


def test_contradictions_are_found_and_nesting_of_prefixes_is_none():
    assert told([prefix("336", "A", line=1), prefix("33612", "B", line=2)]) == []
    assert told([prefix("336", "A", line=1), Range("33612000000", "33612999999", "B", line=2)]) == []
    assert told([prefix("336", "A", line=1), prefix("336", "A", line=2)]) == []
    assert told([prefix("336", "A", line=1), prefix("336", "B", line=2)]) == [(2, 1, True)]
    assert told([prefix("33612", "A", line=1), Range("33612000000", "33612999999", "B", line=2)]) == [(2, 1, True)]
    nested = [Range("33600", "33699", "A", line=1), Range("33610", "33619", "B", line=2)]
    assert told(nested) == [(2, 1, False)]
    crossing = [Range("33610", "33629", "B", line=1), Range("33600", "33615", "A", line=2)]
    assert told(crossing) == [(1, 2, False)]
    assert told([Range("33600", "33609", "A"), Range("33610", "33619", "B")]) == []


@given(st.lists(st.tuples(st.integers(100, 199), st.integers(0, 30), st.sampled_from("AB")), max_size=12))
def test_from_to_ranges_conflict_exactly_where_they_give_a_number_twice(rows):
    found = [Range(str(low), str(min(low + more, 199)), who, line=n) for n, (low, more, who) in enumerate(rows)]
    found = [row for row in found if row.first != row.last]
    owners = {}
    for row in found:
        for number in range(int(row.first), int(row.last) + 1):
            owners.setdefault(number, set()).add(row.mccmnc)
    assert bool(told(found)) == any(len(who) > 1 for who in owners.values())


def test_portability_follows_the_plans_unless_overridden():
    assert portable("FR") and portable("US") and portable("RU")
    assert not portable("CU")
    assert portable("CU", {"CU": True}) and not portable("FR", {"FR": False})
    assert portable("XX")  # no plan: the cautious answer
    assert not portable("001")


def test_the_published_ranges_know_the_first_holders():
    ranges = published_ranges(operators())
    assert len(ranges) > 1500
    assert holder(ranges, "33607123456") == "20801"  # 06 07: Orange, one of its first ranges
    assert holder(ranges, "79000012345") == "25020"  # 900: T2
    assert holder(ranges, "491711234567") == "26201"  # 0171: D1
    assert holder(ranges, "77011234567") is None  # Kazakhstan shares +7 and is not listed
    assert holder(ranges, "447624123456") == "23458"  # Manx Telecom, in +44
    assert len(published_ranges(Operators([]))) == 0
