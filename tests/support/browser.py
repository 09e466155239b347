"""A real Chromium: the system's own, without a download of a browser by a test tool.

Where it is missing, it is installed if we are root on Debian; else the tests that need it are skipped, visibly.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW = "no Chromium here: install it, for example `apt-get install chromium`, and these tests run"


@cache
def chromium() -> str:
    """The path of a Chromium; skips the test that asks where there is none and none can be installed."""
    found = _find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for line in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(
                line, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, timeout=600
            )
        found = _find()
    if found is None:
        pytest.skip(HOW)
    return found


def _find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)
