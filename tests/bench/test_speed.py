"""`python -m bench`, in small: the cases run, count every message, and leave their figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import speed
from bench.cases import CASES, HttpAccept, Smpp
from bench.databases import opened
from bench.kit import Failed, Kit, Sink


def test_a_case_leaves_the_figures_of_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "latest.json"
    words = ["--case", "http", "--store", "sqlite", "--count", "100", "--runs", "1", "--output", str(file)]
    assert speed.main(words) == 0
    [row] = json.loads(file.read_text())
    assert (row["case"], row["store"], row["must"], row["aim"], row["count"]) == ("http", "sqlite", 3000, 6000, 100)
    assert row["rate"] > 0 < row["cpu_us"]
    assert row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
    assert row["rss_mib"] > 20
    assert "http sqlite" in capsys.readouterr().out


def test_a_lost_message_is_no_figure(tmp_path: Path) -> None:
    with opened("sqlite") as database:
        case = Smpp(Kit(), tmp_path, database)
        case.operator = Sink(case.kit, "sink", tmp_path)
        try:
            case.verify(0)
            with pytest.raises(Failed, match="-1 submits"):
                case.verify(1)
        finally:
            case.operator.stop()


def test_two_nodes_share_the_load_and_only_on_postgresql() -> None:
    plan = speed.plan(speed.options(["--case", "http", "--case", "idle"]))
    assert [(kind.name, store, nodes) for kind, store, nodes in plan] == [
        ("http", "sqlite", 1),
        ("idle", "sqlite", 1),
        ("http", "postgres", 1),
        ("idle", "postgres", 1),
        ("http", "postgres", 2),
    ]


def test_what_was_not_measured_now_stays_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    assert speed.known(file) == []
    file.write_text('{"results": {}}')
    assert speed.known(file) == []
    file.write_text('[{"case": "http"}]')
    assert speed.known(file) == [{"case": "http"}]


def test_every_case_says_what_it_does() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.words for case in CASES)
    assert not HttpAccept.receipts
