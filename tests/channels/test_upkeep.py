"""Sessions are brought up, lost and brought up again; or not, when the supplier does not know us."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chappe.channels.settings import SmppCredentials, TlsSettings
from chappe.channels.smpp import open
from chappe.clock import Clock
from chappe.smpp import commands, status
from chappe.smpp.aio import server_context
from tests.channels.conftest import Dial
from tests.channels.runner import Recorder, part, recording_log, until
from tests.channels.supplier import Supplier, accept, moments, silence


async def test_it_binds_as_the_settings_say(dial: Dial, supplier: Supplier) -> None:
    await dial(system_type="VMA", interface_version="5.0", addr_ton=1, addr_npi=1, address_range="^36")
    (bind,) = supplier.binds
    assert bind.command_id == commands.BIND_TRANSCEIVER
    assert bind.fields == {
        "system_id": "chappe",
        "password": "s3cr3t!x",
        "system_type": "VMA",
        "interface_version": 0x50,
        "addr_ton": 1,
        "addr_npi": 1,
        "address_range": "^36",
    }


async def test_a_pair_sends_by_one_session_and_hears_by_the_other(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    link = await dial(bind_type="pair", binds=2)
    await until(lambda: sink.statuses[-1].binds_up == 4)
    assert sorted(bind.name for bind in supplier.binds) == ["bind_receiver"] * 2 + ["bind_transmitter"] * 2
    assert link.room() == 20, "the windows of the transmitters alone"
    link.send([part(message_id=n) for n in range(4)])
    supplier.deliver(b"hi")
    await until(lambda: len(sink.outcomes) == 4 and sink.inbounds)
    assert {conn.bind_type for conn, _ in supplier.submits} == {"transmitter"}


async def test_a_receiver_alone_never_has_room(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    link = await dial(bind_type="receiver")
    assert link.room() == 0
    assert link.send([part()]) == 0
    supplier.deliver(b"hi")
    await until(lambda: sink.inbounds)


async def test_a_lost_session_comes_back_and_asks_with_one_message(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    link = await dial()
    link.room()
    supplier.drop()
    await until(lambda: sink.state == "down")
    assert link.room() == 0
    assert link.send([part()]) == 0
    await until(lambda: sink.state == "up")
    await until(lambda: sink.rooms)
    assert link.room() == 1
    link.send([part()])
    await until(lambda: sink.outcomes)
    assert link.room() == 10


async def test_one_session_of_two_is_degraded_and_still_sends(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    link = await dial(binds=2)
    await until(lambda: sink.statuses[-1].binds_up == 2)
    supplier.bind_status = lambda bind: status.ESME_RBINDFAIL
    supplier.connections[0].abort()
    await until(lambda: sink.state == "degraded")
    assert link.room() == 10
    link.send([part()])
    await until(lambda: sink.outcomes)
    assert sink.outcomes[0].error is None
    await until(lambda: sink.statuses[-1].last_error == "bind refused: ESME_RBINDFAIL")
    supplier.bind_status = lambda bind: status.ESME_ROK
    await until(lambda: sink.state == "up")
    assert link.room() == 20


async def test_it_goes_on_trying_with_growing_waits(supplier: Supplier, sink: Recorder) -> None:
    at: list[float] = []

    def note(bind: object) -> int:
        at.append(asyncio.get_running_loop().time())
        return status.ESME_RBINDFAIL

    supplier.bind_status = note
    connector = supplier.connector(reconnect_min_s=0.05, reconnect_max_s=0.4)
    link = open(connector, sink, Clock(), random=lambda: 1.0)  # no jitter
    await until(lambda: len(at) == 6)
    await link.stop(0.1)
    waits = [later - earlier for earlier, later in pairwise(at)]
    for wait, wanted in zip(waits, (0.05, 0.1, 0.2, 0.4, 0.4), strict=True):
        assert wanted <= wait < wanted + 0.2
    assert sink.state == "stopped"
    assert {shown.state for shown in sink.statuses} == {"down", "stopped"}


async def test_nobody_there_is_down_until_somebody_is(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    await supplier.stop()
    link = await dial(state="down")
    assert "127.0.0.1" in link.status().last_error
    await supplier.start()
    await until(lambda: sink.state == "up")
    link.send([part()])
    await until(lambda: sink.outcomes)


@pytest.mark.parametrize("code", [status.ESME_RINVPASWD, status.ESME_RINVSYSID, status.ESME_RINVSYSTYP])
async def test_bad_credentials_stop_it_for_good(dial: Dial, supplier: Supplier, sink: Recorder, code: int) -> None:
    supplier.bind_status = lambda bind: code
    link = await dial(state="refused", binds=4)
    knocked = len(supplier.binds)
    assert status.name(code) in link.status().last_error
    await asyncio.sleep(0.2)
    assert len(supplier.binds) == knocked <= 4
    assert link.room() == 0


async def test_a_wrong_password_leaves_sessions_that_are_up_alone(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    link = await dial(binds=2)
    await until(lambda: sink.statuses[-1].binds_up == 2)
    supplier.refuse_login()
    supplier.connections[0].abort()
    await until(lambda: "RINVPASWD" in sink.statuses[-1].last_error)
    assert (sink.state, sink.statuses[-1].binds_up) == ("degraded", 1)
    link.send([part()])
    await until(lambda: sink.outcomes)
    supplier.drop()
    await until(lambda: sink.state == "refused")
    knocked = len(supplier.binds)
    await asyncio.sleep(0.15)
    assert len(supplier.binds) == knocked


async def test_credentials_that_smpp_cannot_carry_are_refused_here(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    connector = supplier.connector()
    credentials = SmppCredentials("a system id of more than 15", "secret")
    too_long = type(connector)(7, "acme", "smpp", True, "active", connector.settings, credentials)
    await dial(state="refused", connector=too_long)
    assert supplier.binds == []


async def test_an_old_session_gets_time_to_die(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.bind_status = lambda bind: status.ESME_RALYBND
    await dial(state="down", reconnect_min_s=0.01, reconnect_max_s=0.3)
    first = asyncio.get_running_loop().time()
    await until(lambda: len(supplier.binds) == 2)
    assert asyncio.get_running_loop().time() - first > 0.2
    supplier.bind_status = lambda bind: status.ESME_ROK
    await until(lambda: sink.state == "up")


async def test_a_peer_that_goes_silent_is_left(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await dial(enquire_link_s=0.1, response_timeout_s=5.0)
    link.send([part()])
    await until(lambda: supplier.submits)
    supplier.connections[0].pause_reading()
    await until(lambda: sink.outcomes)
    assert sink.outcomes[0].error is not None and sink.outcomes[0].error.code == "in_doubt"
    await until(lambda: sink.state == "up")


async def test_a_supplier_that_says_goodbye_is_called_again(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    await dial()
    await supplier.connections[0].unbind(1.0)
    await until(lambda: len(supplier.binds) == 2 and sink.state == "up")


async def test_our_bugs_are_reported_once_a_minute(supplier: Supplier, sink: Recorder) -> None:
    log, entries = recording_log()
    supplier.refuse(status.ESME_RINVESMCLASS)
    link = open(supplier.connector(), sink, Clock(), log=log)
    await until(lambda: sink.state == "up")
    link.send([part(message_id=n) for n in range(5)])
    await until(lambda: len(sink.outcomes) == 5)
    await link.stop(0.2)
    alerts = [entry for entry in entries if entry["log_level"] == "error"]
    assert [entry["status"] for entry in alerts] == ["0x00000043 ESME_RINVESMCLASS"]


async def test_stopping_while_it_connects_ends_at_once(supplier: Supplier, sink: Recorder) -> None:
    await supplier.stop()
    link = open(supplier.connector(reconnect_min_s=30, reconnect_max_s=60), sink, Clock())
    await moments(5)
    await asyncio.wait_for(link.stop(30.0), 10.0)
    assert sink.state == "stopped"


# -- TLS -----------------------------------------------------------------------------------------------------------


def certificate(path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "supplier")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = path / "cert.pem", path / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


async def test_tls_knows_the_supplier_or_stays_away(
    dial: Dial, supplier: Supplier, sink: Recorder, tmp_path: Path
) -> None:
    cert_file, key_file = certificate(tmp_path)
    await supplier.stop()
    supplier.tls = server_context(cert_file, key_file)
    await supplier.start()
    link = await dial(tls=TlsSettings(ca_file=str(cert_file)))
    link.send([part()])
    await until(lambda: sink.outcomes)
    assert sink.outcomes[0].error is None

    stranger = await dial(state="down", tls=TlsSettings(ca_file=str(cert_file), server_name="somebody.else"))
    assert "certificate" in stranger.status().last_error.lower()
    missing = await dial(state="down", tls=TlsSettings(ca_file=str(tmp_path / "none.pem")))
    assert missing.room() == 0
    assert len(supplier.binds) == 1


async def test_a_lost_tls_session_comes_back(dial: Dial, supplier: Supplier, sink: Recorder, tmp_path: Path) -> None:
    cert_file, key_file = certificate(tmp_path)
    await supplier.stop()
    supplier.tls = server_context(cert_file, key_file)
    await supplier.start()
    supplier.answer = accept
    await dial(tls=TlsSettings(ca_file=str(cert_file)))
    supplier.drop()
    await until(lambda: len(supplier.binds) == 2 and sink.state == "up")
