"""A whole house for these tests: the pipeline with its real channel, our server, an operator and customers over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from chappe import accounts, connectors, routing, senders
from chappe.accounts import Account, AccountSettings, LoginDialect, SmppLogin
from chappe.channels import Connector, Link, Sink, open_link
from chappe.messages import Message, Pipeline, get, open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings, Smpp
from chappe.smpp import MessageState, Pdu, commands, receipt
from chappe.smpp.aio import Bind, BindType, Connection, Server, SessionSettings, Verdict, connect, serve
from chappe.smpp.session import Unanswered
from chappe.smsc import Ports, Smsc
from chappe.smsc.message_ids import read_id
from tests.support.eventually import PATIENCE_S

PASSWORD = "s3cr3t!x"
PHONE = "33612345678"
NUMBER = "33644600001"
WIDE = SessionSettings(window=10_000, max_pending=10_000)


async def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Waits until the condition holds and returns what it says."""
    async with asyncio.timeout(seconds):
        while not (value := condition()):
            await asyncio.sleep(0.002)
    return value


class Operator:
    """A supplier's message centre: keeps what it gets, answers, and sends the receipt that `fate` names (if any)."""

    def __init__(self) -> None:
        self.submits: list[Pdu] = []
        self.fate: MessageState | None = MessageState.DELIVERED
        self.err = "000"
        self.status = 0
        self.acknowledged = 0
        self._conns: list[Connection] = []
        self._server: Server | None = None

    async def start(self) -> int:
        self._server = await serve("127.0.0.1", 0, self._welcome, None, WIDE)
        return self._server.port

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.close(0.1)

    async def _welcome(self, conn: Connection, bind: Pdu) -> Verdict:
        self._conns.append(conn)
        return Verdict(0, "operator", self)

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        self.submits.append(pdu)
        message_id = f"op{len(self.submits)}"
        if self.status:
            conn.respond(pdu, self.status)
            return
        conn.respond(pdu, fields={"message_id": message_id})
        if self.fate is not None and pdu.fields["registered_delivery"] & 1:
            self.report(message_id, pdu, self.fate)

    def report(self, message_id: str, pdu: Pdu, fate: MessageState) -> None:
        """A receipt of a submit."""
        text = receipt.format_text(message_id, fate, 1_700_000_000_000, 1_700_000_060_000, self.err)
        fields = {"source_addr": pdu.fields["destination_addr"], "destination_addr": pdu.fields["source_addr"]}
        self._deliver(fields | {"esm_class": 4, "short_message": text}, receipt.receipt_tlvs(message_id, fate))

    def reply(self, octets: bytes, source: str = PHONE, **fields: Any) -> None:
        """A phone writes to the account's number."""
        self._deliver({"source_addr": source, "destination_addr": NUMBER, "short_message": octets} | fields, [])

    def _deliver(self, fields: dict[str, Any], tlvs: list[tuple[int, bytes]]) -> None:
        live = [conn for conn in self._conns if conn.can_send]
        live[0].request(Pdu(commands.DELIVER_SM, fields=fields, tlvs=tlvs))

    def on_response(self, conn: Connection, context: Any, request: Pdu, response: Pdu, *_: bytes) -> None:
        if response.command_status:  # not stored, so it comes again
            asyncio.get_running_loop().call_later(0.05, self._deliver, request.fields, request.tlvs)
        else:
            self.acknowledged += 1

    def on_timeout(self, conn: Connection, *_: Any) -> None:
        raise AssertionError("the house did not answer its operator")

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Unanswered]) -> None:
        self._conns.remove(conn)

    def on_room(self, conn: Connection) -> None:
        return


class Client:
    """A customer's session: keeps deliver_sm and acknowledges them with `verdict` (None: never)."""

    def __init__(self) -> None:
        self.conn: Connection = None  # type: ignore[assignment]
        self.delivered: list[Pdu] = []
        self.verdict: Callable[[Pdu], int | None] = lambda pdu: 0
        self.lost: list[str] = []
        self._answers: dict[int, asyncio.Future[Pdu]] = {}

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        self.delivered.append(pdu)
        verdict = self.verdict(pdu)
        if verdict is not None:
            conn.respond(pdu, verdict)

    def on_response(self, conn: Connection, context: Any, request: Pdu, response: Pdu, *_: bytes) -> None:
        context.set_result(response)

    def on_timeout(self, conn: Connection, context: Any, *_: Any) -> None:
        context.set_exception(TimeoutError())

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Unanswered]) -> None:
        self.lost.append(reason)
        for context, _, _ in unanswered:
            context.set_exception(ConnectionError(reason))

    def on_room(self, conn: Connection) -> None:
        return

    def send(self, pdu: Pdu) -> asyncio.Future[Pdu]:
        """The answer comes as a future."""
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self.conn.request(pdu, answer)
        return answer

    async def ask(self, command_id: int, tlvs: list[tuple[int, bytes]] | None = None, **fields: Any) -> Pdu:
        return await asyncio.wait_for(self.send(Pdu(command_id, fields=fields, tlvs=tlvs or [])), 20)

    async def submit(
        self, octets: bytes = b"Bonjour", tlvs: list[tuple[int, bytes]] | None = None, **fields: Any
    ) -> Pdu:
        return await self.ask(commands.SUBMIT_SM, tlvs, **submit_fields(octets, **fields))

    @property
    def receipts(self) -> list[receipt.Receipt]:
        found = [receipt.from_pdu(pdu) for pdu in self.delivered]
        return [one for one in found if one is not None]


def submit_fields(octets: bytes = b"Bonjour", **fields: Any) -> dict[str, Any]:
    plain = {
        "source_addr_ton": 5,
        "source_addr": "Acme",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": PHONE,
        "registered_delivery": 1,
        "short_message": octets,
    }
    return plain | fields


class House:
    """One node. `acme` has the sender Acme and a number that receives."""

    def __init__(self, rt: Runtime, operator: Operator) -> None:
        self.rt = rt
        self.operator = operator
        self.pipeline: Pipeline = None  # type: ignore[assignment]
        self.smsc: Smsc = None  # type: ignore[assignment]
        self.ports: Ports = None  # type: ignore[assignment]
        self.account: Account = None  # type: ignore[assignment]
        self.clients: list[Client] = []
        self._logins = 0

    async def open(self, session: SessionSettings | None = None, *, alone: bool = True) -> None:
        """Start what a process starts."""
        rt = self.rt
        await open_rooms(rt)
        self.pipeline = Pipeline(rt, self._open_link, alone=alone)
        self.smsc = Smsc(rt, self.pipeline) if session is None else Smsc(rt, self.pipeline, session)
        await rt.events.start(rt)
        await self.pipeline.start()
        self.ports = await self.smsc.start()

    def _open_link(self, connector: Connector, sink: Sink, slots: Collection[int] | None) -> Link:
        return open_link(connector, sink, self.rt.clock, slots)

    async def close(self) -> None:
        await self.smsc.stop(0.5)
        await self.pipeline.stop()
        await self.rt.close()

    async def furnish(self, operator_port: int) -> None:
        """The account, its senders, the connector (its test twin too) and the routes."""
        rt = self.rt
        self.account = await self.tenant("acme")
        for test in (False, True):
            connector = await connectors.create_connector(
                rt,
                "test",
                name="test" if test else "live",
                test=test,
                settings={"host": "127.0.0.1", "port": operator_port, "window": 500},
                credentials={"system_id": "chappe", "password": "x"},
            )
            await routing.create_route(
                rt, "test", connectors.book(rt).get, name=connector.name, connector_id=connector.id, test=test
            )
        await senders.create_sender(rt, "test", self.account.id, address="Acme")
        await senders.create_sender(rt, "test", self.account.id, address=NUMBER, inbound=True)
        desks = self.pipeline.dispatcher.desks
        await until(lambda: len(desks) == 2 and all(desk.room() > 0 for desk in desks.values()))

    async def tenant(self, slug: str, **settings: Any) -> Account:
        return await accounts.create_account(
            self.rt, "test", slug=slug, name=slug, default_sender="Acme", settings=AccountSettings(**settings)
        )

    async def login(self, dialect: LoginDialect | None = None, **fields: Any) -> SmppLogin:
        self._logins += 1
        wanted: dict[str, Any] = {
            "system_id": f"login{self._logins}",
            "password": PASSWORD,
            "account_id": self.account.id,
        } | fields
        login, _ = await accounts.create_login(
            self.rt, "test", wanted.pop("account_id"), dialect=dialect or LoginDialect(), **wanted
        )
        return login

    async def client(
        self,
        login: SmppLogin,
        kind: BindType = "transceiver",
        *,
        version: int = 0x34,
        password: str = PASSWORD,
        verdict: Callable[[Pdu], int | None] | None = None,
        settings: SessionSettings = WIDE,
    ) -> Client:
        client = Client()
        if verdict is not None:
            client.verdict = verdict
        bind = Bind(kind, login.system_id, password, interface_version=version)
        client.conn = await connect("127.0.0.1", self.ports.plain, bind, client, settings)
        self.clients.append(client)
        return client

    def speak(self, login: SmppLogin, dialect: LoginDialect) -> None:
        """Have a bound login spoken to in a dialect that goes beyond what accounts store."""
        customer = self.smsc._customers[login.id]
        customer.dialect = dialect
        self.smsc._courier.speak(login.id, dialect)

    async def message(self, answer: Pdu) -> Message:
        """The message that a submission made."""
        number = read_id("opaque", answer.fields["message_id"])
        assert number is not None
        return await get(self.rt, None, number)

    async def queued(self) -> list[tuple[Any, ...]]:
        """The rows of the queue of deliveries."""
        from chappe.storage import sql

        return await self.rt.store.scan(sql("select id, due_at, tries, error from smsc_deliveries order by id")())


async def open_house(url: str, data_dir: Path, session: SessionSettings | None = None, **smpp: Any) -> House:
    """A furnished house on an empty store that has its tables."""
    settings = Settings(data_dir=data_dir, database=url, secret_key="test", smpp=Smpp(**{"port": 0} | smpp))
    operator = Operator()
    house = House(await open_runtime(settings), operator)
    await house.open(session)
    await house.furnish(await operator.start())
    return house
