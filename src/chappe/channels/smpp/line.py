"""One session with the supplier, held up: connect, bind, lose it, come back, until told to stop or refused for good."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chappe.channels.contract import Outcome
from chappe.channels.settings import SmppSettings
from chappe.smpp import Pdu, PduError, SessionSettings, status
from chappe.smpp.aio import Bind, BindFailed, BindType, Connection, client_context, connect

if TYPE_CHECKING:
    from chappe.channels.smpp.link import SmppLink

MOST_UNANSWERED: Final = 500
"""Requests of the supplier that may wait for our answer on one session; beyond it reads RTHROTTLED."""
_VERSIONS: Final = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}
_OLD_SESSION_S: Final = 5.0  # RALYBND: as soon as this the supplier will not have missed our old session


class Line:
    """A session and its upkeep; it is the connection's handler and passes what it hears to the link."""

    def __init__(self, link: SmppLink, bind_type: BindType, slot: int) -> None:
        self.bind_type: BindType = bind_type
        self.slot = slot
        """Which of the connector's binds this is (one) session of."""
        self.leaving = False
        """Nothing more is sent by it; the answers that it owes and is owed still come."""
        self.connection: Connection | None = None
        """The bound connection, None while there is none."""
        self.free = 0
        """Requests that may be sent now, as the link has counted it."""
        self.last_error = ""
        self.since = 0
        self._link = link
        self._settings = link.connector.settings
        self._task: asyncio.Task[None] | None = None

    @property
    def sends(self) -> bool:
        return self.bind_type != "receiver"

    def start(self) -> None:
        self._task = asyncio.create_task(self._hold(), name=f"smpp {self._link.connector.name} {self.bind_type}")

    @property
    def owes(self) -> bool:
        """Whether requests of the supplier wait for our answer."""
        return self.connection is not None and self.connection.pending > 0

    def give_up(self) -> None:
        """Connect no more and send no more; a session that is up stays."""
        self.leaving = True
        if self.connection is None and self._task is not None:
            self._task.cancel()

    def drop(self) -> None:
        """End at once, without a word."""
        self.give_up()
        if self.connection is not None:
            self.connection.abort("this node may not hold the session any more")
        if self._task is not None:
            self._task.cancel()

    async def leave(self, grace_s: float) -> None:
        """Unbind once the answers are here, or when the grace is over."""
        if self.connection is not None:
            await self.connection.unbind(grace_s)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- upkeep

    async def _hold(self) -> None:
        link, settings = self._link, self._settings
        delay = settings.reconnect_min_s
        while not (link.closing or self.leaving):
            least = 0.0
            began = link.clock.monotonic()
            try:
                connection = await self._connect()
            except BindFailed as failed:
                if failed.stop:
                    link.refuse(self, str(failed))
                    return
                least = _OLD_SESSION_S if failed.status == status.ESME_RALYBND else 0.0
                link.missed(self, str(failed))
            except PduError as error:  # credentials that SMPP cannot carry
                link.refuse(self, str(error))
                return
            except OSError as error:  # TimeoutError and ssl.SSLError among them
                link.missed(self, f"{settings.host}:{settings.port}: {error or type(error).__name__}")
            else:
                link.came_up(self, connection)
                await connection.wait_closed()
                if link.clock.monotonic() - began > delay:  # it worked, this is another trouble
                    delay = settings.reconnect_min_s
            if link.closing or self.leaving:
                return
            # Half of the wait is chance, or all binds of all nodes would knock at once.
            await asyncio.sleep(max(delay * (0.5 + link.random() / 2), min(least, settings.reconnect_max_s)))
            delay = min(delay * 2, settings.reconnect_max_s)

    async def _connect(self) -> Connection:
        settings, credentials = self._settings, self._link.connector.credentials
        bind = Bind(
            self.bind_type,
            credentials.system_id,
            credentials.password,
            settings.system_type,
            _VERSIONS[settings.interface_version],
            settings.addr_ton,
            settings.addr_npi,
            settings.address_range,
        )
        tls = tls_context(settings)
        name = (settings.tls.server_name or settings.host) if settings.tls is not None else None
        session = session_settings(settings, long_passwords=len(credentials.password) > 8)
        return await connect(settings.host, settings.port, bind, self, session, tls, name)

    # -- the connection's handler

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        self._link.heard(conn, pdu, raw)

    def on_response(
        self, conn: Connection, context: Outcome, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        context.request = request_raw
        context.response = response_raw
        self._link.answered(self, context, response)

    def on_timeout(self, conn: Connection, context: Outcome, request: Pdu, request_raw: bytes) -> None:
        context.request = request_raw
        self._link.timed_out(self, context)

    def on_lost(self, conn: Connection, reason: str, unanswered: list[tuple[Any, Pdu, bytes]]) -> None:
        for context, _, request_raw in unanswered:
            context.request = request_raw
        self._link.lost(self, conn, reason, [context for context, _, _ in unanswered])

    def on_room(self, conn: Connection) -> None:
        self._link.freed(self)


def session_settings(settings: SmppSettings, *, long_passwords: bool) -> SessionSettings:
    return SessionSettings(
        window=settings.window,
        max_pending=MOST_UNANSWERED,
        enquire_link_s=settings.enquire_link_s,
        enquire_link_timeout_s=min(settings.enquire_link_s, settings.response_timeout_s),
        response_timeout_s=settings.response_timeout_s,
        session_init_s=settings.connect_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        interface_version=_VERSIONS[settings.interface_version],
        long_passwords=long_passwords,
    )


def tls_context(settings: SmppSettings) -> ssl.SSLContext | None:
    """Read anew for each connection, so that renewed certificates need no restart. Raises OSError."""
    if settings.tls is None:
        return None
    files = (settings.tls.ca_file, settings.tls.cert_file, settings.tls.key_file)
    return client_context(*(None if name is None else Path(name) for name in files))
