"""Half an hour (`CHAPPE_SOAK_MINUTES`) at 70% of the highest rate: every message whole, memory and latency flat.

`python -m bench soak` does the same and shows its figures.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from bench import soak
from bench.databases import STORES, opened

MINUTES = float(os.environ.get("CHAPPE_SOAK_MINUTES", "30"))


@pytest.mark.soak
@pytest.mark.parametrize("store", STORES)
def test_half_an_hour_of_load_leaves_memory_and_latency_flat(store: str, tmp_path: Path) -> None:
    with opened(store) as database:
        found = soak.run(database, MINUTES)
    file = tmp_path / "soak.json"
    file.write_text(json.dumps(found, indent=1))
    sys.stderr.write(f"{file}\n{json.dumps({k: v for k, v in found.items() if k not in ('samples', 'windows')})}\n")
    assert found["rate"] > 0.97 * found["offered_per_s"], "it fell behind the load"
    assert not found["complaints"]
