"""The bench of templates, with few messages."""

from __future__ import annotations

import json
from pathlib import Path

from bench import templates


def test_rendering_is_measured_apart_from_the_check_of_wording(tmp_path: Path) -> None:
    output = tmp_path / "templates.json"
    status = templates.main(["--messages", "1000", "--runs", "2", "--output", str(output)])
    found = {one["case"]: one for one in json.loads(output.read_text())}
    assert set(found) == {"plain", "filtered", "largest", "compiled", "wording", "wording known"}
    assert 0 < found["wording known"]["median_us"] < found["wording"]["median_us"]
    assert found["plain"]["median_us"] < found["filtered"]["median_us"] < found["largest"]["median_us"]
    assert status == (0 if all(one["met"] for one in found.values()) else 1)
