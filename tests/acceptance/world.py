"""A whole installation for one test: `chappe serve`, an operator, a receiver of webhooks, and a look into the store."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from chappe.smpp import SessionSettings
from chappe.smpp.aio import Bind, Connection, Handler, connect
from tests.acceptance.hooks import Hooks
from tests.support import processes
from tests.support.processes import Process

KEY = "ck_live_" + "a" * 43
RIVAL_KEY = "ck_live_" + "r" * 43
OPERATOR_KEY = "ck_live_" + "o" * 43
NUMBER = "33644600001"
"""The account's number, to which phones write."""
SMPP_PASSWORD = "secret"
WINDOW = 20
LEASED = ("nodes", "event_cursors", "jobs", "schedules", "smsc_deliveries", "webhook_deliveries")
SECRETS = {
    "ACME_KEY": KEY,
    "RIVAL_KEY": RIVAL_KEY,
    "OPERATOR_KEY": OPERATOR_KEY,
    "SMPP_PASSWORD": SMPP_PASSWORD,
    "SUPPLIER_PASSWORD": "sesame",
}

CONFIG = """\
[[accounts]]
slug = "acme"
name = "Acme"
default_sender = "Acme"
settings = {{ consent = "elsewhere", wording = "off" }}
[[accounts.keys]]
name = "all"
scopes = [
    "messages:send", "messages:read", "webhooks", "connectors", "routes", "accounts", "keys", "smpp", "senders",
    "rates", "billing",
]
secret = {{ env = "ACME_KEY" }}
[[accounts.keys]]
name = "operator"
scopes = ["admin"]
secret = {{ env = "OPERATOR_KEY" }}
[[accounts.smpp_logins]]
system_id = "acme"
password = {{ env = "SMPP_PASSWORD" }}
window_size = 100
[[accounts.senders]]
address = "Acme"
[[accounts.senders]]
address = "{number}"
inbound = true

[[accounts]]
slug = "rival"
name = "Rival"
default_sender = "Rival"
[[accounts.keys]]
name = "all"
scopes = ["messages:send", "messages:read", "webhooks"]
secret = {{ env = "RIVAL_KEY" }}
[[accounts.smpp_logins]]
system_id = "rival"
password = {{ env = "SMPP_PASSWORD" }}
[[accounts.senders]]
address = "Rival"

[[connectors]]
name = "main"
credentials = {{ system_id = "chappe", password = {{ env = "SUPPLIER_PASSWORD" }} }}
[connectors.settings]
host = "127.0.0.1"
port = {port}
window = {window}
binds = {binds}
response_timeout_s = 5.0
reconnect_min_s = 0.2
reconnect_max_s = 1.0

[[routes]]
name = "all"
connector = "main"
"""


class World:
    """Made for a store's URL; `start` brings everything up, `stop` ends it in order."""

    def __init__(
        self,
        folder: Path,
        database: str,
        *,
        scenario: str = "",
        window: int = WINDOW,
        binds: int = 1,
        env: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.database = database
        self.window = window
        self.binds = binds
        self.hooks = Hooks()
        self.operator = processes.operator(folder, scenario)
        self.env = {
            "CHAPPE_DATA_DIR": str(folder / "data"),
            "CHAPPE_DATABASE": database,
            "CHAPPE_WEBHOOKS__ALLOW_PRIVATE": "true",
            **(env or {}),
        }
        self.serve = processes.serve(folder, self.env)
        self.nodes = [self.serve]
        self.prices = ""
        self._http: aiohttp.ClientSession | None = None
        self._reader: asyncpg.Connection | None = None

    async def start(self) -> None:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        await asyncio.gather(self.hooks.start(), self.operator.start())
        self.configure()
        await self.start_nodes()
        status, endpoint = await self.post("/v1/webhook_endpoints", {"url": self.hooks.url})
        assert status == 201, endpoint
        self.hooks.secret = endpoint["secret"]
        await self._at_any_hour()

    async def start_nodes(self) -> None:
        await self.serve.start()

    def configure(self, more: str = "") -> None:
        """`chappe apply`."""
        port = self.operator.ready["port"]
        text = CONFIG.format(number=NUMBER, port=port, window=self.window, binds=self.binds) + more
        file = self.folder / "config.toml"
        file.write_text(text)
        done = processes.run(self.env | SECRETS, "apply", str(file))
        assert done.returncode == 0, done.stdout + done.stderr

    async def stop(self) -> None:
        for process in (*self.nodes, self.operator):
            process.kill()
        if self._reader is not None:
            self._reader.terminate()
        if self._http is not None:
            await self._http.close()
        await self.hooks.stop()

    async def _at_any_hour(self) -> None:
        """Tests are run at night and on Sundays, too: no hours are kept in France for marketing."""
        _, told = await self.get("/v1/rules/FR", key=OPERATOR_KEY)
        for rule in told["rules"]:
            if rule["kind"] == "hours" and rule["blocks"]:
                waiver = {"kind": "waiver", "value": rule["name"], "reason": "A test.", "everyone": True}
                status, body = await self.post("/v1/rule_adjustments", waiver, key=OPERATOR_KEY)
                assert status == 201, body

    async def bill(self, charge_on: str, *, top_up: str = "1000.00") -> None:
        """Have the account pay for its messages: 0.05 EUR a segment, of which the supplier of `main` asks 0.03."""
        _, account = await self.get("/v1/account")
        supplier = await self._price_list("supplier", "supplier", "0.03", charge_on)
        await self._made("/v1/connector_cards", {"connector": "main", "price_list_id": supplier})
        self.prices = await self._price_list("customers", "customer", "0.05", charge_on)
        await self.prepay(account["id"], top_up)

    async def prepay(self, account_id: str, top_up: str) -> None:
        """Terms for an account by the list of `bill`, and its first payment."""
        terms = {"account_id": account_id, "currency": "EUR", "price_list_id": self.prices}
        await self._made("/v1/account_terms", terms)
        booked = {"account_id": account_id, "amount": top_up, "currency": "EUR", "reference": "first"}
        await self._made("/v1/top_ups", booked)

    async def audit_books(self) -> None:
        """`chappe ledger audit`."""
        done = await asyncio.to_thread(processes.run, self.env, "ledger", "audit")
        assert done.returncode == 0, done.stdout + done.stderr
        sys.stderr.write(done.stdout)

    async def _made(self, path: str, body: object) -> None:
        status, told = await self.post(path, body)
        assert status in (200, 201), told

    async def _price_list(self, name: str, kind: str, amount: str, charge_on: str) -> str:
        _, made = await self.post(
            "/v1/price_lists", {"name": name, "kind": kind, "currency": "EUR", "charge_on": charge_on}
        )
        path = f"/v1/price_lists/{made['id']}/rates"
        _, seen = await self.post(f"{path}/preview", {"rows": [{"amount": amount}]})
        status, told = await self.post(f"{path}/import", {"preview_digest": seen["preview_digest"]})
        assert status == 200, told
        found: str = made["id"]
        return found

    # -- Chappe's doors ---------------------------------------------------------------------------------------------

    @property
    def http(self) -> aiohttp.ClientSession:
        assert self._http is not None
        return self._http

    def door(self) -> Process:
        """The process that a customer who does not care comes to."""
        return self.serve

    async def post(
        self, path: str, body: object, *, key: str = KEY, idempotency: str | None = None, at: Process | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and body. Raises aiohttp.ClientError when the connection is refused or cut."""
        headers = {"Authorization": f"Bearer {key}"}
        if idempotency is not None:
            headers["Idempotency-Key"] = idempotency
        async with self.http.post(self._api(path, at), json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, *, key: str = KEY, at: Process | None = None) -> tuple[int, Any]:
        async with self.http.get(self._api(path, at), headers={"Authorization": f"Bearer {key}"}) as answer:
            return answer.status, await answer.json()

    def _api(self, path: str, at: Process | None) -> str:
        return f"http://127.0.0.1:{(at or self.door()).ready['http']}{path}"

    async def send(self, *, at: Process | None = None, **fields: Any) -> dict[str, Any]:
        """A message that has to be accepted."""
        status, body = await self.post("/v1/messages", {"text": "Bonjour"} | fields, at=at)
        assert status == 202, body
        return body

    async def bind(
        self, handler: Handler, *, system_id: str = "acme", window: int = 10, at: Process | None = None
    ) -> Connection:
        bind = Bind("transceiver", system_id, SMPP_PASSWORD)
        settings = SessionSettings(window=window, connect_timeout_s=2, session_init_s=5, response_timeout_s=20)
        return await connect("127.0.0.1", (at or self.door()).ready["smpp"], bind, handler, settings)

    # -- the operator -----------------------------------------------------------------------------------------------

    async def order(self, path: str, body: object) -> dict[str, Any]:
        """Ask the operator for something."""
        data = body if isinstance(body, str) else None
        async with self.http.post(
            self.operator.ready["control"] + path, data=data, json=None if data is not None else body
        ) as answer:
            told: dict[str, Any] = await answer.json()
            assert answer.status == 200, told
            return told

    async def ask(self, path: str) -> dict[str, Any]:
        async with self.http.get(self.operator.ready["control"] + path) as answer:
            told: dict[str, Any] = await answer.json()
            assert answer.status == 200, told
            return told

    async def all(self, path: str) -> list[dict[str, Any]]:
        """A list of the operator's, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            since = found[-1]["number"] if found else 0
            page = await self.ask(f"{path}?limit=5000&since={since}")
            found += page["data"]
            if not page["has_more"]:
                return found

    async def phone(self, sender: str, text: str, **more: Any) -> None:
        """A phone writes to the account's number."""
        await self.order("/mo", {"from": sender, "to": NUMBER, "text": text, "system_id": "chappe"} | more)

    # -- the store --------------------------------------------------------------------------------------------------

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement finds; a connection of our own, so that we see what is committed."""
        if self.database.startswith("sqlite"):
            return await asyncio.to_thread(_select, self.database.removeprefix("sqlite:///"), statement)
        if self._reader is None or self._reader.is_closed():
            self._reader = await asyncpg.connect(self.database)
        return [tuple(row) for row in await self._reader.fetch(statement)]

    async def expire_leases(self) -> None:
        """As if a minute had gone by since `serve` was killed: what it had leased is free."""
        assert not self.serve.running
        for table in LEASED:
            await self.rows(f"update {table} set lease_until = 0")

    async def value(self, statement: str) -> Any:
        return (await self.rows(statement))[0][0]

    # -- waiting ----------------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], Awaitable[object]], within_s: float = 15.0, what: str = "") -> None:
        """Until the condition holds; fails with the logs of both processes when it does not in time."""
        deadline = time.monotonic() + within_s
        while not await condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"still not so after {within_s:g} s: {what or condition}")
            await asyncio.sleep(0.05)

    async def becomes(self, message_id: str, status: str, within_s: float = 15.0) -> dict[str, Any]:
        """The message, once it has this status."""
        shown: dict[str, Any] = {}

        async def there() -> bool:
            nonlocal shown
            _, shown = await self.get(f"/v1/messages/{message_id}")
            return shown.get("status") == status

        await self.until(there, within_s, f"{message_id} {status}")
        return shown


def _select(path: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as db:
        return db.execute(statement).fetchall()
