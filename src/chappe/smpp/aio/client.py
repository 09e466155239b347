"""The client's side: connect and bind."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Final, Literal

from chappe.smpp import commands, status
from chappe.smpp.aio.connection import Connection, Handler
from chappe.smpp.pdu import Pdu
from chappe.smpp.session import Role, SessionSettings
from chappe.smpp.status import Verdict

BindType = Literal["transmitter", "receiver", "transceiver"]

_COMMANDS: Final[dict[BindType, int]] = {
    "transmitter": commands.BIND_TRANSMITTER,
    "receiver": commands.BIND_RECEIVER,
    "transceiver": commands.BIND_TRANSCEIVER,
}


@dataclass(frozen=True, slots=True)
class Bind:
    """Who we say we are."""

    type: BindType
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""

    def pdu(self) -> Pdu:
        return Pdu(
            _COMMANDS[self.type],
            fields={
                "system_id": self.system_id,
                "password": self.password,
                "system_type": self.system_type,
                "interface_version": self.interface_version,
                "addr_ton": self.addr_ton,
                "addr_npi": self.addr_npi,
                "address_range": self.address_range,
            },
        )


class BindFailed(Exception):
    """The message centre refused the bind. `verdict.stop`: do not come back with these credentials."""

    def __init__(self, command_status: int) -> None:
        row = status.lookup(command_status)
        super().__init__(f"bind refused: {row.name}")
        self.status = command_status
        self.verdict: Verdict = row.verdict
        self.stop = row.stop


async def connect(
    host: str,
    port: int,
    bind: Bind,
    handler: Handler,
    settings: SessionSettings,
    tls: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
) -> Connection:
    """A bound connection. The handler may hear requests before this returns: the peer need not wait.

    Raises BindFailed, TimeoutError, PduError (a field of the bind is too long) or OSError (nobody there, TLS refused,
    closed).
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(settings.connect_timeout_s):
        _, connection = await loop.create_connection(
            lambda: Connection(Role.ESME, settings, handler), host, port, ssl=tls, server_hostname=server_hostname
        )
    try:
        async with asyncio.timeout(settings.session_init_s):
            answer = await connection.bind(bind.pdu())
    except BaseException:
        connection.abort("no bind")
        raise
    if not connection.bound:
        connection.close("bind refused")
        raise BindFailed(answer.command_status or status.ESME_RBINDFAIL)
    return connection
