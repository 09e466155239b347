"""The SMPP server for customers: it listens, says who may bind, and starts and stops the room's parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from chappe import accounts
from chappe.accounts import BindGuard, SmppLogin
from chappe.messages import Pipeline
from chappe.smpp import Pdu, SessionSettings, status
from chappe.smpp.aio import Connection, Server, Verdict, serve, server_context
from chappe.smsc import keep, on
from chappe.smsc.courier import Courier
from chappe.smsc.customer import Customer
from chappe.smsc.intake import Intake
from chappe.smsc.manage import Desk

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SYSTEM_ID: Final = "chappe"
MAX_PER_IP: Final = 1_000
_ACCOUNTS: Final = "accounts"
_LONGEST_DELAY_S: Final = 5.0  # the guard looks at no password before its time, however soon we answer
_SMPP_34: Final = 0x34
_SMPP_50: Final = 0x50

# A wrong password tells a client to stop; the others may be right the next time.
_REFUSED: Final = {
    "credentials": status.ESME_RINVPASWD,
    "address": status.ESME_RBINDFAIL,
    "suspended": status.ESME_RBINDFAIL,
    "backoff": status.ESME_RBINDFAIL,
    "busy": status.ESME_RBINDFAIL,
}
_SETTINGS: Final = SessionSettings(enquire_link_s=60, response_timeout_s=30, long_passwords=True)

_log = structlog.get_logger("smsc")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the server listens; None without TLS."""

    plain: int
    tls: int | None


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A bound session as operators see it."""

    system_id: str
    account_id: int
    peer: str
    bind_type: str
    interface_version: int
    tls: bool
    unanswered: int


class Smsc:
    """Made before `rt.events.start` and `rt.jobs.start` in every process; started where customers may bind."""

    def __init__(self, rt: Runtime, pipeline: Pipeline, settings: SessionSettings = _SETTINGS) -> None:
        self._rt = rt
        self._settings = settings
        self._guard = BindGuard()
        self._intake = Intake(pipeline)
        self._desk = Desk(pipeline)
        self._courier = Courier(rt)
        self._customers: dict[int, Customer] = {}
        self._servers: list[Server] = []
        self._leaving: set[asyncio.Task[None]] = set()
        on.register(rt, self._courier)
        keep.register(rt)

    async def start(self) -> Ports:
        """Listen on the ports of the settings (0: any free one). Raises OSError, ssl.SSLError."""
        smpp = self._rt.settings.smpp
        accounts.snapshot(self._rt, _ACCOUNTS).on_change(lambda _directory: self._follow())
        self._courier.start()
        plain = await serve(smpp.host, smpp.port, self._authenticate, None, self._settings, max_per_ip=MAX_PER_IP)
        self._servers.append(plain)
        if smpp.tls_port is None or smpp.tls_cert is None:
            return Ports(plain.port, None)
        context = server_context(smpp.tls_cert, smpp.tls_key, smpp.tls_client_ca)
        secure = await serve(
            smpp.host, smpp.tls_port, self._authenticate, None, self._settings, context, max_per_ip=MAX_PER_IP
        )
        self._servers.append(secure)
        return Ports(plain.port, secure.port)

    async def stop(self, grace: float = 5.0) -> None:
        """Unbind everybody within about `grace` seconds; what was submitted is answered, what waits stays stored."""
        await self._courier.stop()
        await self._intake.drain()
        await asyncio.gather(*(customer.drain() for customer in self._customers.values()))
        await asyncio.gather(*(server.close(grace) for server in self._servers))
        await self._intake.drain()
        await self._courier.drain()
        self._guard.close()

    def sessions(self) -> Iterator[SessionInfo]:
        """All bound sessions of this process."""
        for customer in self._customers.values():
            for conn in customer.sessions:
                yield SessionInfo(
                    customer.login.system_id,
                    customer.login.account_id,
                    f"{conn.peer[0]}:{conn.peer[1]}",
                    conn.bind_type,
                    conn.interface_version,
                    any(conn in server.connections for server in self._servers[1:]),
                    conn.unanswered,
                )

    # -- binds ------------------------------------------------------------------------------------------------------

    async def _authenticate(self, conn: Connection, bind: Pdu) -> Verdict:
        system_id, password = bind.fields["system_id"], bind.fields["password"]
        rt, peer = self._rt, conn.peer[0]
        latest = partial(accounts.latest, rt)
        verdict = await self._guard.verify(
            accounts.directory(rt), system_id, password, peer, rt.clock.monotonic(), latest
        )
        if verdict.delay_s:
            await asyncio.sleep(min(verdict.delay_s, _LONGEST_DELAY_S))
        if not verdict or verdict.login is None:
            _log.warning("bind refused", system_id=system_id[:15], peer=conn.peer[0], reason=verdict.reason)
            return Verdict(_REFUSED[verdict.reason])
        if conn.session.closed:
            return Verdict(status.ESME_RBINDFAIL)
        customer = self._customer(verdict.login)
        if customer.binds(conn.bind_type) >= verdict.login.max_binds:
            _log.warning("bind refused", system_id=system_id, peer=conn.peer[0], reason="max_binds")
            return Verdict(status.ESME_RALYBND)
        self._set_up(conn, bind, verdict.login)
        customer.sessions.add(conn)  # counted from now on, so that no other bind slips in before the answer
        asyncio.get_running_loop().call_soon(customer.join, conn)  # by then the answer is written
        _log.info("bound", login=system_id, peer=conn.peer[0], type=conn.bind_type)
        return Verdict(system_id=SYSTEM_ID, handler=customer)

    def _customer(self, login: SmppLogin) -> Customer:
        customer = self._customers.get(login.id)
        if customer is None:
            customer = Customer(self._rt, login, self._intake, self._desk, self._courier)
            self._customers[login.id] = customer
        return customer

    def _set_up(self, conn: Connection, bind: Pdu, login: SmppLogin) -> None:
        """The session's limits are the login's, its version is the peer's."""
        version = _SMPP_50 if bind.fields["interface_version"] >= _SMPP_50 else _SMPP_34
        settings = replace(
            self._settings, window=login.window_size, max_pending=login.window_size, interface_version=version
        )
        conn.settings = conn.session.settings = settings

    def _follow(self) -> None:
        """Logins were changed: take over what is new, and say goodbye to who may not stay."""
        directory = accounts.directory(self._rt)
        for customer in list(self._customers.values()):
            login = directory.login_by_id(customer.login.id)
            account = None if login is None else directory.account(login.account_id)
            if login is None or account is None or not account.active or login.status != "active":
                for conn in customer.sessions:
                    self._say_goodbye(conn)
                del self._customers[customer.login.id]
            elif login != customer.login:
                customer.follow(login)

    def _say_goodbye(self, conn: Connection) -> None:
        task = asyncio.get_running_loop().create_task(conn.unbind(self._settings.response_timeout_s))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
