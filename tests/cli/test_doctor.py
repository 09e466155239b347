"""`chappe doctor` finds what is wrong and says what to do; `chappe migrate` brings a database up to date."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chappe.cli.doctor import machine
from chappe.cli.doctor.database import skew
from chappe.cli.doctor.running import metrics_findings
from tests.support.processes import Process

Command = Callable[..., Any]

CONNECTOR = """\
[[accounts]]
slug = "acme"
name = "Acme"

[[connectors]]
name = "operator"
settings = { host = "127.0.0.1", port = 9 }
credentials = { system_id = "us", password = { env = "PASSWORD" } }

[[routes]]
name = "all"
connector = "operator"
"""


def findings(done: Any) -> dict[str, str]:
    """Subject -> verdict."""
    lines = [line for line in done.stdout.splitlines() if line[:4].strip() in ("ok", "warn", "fail")]
    return {line[6:20].strip(): line[:4].strip() for line in lines}


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"CHAPPE_DATA_DIR": str(folder), "CHAPPE_HTTP__PORT": "0", "CHAPPE_SMPP__PORT": "0"} | more


def test_a_running_demo_is_well(command: Command, demo: Process, data: Path) -> None:
    done = command("doctor", "--config", str(data / "chappe.toml"))
    assert done.code == 0, done
    told = findings(done)
    assert told.pop("interpreter") in ("ok", "warn")  # whoever runs the tests chose it
    assert set(told.values()) == {"ok"}, done.stdout
    for subject in ("settings", "secret key", "clock", "open files", "disk", "durability", "schema", "link sandbox"):
        assert subject in told, subject
    assert "is served by Chappe" in done.stdout and "speaks SMPP" in done.stdout and "up, 1 of 1 binds" in done.stdout


def test_an_operator_that_is_away_is_told(command: Command, demo: Process, data: Path) -> None:
    def away(seconds: float) -> None:
        request = urllib.request.Request(demo.ready["operator"] + "/away", json.dumps({"seconds": seconds}).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def until(verdict: str, code: int) -> None:
        deadline = time.monotonic() + 20
        done = command("doctor", "--config", str(data / "chappe.toml"))
        while {told for subject, told in findings(done).items() if subject.startswith("link ")} != {verdict}:
            assert time.monotonic() < deadline, done.stdout
            done = command("doctor", "--config", str(data / "chappe.toml"))
        assert done.code == code

    away(60)
    until("fail", 1)
    away(0)
    until("ok", 0)


def test_before_the_first_start_nothing_is_wrong(command: Command, tmp_path: Path) -> None:
    done = command("doctor", **environment(tmp_path / "data"))
    assert done.code == 0 and "fail" not in findings(done).values()
    assert not (tmp_path / "data").exists()  # looking makes nothing


def test_settings_that_cannot_be_used_are_all_told(command: Command, tmp_path: Path) -> None:
    done = command("doctor", **environment(tmp_path, CHAPPE_HTTP__PORT="x", CHAPPE_LOG__LEVEL="loud"))
    assert done.code == 1
    assert "CHAPPE_HTTP__PORT" in done.stdout and "CHAPPE_LOG__LEVEL" in done.stdout


def test_a_secret_key_that_others_can_read_fails(command: Command, tmp_path: Path) -> None:
    assert command("migrate", **environment(tmp_path)).code == 0
    assert command("keys", "list", **environment(tmp_path)).code == 0  # makes the key
    (tmp_path / "secret.key").chmod(0o644)
    done = command("doctor", **environment(tmp_path))
    assert done.code == 1 and findings(done)["secret key"] == "fail"
    assert f"chmod 600 {tmp_path / 'secret.key'}" in done.stdout


def test_a_slow_interpreter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.base_prefix", "/home/me/.pyenv/versions/3.13.0")
    for arguments, verdict in (("'--enable-shared'", "warn"), ("'--enable-optimizations'", "ok")):
        monkeypatch.setattr("sysconfig.get_config_var", lambda name, told=arguments: told)
        assert machine.interpreter().verdict == verdict


def test_a_port_that_another_program_has_fails(command: Command, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = command("doctor", **environment(tmp_path, CHAPPE_SMPP__PORT=port))
    assert done.code == 1 and findings(done)["SMPP port"] == "fail"


@pytest.mark.usefixtures("syncing_postgres")
def test_each_engine_is_looked_at_and_migrated(command: Command, tmp_path: Path, empty_store_url: str) -> None:
    settings = environment(tmp_path / "data", CHAPPE_DATABASE=empty_store_url)
    assert command("migrate", "status", **settings).code == 1
    if empty_store_url.startswith("postgresql"):
        assert findings(command("doctor", **settings))["schema"] == "warn"
    assert "Applied" in command("migrate", **settings).stdout
    assert "Nothing to do" in command("migrate", "up", **settings).stdout
    assert command("migrate", "status", **settings).code == 0
    done = command("doctor", **settings)
    told = findings(done)
    assert done.code == 0 and (told["durability"], told["schema"]) == ("ok", "ok"), done.stdout
    assert told["configuration"] == "warn" and "No accounts" in done.stdout
    if empty_store_url.startswith("postgresql"):
        assert told["clock skew"] == "ok"


def test_a_database_that_does_not_answer_fails(command: Command, tmp_path: Path) -> None:
    settings = environment(tmp_path, CHAPPE_DATABASE="postgresql://nobody@127.0.0.1:9/none")
    done = command("doctor", **settings)
    assert done.code == 1 and findings(done)["database"] == "fail"
    migrated = command("migrate", **settings)
    assert migrated.code == 1 and "Traceback" not in migrated.stderr


def test_a_database_of_a_later_version_is_told_and_serves(command: Command, tmp_path: Path) -> None:
    command("migrate", **environment(tmp_path))
    with sqlite3.connect(tmp_path / "chappe.db") as db:
        db.execute("update alembic_version set version_num = '9999'")
    done = command("doctor", **environment(tmp_path))
    assert done.code == 0 and findings(done)["schema"] == "warn" and "9999, of a newer version" in done.stdout
    assert command("migrate", **environment(tmp_path)).code == 0


def test_credentials_that_the_secret_key_does_not_open_fail(command: Command, tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(CONNECTOR)
    one, other = (environment(tmp_path, CHAPPE_SECRET_KEY=key, PASSWORD="secret") for key in ("one", "other"))
    applied = command("apply", str(tmp_path / "acme.toml"), **one)
    assert applied.code == 0, applied
    assert findings(command("doctor", **one))["configuration"] == "ok"
    done = command("doctor", **other)
    assert done.code == 1 and findings(done)["credentials"] == "fail" and "operator" in done.stdout


@pytest.mark.parametrize("seconds, verdict", [(0.2, "ok"), (-1.5, "warn"), (1.5, "warn"), (-60, "fail"), (60, "fail")])
def test_a_clock_that_goes_wrong_is_told(seconds: float, verdict: str) -> None:
    assert skew(seconds).verdict == verdict


def test_links_and_lags_are_read_from_the_metrics() -> None:
    page = """\
# TYPE chappe_link_state gauge
chappe_link_state{connector="a",state="up"} 1.0
chappe_link_state{connector="a",state="down"} 0.0
chappe_link_state{connector="b",state="refused"} 1.0
chappe_link_state{connector="c",state="down"} 1.0
chappe_link_state{connector="d",state="starting"} 1.0
chappe_link_state{connector="e",state="stopped"} 1.0
# TYPE chappe_link_binds_up gauge
chappe_link_binds_up{connector="a"} 2.0
# TYPE chappe_link_binds_wanted gauge
chappe_link_binds_wanted{connector="a"} 2.0
# TYPE chappe_queue_oldest_seconds gauge
chappe_queue_oldest_seconds{connector="a",lane="otp"} 61.0
chappe_queue_oldest_seconds{connector="a",lane="bulk"} 59.0
# TYPE chappe_webhook_lag_seconds gauge
chappe_webhook_lag_seconds 7200.0
"""
    told = [(one.verdict, one.subject, one.words) for one in metrics_findings(page)]
    assert told == [
        ("ok", "link a", "up, 2 of 2 binds"),
        ("fail", "link b", "the operator refuses the bind"),
        ("fail", "link c", "down, 0 of 0 binds"),
        ("warn", "link d", "starting, 0 of 0 binds"),
        ("ok", "link e", "stopped"),
        ("warn", "queue", "messages wait for a (otp), the oldest for 61 s"),
        ("warn", "webhooks", "deliveries are overdue, the oldest for 7200 s"),
    ]
