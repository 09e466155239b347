"""The bench of who may be written to, on small tables."""

from __future__ import annotations

import json
from pathlib import Path

from bench import consent


def test_questions_are_measured_and_told(tmp_path: Path) -> None:
    output = tmp_path / "consent.json"
    small = ("--suppressions", "500", "--consents", "1000", "--messages", "400", "--runs", "1", "--store", "sqlite")
    status = consent.main([*small, "--output", str(output)])
    [found] = json.loads(output.read_text())
    assert (found["store"], found["suppressions"], found["consents"]) == ("sqlite", 500, 1000)
    assert 0 < found["refused_percent"] < 60
    assert 0 < found["send_wall_us"] < found["both_wall_us"]
    assert status == (0 if found["met"] else 1)
