"""Tables as strangers write them, and as they break them."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.tabular import Column, Faults, Limits, Table, Unreadable, sniff

COLUMNS = (
    Column("number", ("telefon", "numéro", "номер")),
    Column("operator", ("opérateur", "оператор")),
    Column("note", ("remarque",), required=False),
)


def read(data, columns=COLUMNS, **options):
    table = Table(data.encode() if isinstance(data, str) else data, columns, **options)
    return list(table), table


def codes(table):
    return [(fault.line, fault.column, fault.code) for fault in table.faults]


def test_a_plain_table_gives_its_rows_with_their_lines():
    rows, table = read("number,operator,note\n33612,Orange,\n33698,SFR,hello\n")
    assert rows == [(2, ("33612", "Orange", "")), (3, ("33698", "SFR", "hello"))]
    assert not table.faults
    assert table.positions == {"number": 1, "operator": 2, "note": 3}
    assert table.dialect == ("utf-8", ",")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_delimiter_and_line_ends_are_recognised(delimiter, ending):
    text = ending.join(delimiter.join(row) for row in (("number", "operator"), ("33612", "Orange"), ("33698", "SFR")))
    rows, table = read(text)
    assert [values[:2] for _, values in rows] == [("33612", "Orange"), ("33698", "SFR")]
    assert [line for line, _ in rows] == [2, 3]
    assert table.dialect.delimiter == delimiter


def test_a_decimal_comma_does_not_pass_for_a_delimiter():
    rows, table = read("number;operator;note\n1;a;0,05\n2;b;0,07\n3;c;0,1\n")
    assert table.dialect.delimiter == ";"
    assert rows[0] == (2, ("1", "a", "0,05"))


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        ("номер;оператор\n79161234567;МегаФон\n", "utf-8", "utf-8"),
        ("номер;оператор\n79161234567;МегаФон\n", "utf-8-sig", "utf-8"),
        ("номер;оператор\n79161234567;МегаФон\n", "utf-16", "utf-16"),
        ("номер;оператор\n79161234567;МегаФон\n", "cp1251", "cp1251"),
        ("numéro;opérateur\n33612;Société Générale à Orléans\n", "cp1252", "cp1252"),
        ("telefon;operator\n49171;Übertragung für Köln\n", "latin-1", "cp1252"),
        ("telefon;operator\n49171;plain\n", "ascii", "utf-8"),
    ],
)
def test_encodings_are_recognised_and_headers_in_several_languages(text, encoding, found):
    rows, table = read(text.encode(encoding))
    assert not table.faults
    assert table.dialect.encoding == found
    assert rows[0][1][1] == text.splitlines()[1].split(";")[1]


def test_a_declared_encoding_is_taken_as_it_is():
    data = "number;operator\n1;Жёлтый\n".encode("koi8-r")
    assert read(data, encoding="KOI8-R")[0][0][1][1] == "Жёлтый"
    assert read(data, encoding="rot13")[1].faults.first[0].code == "encoding_unknown"


def test_headers_are_compared_without_case_accents_and_punctuation():
    rows, table = read("  NUMERO ;Remarque;OPÉRATEUR\n1;x;y\n")
    assert rows == [(2, ("1", "y", "x"))]
    assert table.positions == {"number": 1, "operator": 3, "note": 2}


def test_columns_are_mapped_by_header_or_position():
    text = "a;b;c\n1;2;3\n"
    assert read(text, mapping={"number": "C", "operator": "a"})[0] == [(2, ("3", "1", ""))]
    assert read(text, mapping={"number": 2, "operator": "a"})[0] == [(2, ("2", "1", ""))]
    assert read(text, mapping={"number": 1, "operator": 3})[0] == [(1, ("a", "c", "")), (2, ("1", "3", ""))]
    assert read(text, mapping={"number": 1, "operator": 3}, header=True)[0] == [(2, ("1", "3", ""))]


@pytest.mark.parametrize(
    ("text", "mapping", "expected"),
    [
        ("number;carrier\n1;2\n", {}, (1, "operator", "column_missing")),
        ("number;operator;operator\n1;2;3\n", {}, (1, "operator", "column_ambiguous")),
        ("number;operator\n1;2\n", {"operator": 3}, (1, "operator", "column_missing")),
        ("number;operator\n1;2\n", {"operator": "owner"}, (1, "operator", "column_missing")),
        ("number;operator\n1;2\n", {"price": 2}, (0, "price", "column_unknown")),
    ],
)
def test_columns_that_cannot_be_placed_give_no_rows_but_a_reason(text, mapping, expected):
    rows, table = read(text, mapping=mapping)
    assert rows == []
    assert expected in codes(table)


def test_broken_rows_are_told_by_line_and_the_others_are_read():
    rows, table = read(
        "number;operator;note\n"
        "1;a;x\n"
        "2\n"  # too short
        ";b;\n"  # no number
        "3;c;x;y\n"  # shifted
        '4;"d"d;x\n'  # quotes
        "\n"
        ";;;\n"
        "5;e;x;;\n"  # bare delimiters at the end are harmless
    )
    assert [line for line, _ in rows] == [2, 9]
    assert codes(table) == [
        (3, "", "row_too_short"),
        (4, "number", "value_missing"),
        (5, "", "row_too_long"),
        (6, "", "quoting_broken"),
    ]


def test_cells_may_hold_line_breaks_delimiters_and_quotes():
    rows, table = read('number;operator\n1;"a;\r\n""b"""\n2;c\n')
    assert not table.faults
    assert rows == [(2, ("1", 'a;\n"b"', "")), (4, ("2", "c", ""))]


def test_quotes_within_a_cell_that_has_none_around_it_are_letters():
    assert read('number;operator\n1;ООО "Т2 Мобайл"\n')[0] == [(2, ("1", 'ООО "Т2 Мобайл"', ""))]


def test_a_quote_that_is_never_closed_ends_the_table_where_it_opened():
    rows, table = read('number;operator\n1;a\n2;"b\n' + "3;c\n" * 1000)
    assert [line for line, _ in rows] == [2]
    assert codes(table) == [(3, "", "quoting_broken")]
    rows, table = read('number;operator\n1;a\n2;"b\n3;c')
    assert codes(table) == [(3, "", "quoting_broken")]


def test_bytes_that_are_not_the_encoding_are_told_by_line():
    data = b"number;operator\n" + b"1;a\n" * 40_000 + b"2;caf\xe9\n3;b\n"
    rows, table = read(data)
    assert codes(table) == [(40_002, "", "encoding_broken")]
    assert rows[-1][0] <= 40_001


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"\n\n;;\n", "empty"),
        (b"PK\x03\x04rest", "not_text"),
        (b"\x1f\x8b\x08\x00", "not_text"),
        (b"\x00\x01\x02\x00number", "not_text"),
    ],
)
def test_what_is_no_table_is_told_so(data, code):
    rows, table = read(data)
    assert rows == []
    assert codes(table) == [(0, "", code)]


def test_limits_end_a_table_with_a_fault():
    text = "number;operator\n" + "1;a\n" * 10
    rows, table = read(text, limits=Limits(rows=3))
    assert len(rows) == 3
    assert codes(table) == [(5, "", "too_many_rows")]
    assert codes(read(text, limits=Limits(bytes=20))[1]) == [(0, "", "too_many_bytes")]
    assert codes(read(text + "2;" + "b" * 99 + "\n", limits=Limits(cell=50))[1]) == [(12, "operator", "cell_too_long")]
    assert codes(read(text + "2;" + "b" * 99 + "\n", limits=Limits(line=50))[1]) == [(12, "", "line_too_long")]


class Endless(io.RawIOBase):
    """A file without an end; `given` counts what was read of it."""

    def __init__(self, start, rest):
        self.start, self.rest, self.given = start, rest, 0

    def read(self, size=-1):
        data = self.start + self.rest * (size // len(self.rest))
        self.start, self.given = b"", self.given + len(data)
        return data


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (b"x" * 1000, "line_too_long"),  # no line break at all
        (b'","\n', "quoting_broken"),  # a record that never ends: each line closes one quote and opens the next
    ],
)
def test_bombs_are_defused_with_little_memory(rest, code):
    source = Endless(b'number,operator\n1,"', rest)
    tracemalloc.start()
    try:
        rows, table = read(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == []
    assert code in table.faults.counts
    assert source.given < 1 << 20
    assert peak < 8 << 20


def test_a_long_table_is_streamed():
    class Long(Endless):
        def read(self, size=-1):
            return b"" if self.given > 1 << 20 else super().read(size)

    table = Table(Long(b"number;operator\n", b"33612345678;Orange\n"), COLUMNS)
    tracemalloc.start()
    try:
        count = sum(1 for _ in table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == table.rows > 50_000
    assert peak < 1 << 20


def test_faults_keep_the_first_and_count_all():
    faults = Faults(keep=2)
    for line in range(5):
        faults.add(line, "number", "bad" if line < 4 else "worse", "it is bad")
    assert [fault.line for fault in faults] == [0, 1]
    assert faults.counts == {"bad": 4, "worse": 1}
    assert len(faults) == 5


def test_sniffing_alone_tells_the_dialect_or_why_there_is_none():
    assert sniff(b"a\tb\n1\t2\n") == ("utf-8", "\t")
    assert sniff("прайс;цена\n".encode("cp1251")) == ("cp1251", ";")
    assert sniff(b"a,b;c\n", delimiter=";") == ("utf-8", ";")
    with pytest.raises(Unreadable, match="Excel"):
        sniff(b"PK\x03\x04")
    with pytest.raises(Unreadable, match="parts no cells"):
        sniff(b"a,b", delimiter=",,")


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=12
)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.sampled_from(",;\t|"), st.integers(1, 40))
def test_what_a_csv_writer_writes_is_read_back_whatever_the_chunks(rows, delimiter, size):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(("number", "operator"))
    writer.writerows(rows)
    data = text.getvalue().encode()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    table = Table(chunks, COLUMNS, delimiter=delimiter)
    assert [values[:2] for _, values in table] == rows
    assert not table.faults


@given(st.binary(max_size=300), st.sampled_from((None, "utf-8", "cp1251", "utf-16", "utf-16-le")))
def test_no_bytes_make_it_raise(data, encoding):
    table = Table(data, COLUMNS, encoding=encoding)
    assert all(values[0] and values[1] for _, values in table)
    assert table.rows or table.faults
