"""Locks the dependencies: `write` resolves them into requirements/, `check` tells whether pyproject.toml has moved on.

`requirements/run.txt` is what Chappe needs to run, `requirements/dev.txt` the same and what its tests and checks need.
Both hold every wheel's hash for all platforms and Pythons we support, and the build backend, so that the package itself
can be installed without build isolation. The first line of each carries a digest of the requirements that it answers:
this makes the check exact, quick and offline.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
MARK = "# Made by `make lock` from pyproject.toml, requirements digest "


def wanted() -> dict[str, list[str]]:
    """The requirements of each lock file, as pyproject.toml states them."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run = sorted(pyproject["project"]["dependencies"] + pyproject["build-system"]["requires"])
    return {"run": run, "dev": sorted(run + pyproject["project"]["optional-dependencies"]["dev"])}


def headline(requirements: list[str]) -> str:
    return MARK + hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]


def write() -> None:
    """Resolve both files with uv; pins that still fit are kept unless `--upgrade` is given."""
    LOCKS.mkdir(exist_ok=True)
    for name, requirements in wanted().items():
        path = LOCKS / f"{name}.txt"
        command = [sys.executable, "-m", "uv", "pip", "compile", "-", "--output-file", str(path), "--quiet"]
        command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
        # Neither a host nor a path of the locking machine may end up in the file.
        command += ["--no-config", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        if name != "run":
            command += ["--constraint", str(LOCKS / "run.txt")]  # tests meet the versions that users run
        command += sys.argv[2:]
        subprocess.run(command, input="\n".join(requirements), text=True, check=True)
        path.write_text(headline(requirements) + "\n" + path.read_text())


def check() -> int:
    """Exit status: 0 when both lock files answer today's pyproject.toml."""
    stale = 0
    for name, requirements in wanted().items():
        path = LOCKS / f"{name}.txt"
        if not path.exists() or path.read_text().partition("\n")[0] != headline(requirements):
            sys.stderr.write(f"{path.relative_to(ROOT)} does not answer pyproject.toml: run `make lock`\n")
            stale = 1
    return stale


if __name__ == "__main__":
    match sys.argv[1:2]:
        case ["write"]:
            write()
        case ["check"]:
            sys.exit(check())
        case _:
            sys.exit("usage: lock.py write [uv options such as --upgrade] | check")
