"""`chappe top` shows the demo, fits any terminal, and ends with q."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from typing import Any

import pytest
from rich.console import Console

from chappe.cli.top import Screen, sparkline
from tests.cli.conftest import Command
from tests.support.processes import CHAPPE, Process, clean_environment

BUSY: dict[str, Any] = {
    "at": "2026-11-22T02:50:11.000Z",
    "alarms": [
        {"kind": "waiting", "about": "acme otp", "message": "1,204 otp messages wait", "action": "Look at its binds."}
    ],
    "rates": {"accepted_per_s": 4120.2, "sent_per_s": 3890.1, "receipts_per_s": 3702.5},
    "nodes": [
        {
            "name": "left:1",
            "roles": ["api", "smsc", "dispatch", "jobs"],
            "lease_left_ms": 5000,
            "stats": {"cpu_s": 1802.2, "rss_mib": 142.1, "loop_lag_ms": 8.1, "binds": 4, "binds_up": 4},
        },
        {"name": "right:2", "roles": ["dispatch"], "lease_left_ms": -200, "stats": {}},
    ],
    "lanes": [
        {"connector": "acme", "lane": "otp", "waiting": 1204, "oldest_s": 48.2, "sending": 50, "scheduled": 0},
        {"connector": "acme", "lane": "bulk", "waiting": 0, "oldest_s": 0, "sending": 0, "scheduled": 9_000_000},
    ],
    "connectors": [
        {
            "name": "acme",
            "test": False,
            "state": "degraded",
            "binds_up": 1,
            "binds_wanted": 2,
            "in_flight": 50,
            "circuit_open": True,
            "last_error": "the operator closed the connection " * 5,
        }
    ],
    "reactions": [{"name": "webhooks.messages", "waiting": 120, "oldest_s": 1.2}],
    "webhooks": {"waiting": 812, "oldest_s": 3.1},
    "customers": {"waiting": 0, "oldest_s": 0},
    "in_doubt": 3,
    "parked_receipts": 0,
    "events_aside": 0,
    "store": {
        "engine": "postgres",
        "size_bytes": 8_120_304_050,
        "disk_free_bytes": 74e9,
        "disk_total_bytes": 270e9,
        "clock_ahead_s": 0.01,
        "wal_bytes": 0,
        "wal_waiting_bytes": 0,
        "oldest_snapshot": {
            "age_s": 2520,
            "pid": 4711,
            "user": "backup",
            "application": "pg_dump",
            "state": "active",
            "query_age_s": 3,
            "query": "COPY",
            "writes": False,
        },
        "sees_all": True,
        "tables": [{"name": "queue", "rows": 120, "dead": 812_000, "bytes": 1}],
    },
}


def shown(width: int, told: dict[str, Any] = BUSY, problem: str = "") -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False, record=True)
    console.print(Screen(told, [(0.0, (1.0, 2.0, 3.0)), (1.0, (4000.0, 0.0, 2000.0))], problem))
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [60, 80, 90, 200])
def test_every_line_fits_and_what_matters_is_there(width: int) -> None:
    lines = shown(width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in ("1 alarm", "1,204", "left:1", "acme", "circuit", "812"):
        assert word in text, word
    assert "1,204 otp" in lines[1]  # alarms come first


def test_a_wide_screen_has_all_columns_and_a_narrow_one_what_counts() -> None:
    assert re.search(r"node +roles +CPU s +MiB +loop ms +binds +accepted/s +sent/s +receipts/s", "\n".join(shown(120)))
    assert re.search(r"node +roles +MiB +loop ms +binds +sent/s", "\n".join(shown(70)))
    text = "\n".join(shown(120))
    assert "its lease is over" in text and "oldest transaction 42 min: backup pg_dump, pid 4711, active" in text
    assert "rows to be removed: queue 812,000" in text and re.search(r"in doubt +3", text)


def test_a_node_that_does_not_answer_is_told_above_the_last_look() -> None:
    assert shown(120, problem="it does not answer")[1] == "! it does not answer"


def test_sparklines_have_one_scale_and_the_width_there_is() -> None:
    assert sparkline([0, 50, 100], 100, 10) == "▁▅█"
    assert sparkline([0, 0], 0, 10) == "▁▁"
    assert sparkline([0, 100] * 50, 100, 10) == "▅" * 10
    assert sparkline([], 0, 10) == ""


def test_without_a_terminal_one_look_is_printed(chappe: Command) -> None:
    done = chappe("top")
    assert done.code == 0, done
    assert done.stdout.startswith("Chappe 20") and "no alarms" in done.stdout
    assert re.search(r"sandbox +up +1/1", done.stdout) and "SQLite, " in done.stdout


def test_json_is_what_the_api_says(chappe: Command) -> None:
    done = chappe("top", "--once", "--json")
    told = json.loads(done.stdout)
    assert done.code == 0 and told["alarms"] == []
    assert [node["roles"] for node in told["nodes"]] == [["api", "smsc", "dispatch", "jobs"]]


def test_a_key_that_is_no_operators_is_refused(command: Command, demo: Process) -> None:
    done = command("top", CHAPPE_API_URL=demo.ready["api_url"], CHAPPE_API_KEY="ck_live_wrong")
    assert done.code == 1 and "(unauthenticated)" in done.stderr


def test_on_a_terminal_it_is_live_until_q_and_leaves_the_terminal_as_it_was(demo: Process) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    before = termios.tcgetattr(theirs)
    environment = clean_environment() | {"TERM": "xterm-256color", "CHAPPE_API_URL": demo.ready["api_url"]}
    environment["CHAPPE_API_KEY"] = demo.ready["api_key"]
    command = [CHAPPE, "top", "--every", "0.2"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        seen, deadline = b"", time.monotonic() + 30
        try:
            while seen.count(b"connectors") < 3 and time.monotonic() < deadline:
                if select.select([ours], [], [], 0.2)[0]:
                    seen += os.read(ours, 65_536)
            os.write(ours, b"q")
            while process.poll() is None and time.monotonic() < deadline:
                if select.select([ours], [], [], 0.1)[0]:
                    seen += os.read(ours, 65_536)
        finally:
            process.kill()
    assert process.returncode == 0, seen
    assert b"sandbox" in seen and seen.count(b"connectors") >= 3
    assert termios.tcgetattr(theirs)[3] == before[3]  # line and echo are back
    os.close(ours)
    os.close(theirs)
