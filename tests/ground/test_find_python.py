"""`tools/find-python` chooses the interpreter that everything runs on."""

from __future__ import annotations

import subprocess
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "find-python"


def stand_in(place: Path, *, starts: bool = True, optimised: bool = True) -> Path:
    """Something that answers what the tool asks of an interpreter."""
    place.parent.mkdir(exist_ok=True)
    answers = f"*enable-optimizations*) exit {not optimised:d};; *) exit {not starts:d};;"
    place.write_text(f'#!/bin/sh\ncase "$2" in {answers} esac\n')
    place.chmod(0o755)
    return place


def found(*folders: Path, python: str = "") -> str:
    path = ":".join(map(str, folders))
    done = subprocess.run(["/bin/sh", TOOL], env={"PATH": path, "PYTHON": python}, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_newest_optimised_interpreter_that_starts_is_taken(tmp_path: Path) -> None:
    shims, system = tmp_path / "shims", tmp_path / "system"
    stand_in(shims / "python3.14", starts=False)
    built = stand_in(shims / "python3.13", optimised=False)
    assert found(shims, system) == str(built)  # slow is better than none
    packaged = stand_in(system / "python3.11")
    assert found(shims, system) == str(packaged)
    newer = stand_in(system / "python3.12")
    assert found(shims, system) == str(newer)


def test_a_named_interpreter_is_taken_as_it_is(tmp_path: Path) -> None:
    stand_in(tmp_path / "system" / "python3.12")
    mine = stand_in(tmp_path / "mine" / "python3.11", optimised=False)
    assert found(tmp_path / "system", python=str(mine)) == str(mine)
