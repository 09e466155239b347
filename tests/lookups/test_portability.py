"""National portability files: built, searched, damaged, replaced under load, killed."""

import gc
import io
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.lookups.model import NOT_COVERED, Findings, Told
from chappe.lookups.portability import Columns, Faulty, Files, Index, Origin, PortabilityError, build
from chappe.lookups.portability.sorting import ordered
from chappe.numbers import parse

OPERATORS = {one: one for one in ("20801", "20810", "20815", "20820")} | {"D2": "20820", "free": "20815"}
ORIGIN = Origin(source="ported.csv", date=date(2026, 11, 1), complete=True)
PLAIN = Columns(number="number", operator="operator")
DELTA = Columns(number="number", operator="operator", action="action")


def table(*rows: str, header: str = "number;operator") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def made(folder: Path, source, *, name: str = "new.index", **options) -> Index:
    target = folder / name
    given = {"country": "FR", "columns": PLAIN, "operators_map": OPERATORS, "origin": ORIGIN}
    build(source, target, **(given | options))
    return Index.open(target, verify=True)


def replace(files: Files, source, country: str = "FR", **options):
    given = {"columns": PLAIN, "operators_map": OPERATORS, "origin": ORIGIN}
    return files.replace(country, source, **(given | options))


def amend(files: Files, source, **options):
    given = {"columns": DELTA, "operators_map": OPERATORS, "name": "changes.csv", "day": date(2026, 11, 2)}
    return files.amend("FR", source, **(given | options))


# building and searching

# few and close together, so that they repeat and share buckets, and far apart, so that there are several
FRENCH = st.one_of(
    st.integers(33_600_000_000, 33_600_000_040),
    st.integers(33_600_065_500, 33_600_065_600),
    st.integers(33_100_000_000, 33_799_999_999),
)
DAYS = st.integers(1, 4)
ROWS = st.lists(st.tuples(FRENCH, st.sampled_from(["20801", "20810", "20815"]), DAYS), min_size=1, max_size=60)


def told_by(rows):
    """What a dictionary makes of rows: the latest date wins; None when they contradict each other."""
    latest, held = {}, {}
    for number, operator, day in rows:
        if (number, day) in held and held[number, day] != operator:
            return None
        held[number, day] = operator
        if day >= latest.get(number, (0, ""))[0]:
            latest[number] = (day, operator)
    return {number: operator for number, (_, operator) in latest.items()}


@settings(max_examples=100)
@given(ROWS, st.integers(1, 50), st.randoms(use_true_random=False))
def test_an_index_says_what_a_dictionary_says(rows, chunk, chance):
    lines = [f"{number};{operator};2026-01-0{day}" for number, operator, day in rows]
    source = table(*lines, header="number;operator;date")
    wanted = told_by(rows)
    with tempfile.TemporaryDirectory() as folder:
        if wanted is None:
            with pytest.raises(Faulty) as refused:
                made(Path(folder), source, chunk=chunk)
            assert set(refused.value.counts) == {"rows_contradict"}
            assert list(Path(folder).iterdir()) == []
            return
        index = made(Path(folder), source, chunk=chunk)
        assert len(index) == len(wanted)
        assert [number for number, _ in index.items()] == sorted(wanted)
        asked = [*wanted, *(number + chance.choice((-1, 1, 65_536)) for number in wanted)]
        assert index.get_many([str(number) for number in asked]) == [wanted.get(number) for number in asked]


CHANGES = st.lists(st.tuples(FRENCH, st.sampled_from(["20801", "20810", "20820", ""])), max_size=40)


@settings(max_examples=60)
@given(ROWS.filter(told_by), CHANGES)
def test_changes_merge_into_a_new_version_as_into_a_dictionary(rows, changes):
    wanted = told_by(rows)
    keep = 33_699_999_999
    changes = dict(changes) | {keep: "20801"}  # one stays: an index is never empty
    lines = [f"{number};{operator};{'add' if operator else 'REMOVE'}" for number, operator in changes.items()]
    with tempfile.TemporaryDirectory() as folder:
        base = made(Path(folder), table(*(f"{number};{operator}" for number, operator in wanted.items())))
        source = table(*lines, header="number;operator;action")
        index = made(Path(folder), source, name="next.index", columns=DELTA, base=base)
        merged = {number: operator for number, operator in (wanted | changes).items() if operator}
        assert dict(zip(merged, index.get_many([str(one) for one in merged]), strict=True)) == merged
        assert [number for number, _ in index.items()] == sorted(merged)
        assert len(base) == len(wanted)  # what is in force is never touched


@given(st.lists(st.binary(min_size=5, max_size=5), max_size=300), st.integers(1, 40))
def test_sorting_on_the_disk_is_sorting(records, chunk):
    with tempfile.TemporaryDirectory() as folder:
        assert list(ordered(records, 5, Path(folder), chunk)) == sorted(records)
        assert list(ordered(sorted(records), 5, Path(folder), chunk)) == sorted(records)
        assert list(Path(folder).iterdir()) == []


def test_many_rows_in_many_runs(tmp_path):
    chance = random.Random(2)
    wanted = {33_600_000_000 + n: chance.choice(["20801", "20810"]) for n in chance.sample(range(10_000_000), 70_000)}
    index = made(tmp_path, table(*(f"{number};{operator}" for number, operator in wanted.items())), chunk=9_000)
    assert len(index) == 70_000
    assert index.get_many([str(number) for number in wanted]) == list(wanted.values())
    numbers = [number for number, _ in index.items()]
    assert numbers == sorted(wanted)
    assert not any(index.get_many([str(number + 1) for number in wanted if number + 1 not in wanted]))


def test_giving_and_taking_away_on_one_date_go_in_the_order_of_lines(tmp_path):
    rows = ("33612345670;;remove", "33612345670;free;add", "33612345671;free;add", "33612345671;;remove")
    index = made(tmp_path, table(*rows, header="number;operator;action"), columns=DELTA)
    assert index.get_many(["33612345670", "33612345671"]) == ["20815", None]


def test_more_operators_than_an_octet_counts(tmp_path):
    operators = {str(20_000 + code): str(20_000 + code) for code in range(600)}
    rows = [f"{33_600_000_000 + 7 * at};{operator}" for at, operator in enumerate(operators)]
    index = made(tmp_path, table(*rows), operators_map=operators)
    assert index.get_many([row.split(";")[0] for row in rows]) == list(operators)


def test_what_an_index_tells_of_itself(tmp_path):
    index = made(tmp_path, table("33612345678;20801", "33612345678;20801", "33612345679;D2"))
    assert (index.meta.country, index.meta.origin) == ("FR", ORIGIN)
    assert (index.meta.rows, index.meta.numbers, index.meta.in_doubt) == (3, 2, 0)
    assert index.meta.operators == ("", "20801", "20820")
    assert (index.get("33612345679"), index.get("33612345670"), index.get("1")) == ("20820", None, None)


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (b"\xef\xbb\xbfMSISDN,Recipient operator\r\n+33612345678,FREE\r\n", {"columns": Columns()}),
        (b"0033612345678|free\n", {"columns": Columns(number=1, operator=2)}),
        (b"a;tel;b;mcc;mnc\n;0612345678;;208;15\n", "national"),
        ("tel;opérateur\n612345678;Bouygues Télécom\n".encode("cp1252"), "latin"),
        (b'"number","operator","date"\n"33612345678","free","31/12/2025 23:10"\n', "dated"),
        (b"number\toperator\n33612345678\t free \n\n", {}),
    ],
    ids=[
        "usual headers",
        "positions",
        "national, MCC and MNC",
        "other encoding",
        "date format",
        "tabs and a blank line",
    ],
)
def test_files_of_many_layouts(tmp_path, source, options):
    if options == "national":
        columns = Columns(number="tel", operator=("mcc", "mnc"), national=True)
        options = {"columns": columns, "operators_map": {"20815": "20815"}}
    elif options == "latin":
        columns = Columns(number="tel", operator="opérateur", national=True, encoding="cp1252")
        options = {"columns": columns, "operators_map": OPERATORS | {"bouygues TÉLÉCOM": "20815"}}
    elif options == "dated":
        options = {"columns": Columns(number="number", operator="operator", date="date", date_format="%d/%m/%Y %H:%M")}
    assert made(tmp_path, source, **options).get("33612345678") == "20815"


def test_a_file_is_read_from_a_path_an_open_file_or_pieces(tmp_path):
    data = table("33612345678;free", "33612345679;20801")
    (tmp_path / "ported.csv").write_bytes(data)
    pieces = [data[at : at + 5] for at in range(0, len(data), 5)]
    for source in (tmp_path / "ported.csv", io.BytesIO(data), pieces):
        assert made(tmp_path, source).get_many(["33612345678", "33612345679"]) == ["20815", "20801"]


def test_the_time_of_day_decides_and_zones_count(tmp_path):
    rows = ("33612345678;20801;2026-01-02T00:30:00+02:00", "33612345678;20810;2026-01-01T23:00:00Z")
    index = made(tmp_path, table(*rows, header="number;operator;date"), columns=Columns())
    assert index.get("33612345678") == "20810"


def test_progress_rises_to_all_rows_and_octets(tmp_path):
    data = table(*(f"{33_600_000_000 + at};free" for at in range(40_000)))
    told = []
    made(tmp_path, data, progress=lambda rows, octets: told.append((rows, octets)))
    assert told == sorted(told) and len(told) > 2
    assert told[-1] == (40_000, len(data))


def test_who_is_told_of_progress_can_break_off(tmp_path):
    def enough(rows, octets):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, table("33612345678;free"), progress=enough)
    assert list(tmp_path.iterdir()) == []


# broken lines

BROKEN = [
    ("abc;20801", "number_not_e164"),
    ("٣٣٦١٢٣٤٥٦٧٨;20801", "number_not_e164"),
    ("3361234567;20801", "number_impossible"),
    ("336123456789;20801", "number_impossible"),
    ("447700900123;20801", "number_wrong_country"),
    (";20801", "value_missing"),
    ("33612345678;99999", "operator_unknown"),
    ("33612345678;", "operator_unknown"),
]


@pytest.mark.parametrize(("line", "code"), BROKEN)
def test_a_broken_line_is_told_and_nothing_is_applied(tmp_path, line, code):
    with pytest.raises(Faulty) as refused:
        made(tmp_path, table("33600000000;20801", line, "33600000001;20801"))
    assert [(fault.line, fault.code) for fault in refused.value.faults] == [(3, code)]
    assert refused.value.counts == {code: 1}
    assert refused.value.code == "portability_faults"
    assert "3361234567" not in str(refused.value)  # whose number it is, is nobody's business
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "31/12/2025"])
def test_a_date_that_is_none_is_a_fault(tmp_path, text):
    with pytest.raises(Faulty) as refused:
        made(tmp_path, table(f"33612345678;20801;{text}", header="number;operator;date"), columns=Columns())
    assert refused.value.counts == {"date_invalid": 1}


def test_an_action_that_is_none_is_a_fault(tmp_path):
    with pytest.raises(Faulty) as refused:
        made(tmp_path, table("33612345678;20801;maybe", header="number;operator;action"), columns=DELTA)
    assert refused.value.counts == {"action_unknown": 1}


def test_two_operators_on_one_date_contradict_each_other_by_line(tmp_path):
    rows = ("33600000009;20801;2026-01-01", "33600000001;free;2026-01-01", "33600000009;20810;2026-01-01")
    with pytest.raises(Faulty) as refused:
        made(tmp_path, table(*rows, "x;free;2026-01-01", header="number;operator;date"), columns=Columns())
    assert [(fault.line, fault.code) for fault in refused.value.faults] == [
        (4, "rows_contradict"),
        (5, "number_not_e164"),
    ]
    assert "line 2" in refused.value.faults[0].message


def test_a_hundred_faults_are_told_and_all_are_counted(tmp_path):
    rows = [f"{33_600_000_000 + at};nobody" for at in range(250)] + ["x;free"] * 30
    with pytest.raises(Faulty) as refused:
        made(tmp_path, table(*rows))
    assert [fault.line for fault in refused.value.faults] == list(range(2, 102))
    assert refused.value.counts == {"operator_unknown": 250, "number_not_e164": 30}


def test_faults_up_to_the_limit_are_left_out_and_their_numbers_in_doubt(tmp_path):
    files = Files(tmp_path)
    rows = ("33612345670;20801", "33612345671;nobody", "33612345672;20801", "33612345672;20810", "?;free")
    with pytest.raises(Faulty):
        replace(files, table(*rows), max_faults=2)
    assert files.countries == ()
    built = replace(files, table(*rows), max_faults=3)
    assert built.meta.faults == {"operator_unknown": 1, "number_not_e164": 1, "rows_contradict": 1}
    assert [fault.line for fault in built.faults] == [3, 5, 6]
    assert built.meta.in_doubt == 2
    told = [files.find(parse(f"+3361234567{last}")) for last in range(4)]
    assert told[0] == Told("answer", Findings(current="20801", ported=True))
    assert [one.outcome for one in told[1:3]] == ["not_covered", "not_covered"]
    assert told[3] == Told("answer", Findings(ported=False))


@pytest.mark.parametrize(
    ("source", "columns", "code"),
    [
        (b"", PLAIN, "empty"),
        (b"tel;op\n33612345678;20801\n", PLAIN, "column_missing"),
        (b"number;op\n33612345678;20801\n", Columns(), "column_missing"),
        (b"33612345678;20801\n", Columns(number=1, operator=7), "column_missing"),
        (b"PK\x03\x04 sheet", PLAIN, "not_text"),
        (b"number;operator\n33612345678;20801\n\xff\xfe;20801\n", Columns(encoding="utf-8"), "encoding_broken"),
        (b"number;operator\n33612345678;20801\n" + b"3" * 100_000, PLAIN, "line_too_long"),
        (b'number;operator\n"33612345678;20801\n' + b"33612345679;20801\n" * 300, PLAIN, "quoting_broken"),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end_is_never_allowed(tmp_path, source, columns, code):
    with pytest.raises(Faulty) as refused:
        made(tmp_path, source, columns=columns, max_faults=1_000_000)
    assert code in refused.value.counts
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"country": "XX"}, "portability_country"),
        ({"country": "001"}, "portability_country"),
        ({"operators_map": {"free": "Free"}}, "portability_operators"),
        ({"operators_map": {"free": "208"}}, "portability_operators"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_reading(tmp_path, options, code):
    with pytest.raises(PortabilityError) as refused:
        made(tmp_path, table("33612345678;free"), **options)
    assert refused.value.code == code


def test_a_file_without_ported_numbers_is_refused(tmp_path):
    with pytest.raises(PortabilityError) as refused:
        made(tmp_path, b"number;operator\n")
    assert refused.value.code == "portability_empty"
    with pytest.raises(PortabilityError) as refused:
        made(tmp_path, table("33612345678;;remove", header="number;operator;action"), columns=DELTA)
    assert refused.value.code == "portability_empty"


@pytest.mark.parametrize(
    ("country", "number", "right"),
    [
        ("RU", "79161234567", True),
        ("RU", "77011234567", False),
        ("KZ", "77011234567", True),
        ("KZ", "79161234567", False),
        ("US", "12125550123", True),
        ("US", "18765550123", False),  # Jamaica
        ("GB", "447700900123", True),
        ("DE", "4915112345678", True),
        ("IT", "393331234567", True),
    ],
)
def test_countries_that_share_a_calling_code_are_told_apart(tmp_path, country, number, right):
    if right:
        assert made(tmp_path, table(f"{number};free"), country=country).get(number) == "20815"
        return
    with pytest.raises(Faulty) as refused:
        made(tmp_path, table(f"{number};free"), country=country)
    assert refused.value.counts == {"number_wrong_country": 1}


# damaged indexes


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    made(folder, table("33612345678;20801", "33612345679;free", "33712345679;D2"))
    return (folder / "new.index").read_bytes()


def test_an_index_cut_short_or_too_long_is_refused(tmp_path, sound):
    path = tmp_path / "FR.index"
    for data in (*(sound[:length] for length in range(len(sound))), sound + b"\0"):
        path.write_bytes(data)
        with pytest.raises(PortabilityError) as refused:
            Index.open(path)
        assert refused.value.code == "portability_corrupt"
        assert "FR.index" in refused.value.message


def test_an_index_with_any_wrong_octet_is_refused(tmp_path, sound):
    path = tmp_path / "FR.index"
    for at in range(len(sound)):
        for mask in (0x01, 0x80):
            path.write_bytes(sound[:at] + bytes([sound[at] ^ mask]) + sound[at + 1 :])
            with pytest.raises(PortabilityError):
                Index.open(path, verify=True)


@given(st.binary(max_size=200))
def test_noise_is_no_index(noise):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "FR.index"
        for data in (noise, b"CHAPPENP" + noise, b"CHAPPENP\1\0\0\0" + noise):
            path.write_bytes(data)
            with pytest.raises(PortabilityError):
                Index.open(path)


# the folder


def test_a_new_version_is_in_force_at_once_and_the_one_before_is_kept_for_undo(tmp_path):
    files = Files(tmp_path)
    replace(files, table("33612345678;20801"))
    replace(files, table("33612345678;20810"))
    replace(files, table("33612345678;free"))
    assert files.get("33612345678", "FR") == "20815"
    assert len(list(tmp_path.glob("*.index"))) == 2
    files.undo("FR")
    assert files.get("33612345678", "FR") == "20810"
    files.undo("FR")
    assert files.get("33612345678", "FR") == "20815"
    assert Files(tmp_path).get("33612345678", "FR") == "20815"  # also after a start


def test_without_a_version_before_there_is_no_undo(tmp_path):
    files = Files(tmp_path)
    replace(files, table("33612345678;20801"))
    with pytest.raises(PortabilityError) as refused:
        files.undo("FR")
    assert refused.value.code == "portability_nothing_previous"
    assert files.get("33612345678", "FR") == "20801"


def test_a_refused_file_leaves_the_version_in_force(tmp_path):
    files = Files(tmp_path)
    replace(files, table("33612345678;20801", "33612345679;20801", "33612345670;20801"))
    before = sorted(path.name for path in tmp_path.iterdir())
    for source, code in [
        (table("33612345678;nobody"), "portability_faults"),
        (table("33612345678;20810"), "portability_shrunk"),
        (b"", "portability_faults"),
    ]:
        with pytest.raises(PortabilityError) as refused:
            replace(files, source)
        assert refused.value.code == code
    assert files.get("33612345678", "FR") == "20801"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    replace(files, table("33612345678;20810"), least_share=0)
    assert files.get("33612345678", "FR") == "20810"


def test_changes_apply_to_the_version_in_force_twice_as_once(tmp_path):
    files = Files(tmp_path)
    with pytest.raises(PortabilityError) as refused:
        amend(files, table("33612345678;free;add", header="number;operator;action"))
    assert refused.value.code == "portability_nothing_current"
    replace(files, table("33612345670;20801", "33612345671;20801", "33612345672;20801"))
    changes = table(
        *("33612345670;;remove", "33612345671;;remove", "33612345671;free;add", "33612345673;D2;add"),
        header="number;operator;action",
    )
    for _ in range(2):
        amend(files, changes)
        told = [files.get(f"3361234567{last}", "FR") for last in range(4)]
        assert told == [None, "20815", "20801", "20820"]
    meta = files.index("FR").meta
    assert (meta.origin.source, meta.origin.date, meta.origin.complete) == ("changes.csv", date(2026, 11, 2), True)
    with pytest.raises(PortabilityError) as refused:
        amend(files, changes, day=date(2026, 11, 1))
    assert refused.value.code == "portability_stale"


def test_a_number_that_is_not_listed_is_not_ported_where_the_file_is_complete(tmp_path):
    files = Files(tmp_path)
    replace(files, table("33612345678;20801"))
    mobile, fixed = parse("+33612345670"), parse("+33142345678")
    assert files.find(mobile) == Told("answer", Findings(ported=False))
    assert files.find(fixed) == NOT_COVERED
    replace(files, table("33612345678;20801"), origin=Origin(source="part.csv", date=date(2026, 11, 1)))
    assert files.find(mobile) == NOT_COVERED
    assert files.find(parse("+447400123456")) == NOT_COVERED  # no file of that country


async def test_it_answers_as_a_source_of_lookups(tmp_path):
    files = Files(tmp_path)
    replace(files, table("33612345678;20801"))
    told = await files.ask(["33612345678", "33612345679", "447400123456", "999", "x"])
    assert told == [
        Told("answer", Findings(current="20801", ported=True)),
        Told("answer", Findings(ported=False)),
        *[NOT_COVERED] * 3,
    ]


def test_another_process_follows_by_refresh(tmp_path):
    ours, theirs = Files(tmp_path), Files(tmp_path)
    replace(theirs, table("33612345678;20801"))
    assert ours.get("33612345678", "FR") is None
    assert ours.refresh() == ("FR",)
    assert ours.get("33612345678", "FR") == "20801"
    assert ours.refresh() == ()
    replace(theirs, table("33612345678;20810"))
    assert ours.refresh() == ("FR",)
    theirs.undo("FR")
    assert ours.refresh() == ("FR",)
    assert ours.get("33612345678", "FR") == "20801"
    assert (ours.refresh(), theirs.refresh()) == ((), ())
    theirs.remove("FR")
    assert ours.refresh() == ("FR",)
    assert (ours.get("33612345678", "FR"), ours.countries) == (None, ())
    assert [path.name for path in tmp_path.iterdir()] == ["FR.lock"]


def test_one_import_at_a_time(tmp_path):
    files, other = Files(tmp_path), Files(tmp_path)
    refusals = []

    def meanwhile(rows, octets):
        with pytest.raises(PortabilityError) as refused:
            replace(other, table("33612345678;20810"))
        refusals.append(refused.value.code)
        replace(other, table("393331234567;20810"), country="IT")  # another country's is no matter

    replace(files, table("33612345678;20801"), progress=meanwhile)
    assert set(refusals) == {"portability_busy"}
    assert files.get("33612345678", "FR") == "20801"


def spoil(folder: Path, which: str) -> None:
    path = folder / json.loads((folder / "FR.json").read_text())[which]
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.unlink()  # not in place: it is mapped
    path.write_bytes(data)


def test_a_damaged_version_is_refused_and_the_one_that_is_open_stays(tmp_path):
    ours, theirs = Files(tmp_path), Files(tmp_path)
    replace(theirs, table("33612345678;20801"))
    ours.refresh()
    replace(theirs, table("33612345678;20810"))
    spoil(tmp_path, "current")
    assert ours.refresh() == ()
    assert ours.get("33612345678", "FR") == "20801"
    assert ours.troubles["FR"].code == "portability_corrupt"
    replace(ours, table("33612345678;free"))
    assert ours.get("33612345678", "FR") == "20815"
    assert ours.troubles == {}


def test_at_the_start_the_version_before_serves_for_a_damaged_one(tmp_path):
    files = Files(tmp_path)
    replace(files, table("33612345678;20801"))
    replace(files, table("33612345678;20810"))
    spoil(tmp_path, "current")
    started = Files(tmp_path)
    assert started.get("33612345678", "FR") == "20801"
    assert "damaged" in started.troubles["FR"].message
    replace(started, table("33612345678;free"))
    started.undo("FR")  # not to the damaged one
    assert started.get("33612345678", "FR") == "20801"


def test_undo_to_a_damaged_version_is_refused(tmp_path):
    files = Files(tmp_path)
    replace(files, table("33612345678;20801"))
    replace(files, table("33612345678;20810"))
    spoil(tmp_path, "previous")
    with pytest.raises(PortabilityError) as refused:
        files.undo("FR")
    assert refused.value.code == "portability_corrupt"
    assert files.get("33612345678", "FR") == "20810"


def test_a_damaged_pointer_is_told_and_can_be_removed(tmp_path):
    replace(Files(tmp_path), table("33612345678;20801"))
    (tmp_path / "FR.json").write_text("{")
    files = Files(tmp_path)
    assert files.troubles["FR"].code == "portability_corrupt"
    with pytest.raises(PortabilityError):
        replace(files, table("33612345678;20801"))
    files.remove("FR")
    replace(files, table("33612345678;20801"))
    assert files.get("33612345678", "FR") == "20801"


@pytest.mark.parametrize("country", ["../x", "fr", "XX", ""])
def test_a_country_is_no_path(tmp_path, country):
    with pytest.raises(PortabilityError) as refused:
        replace(Files(tmp_path), table("33612345678;20801"), country=country)
    assert refused.value.code == "portability_country"
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from chappe.lookups.portability import Columns, Files, Origin
from chappe.lookups.portability import files as module

rows, at = int(sys.argv[2]), sys.argv[3]
data = b"number;operator\\n" + b"".join(b"%d;20810\\n" % (33600000000 + n) for n in range(rows))
def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def progress(told, octets):
    if at == "reading":
        end()
if at == "pointing":
    module.Files._point = end
if at == "renaming":
    os.replace = end
Files(Path(sys.argv[1])).replace("FR", data, columns=Columns(), operators_map={"20810": "20810"},
    origin=Origin(source="new", date=date(2026, 11, 2)), progress=progress)
"""


@pytest.mark.parametrize("at", ["reading", "renaming", "pointing"])
def test_a_kill_during_an_import_leaves_the_old_version_and_the_next_import_cleans_up(tmp_path, at):
    replace(Files(tmp_path), table("33600000000;20801"))
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "20000", at], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) > 3  # pointer, lock, index, and what it left
    files = Files(tmp_path)
    assert files.get("33600000000", "FR") == "20801"
    replace(files, table("33600000000;free"))
    assert files.get("33600000000", "FR") == "20815"
    files.undo("FR")
    assert files.get("33600000000", "FR") == "20801"
    assert len(list(tmp_path.iterdir())) == 4


def test_replacing_under_readers_never_gives_a_wrong_answer_and_frees_the_old(tmp_path):
    files = Files(tmp_path)
    chance = random.Random(1)
    listed = [str(33_600_000_000 + n) for n in chance.sample(range(10_000_000), 1000)]
    others = [str(33_700_000_000 + n) for n in range(500)]
    versions = ["20801", "20810", "20815"]
    replace(files, table(*(f"{one};20801" for one in listed)))
    first = weakref.ref(files.index("FR"))
    done = threading.Event()
    wrong: list[object] = []
    looked = [0, 0, 0]

    def read(which: int) -> None:
        mine = random.Random(which)
        try:
            while not done.wait(0.0005):  # the writer needs the interpreter, too
                for _ in range(50):
                    if files.get(mine.choice(listed), "FR") not in versions or files.get(mine.choice(others), "FR"):
                        wrong.append("an answer of no version")
                looked[which] += 50
        except Exception as error:
            wrong.append(error)

    readers = [threading.Thread(target=read, args=(which,)) for which in range(3)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(8):
            replace(files, table(*(f"{one};{versions[turn % 3]}" for one in listed)))
            assert files.get(listed[0], "FR") == versions[turn % 3]
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert min(looked) > 100
    gc.collect()
    assert first() is None  # unmapped with its last reader


def test_a_reader_keeps_its_index_after_it_was_replaced_and_removed(tmp_path):
    files = Files(tmp_path)
    replace(files, table("33612345678;20801"))
    held = files.index("FR")
    files.remove("FR")
    assert not held.path.exists()
    assert held.get("33612345678") == "20801"
