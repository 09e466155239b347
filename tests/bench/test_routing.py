"""The bench of decisions, on a small table."""

from __future__ import annotations

import json
from pathlib import Path

from bench import routing


def test_decisions_are_measured_and_told(tmp_path: Path) -> None:
    output = tmp_path / "routing.json"
    small = ("--rules", "300", "--prefixes", "1800", "--messages", "4000")
    status = routing.main([*small, "--output", str(output)])
    [found] = json.loads(output.read_text())
    assert (found["rules"], found["prefixes"]) == (300, 1800)
    assert found["routed_percent"] > 50
    assert found["explained"] > 100  # the routes of other accounts are not
    assert 0 < found["decision_alone_median_us"] < found["median_us"] < found["p99_us"]
    assert status == (0 if found["met"] else 1)
