"""The process: how it starts, what it says, how it ends; and that a flood does it no harm."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from chappe.cli import build
from chappe.smpp import Pdu, SessionSettings, commands
from chappe.smpp.aio import Bind, Connection, connect
from tests.sandbox.conftest import Operator, message, start, stop

COMMAND = [sys.executable, "-m", "chappe.sandbox"]


def chappe(*options: str) -> Result:
    """`chappe sandbox` with these options, in this process."""
    return CliRunner().invoke(build(["sandbox"]), ["sandbox", *options])


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_says_where_it_listens_and_ends_by_ctrl_c(tmp_path: Path):
    ready = tmp_path / "ready.json"
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--control-port", "0", "--ready-file", str(ready)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        told = json.loads(ready.read_text())
        assert set(told) == {"host", "port", "control"}
        assert f"{told['host']}:{told['port']}" in line and told["control"] in line
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_wrong_scenario_file_is_refused_with_its_name_and_place(tmp_path: Path):
    scenario = tmp_path / "night.toml"
    scenario.write_text('[[rules]]\ndo = "nothing"\n')
    done = chappe("--scenario", str(scenario))
    assert done.exit_code == 2
    assert "night.toml: rules[0].do: there is no behaviour 'nothing'" in done.output
    done = chappe("--scenario", str(tmp_path))
    assert done.exit_code == 2 and "cannot be read" in done.output


def test_a_taken_port_is_an_error(process: Operator):
    done = chappe("--port", str(process.port))
    assert done.exit_code == 1 and "cannot listen" in done.output
    control = process.url.rsplit(":", 1)[1]
    done = chappe("--port", "0", "--control-port", control)
    assert done.exit_code == 1 and "cannot listen" in done.output


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_it_dies_with_its_parent(tmp_path: Path):
    ready = tmp_path / "ready.json"
    options = ["--port", "0", "--control-port", "0", "--ready-file", str(ready), "--quiet", "--die-with-parent"]
    started = f"p = subprocess.Popen({[*COMMAND, *options]!r})"
    script = f"import subprocess, time; {started}; print(p.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        deadline = time.monotonic() + 20
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not gone(child)
        parent.kill()
        parent.wait()
        while not gone(child) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert gone(child)
    finally:
        parent.kill()
        if not gone(child):
            os.kill(child, signal.SIGKILL)


class Load:
    """Keeps the window full until all is sent; acknowledges what comes."""

    def __init__(self, count: int) -> None:
        self.left = self.count = count
        self.accepted = self.receipts = 0
        self.done = asyncio.Event()

    def send(self, conn: Connection) -> None:
        while self.left and conn.room:
            self.left -= 1
            conn.request(Pdu(commands.SUBMIT_SM, fields=message(f"336{self.left:08}", b"load %d" % self.left)))

    def on_response(self, conn: Connection, context: Any, request: Pdu, response: Pdu, a: bytes, b: bytes) -> None:
        self.accepted += response.command_status == 0
        self.send(conn)

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        self.receipts += 1
        conn.respond(pdu)
        if self.receipts == self.count:
            self.done.set()

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, raw: bytes) -> None: ...
    def on_lost(self, conn: Connection, reason: str, unanswered: list[Any]) -> None: ...
    def on_room(self, conn: Connection) -> None:
        self.send(conn)


async def test_a_flood_is_answered_and_its_memory_is_bounded(tmp_path: Path):
    scenario = tmp_path / "flood.toml"
    scenario.write_text("magic_numbers = false\nreceipt_delay_s = 0.2\n")
    operator = start(tmp_path, "--keep", "1000", "--seed", "11", "--scenario", str(scenario))
    try:
        load = Load(6_000)
        bind = Bind("transceiver", "load", "x")
        conn = await connect(operator.host, operator.port, bind, load, SessionSettings(window=200))
        load.send(conn)
        async with asyncio.timeout(30):
            await load.done.wait()
        assert (load.accepted, load.receipts) == (6_000, 6_000)
        assert (await operator.get("/scenario"))["seed"] == 11
        state = await operator.get("/state")
        assert (state["submits"], state["phones"]["received"]) == (6_000, 6_000)
        kept = await operator.get("/submits?limit=10000")
        assert [submit["number"] for submit in kept["data"]] == list(range(5_001, 6_001))
        received = await operator.get("/messages?limit=10000")
        assert len(received["data"]) == 1000 and received["data"][-1]["number"] == 6_000
        assert len((await operator.get("/submits/counts"))["data"]) == 1000
        await conn.unbind(2)
    finally:
        assert stop(operator) == 0


def test_it_speaks_tls_when_it_has_a_certificate(tmp_path: Path):
    certificate = pytest.importorskip("cryptography.x509")
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from chappe.smpp.aio import client_context

    key = ec.generate_private_key(ec.SECP256R1())
    name = certificate.Name([certificate.NameAttribute(certificate.NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    signed = (
        certificate.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(certificate.SubjectAlternativeName([certificate.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(certificate.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "sandbox.pem"
    pem.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    operator = start(tmp_path, "--tls-cert", str(pem))

    async def talk() -> int:
        load = Load(1)
        tls = client_context(ca_file=pem)
        bind = Bind("transceiver", "tls", "x")
        conn = await connect(operator.host, operator.port, bind, load, SessionSettings(), tls, "127.0.0.1")
        load.send(conn)
        async with asyncio.timeout(10):
            await load.done.wait()
        await conn.unbind(2)
        return load.accepted

    try:
        assert asyncio.run(talk()) == 1
    finally:
        assert stop(operator) == 0
