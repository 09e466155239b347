"""A Chappe for one case: configured by `chappe apply`, served by `chappe serve`, watched from outside."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import billed, machine
from bench.databases import Database
from bench.kit import Failed
from tests.support import processes

KEY = "ck_live_" + "b" * 43
PASSWORD = "secret"
LOGINS = 2  # one for each node: an SMPP customer's receipts follow it to its own
CONFIG = """\
[[accounts]]
slug = "bench"
name = "Bench"
default_sender = "Bench"
[[accounts.keys]]
name = "all"
scopes = ["messages:send", "messages:read", "webhooks", "rates", "routes"]
secret = { env = "BENCH_KEY" }
%LOGINS%
[[accounts.senders]]
address = "Bench"

[[connectors]]
name = "sink"
credentials = { system_id = "chappe", password = { env = "BENCH_PASSWORD" } }
[connectors.settings]
host = "127.0.0.1"
port = %PORT%
binds = 2
window = 100
receipts = %RECEIPTS%
reconnect_min_s = 0.2
reconnect_max_s = 1.0

[[routes]]
name = "bench"
account = "bench"
connector = "sink"
"""
LOGIN = """\
[[accounts.smpp_logins]]
system_id = "bench%d"
password = { env = "BENCH_PASSWORD" }
window_size = 200
"""
SERVE = (processes.CHAPPE, "serve")
PORTS = {"CHAPPE_HTTP__PORT": "0", "CHAPPE_SMPP__PORT": "0", "CHAPPE_LOG__FORMAT": "json"}
SECRETS = {"BENCH_KEY": KEY, "BENCH_PASSWORD": PASSWORD}


class Installation:
    """`nodes` processes on one store. `scratch` takes their logs; `settings` are more environment variables, `serve`
    the command of a process."""

    def __init__(
        self,
        database: Database,
        scratch: Path,
        nodes: int = 1,
        settings: Mapping[str, str] | None = None,
        serve: Sequence[str] = SERVE,
        *,
        billed: bool = False,
    ) -> None:
        self.database = database
        self._billed = billed
        self._scratch = scratch
        self._env = {
            "CHAPPE_DATA_DIR": str(database.folder),
            "CHAPPE_DATABASE": database.url,
            "CHAPPE_WEBHOOKS__ALLOW_PRIVATE": "true",
            "CHAPPE_LOG__LEVEL": "warning",
            "CHAPPE_RETENTION__TEXT_DAYS": "3650",  # a history of a year keeps its texts: the larger case
            "CHAPPE_RETENTION__MESSAGE_DAYS": "3650",
            **(settings or {}),
        }
        self.nodes = []
        for n in range(nodes):
            folder = scratch / f"node{n}"
            folder.mkdir()
            self.nodes.append(processes.Process("serve", serve, folder, PORTS | self._env))

    def start(self, operator_port: int, *, receipts: bool = True) -> float:
        """Configure and serve; gives the seconds from the start of the first process until it answers."""
        config = CONFIG.replace("%LOGINS%", "".join(LOGIN % n for n in range(LOGINS)))
        config = config.replace("%PORT%", str(operator_port)).replace("%RECEIPTS%", str(receipts).lower())
        self.apply(config + billed.routes() if self._billed else config)
        began = time.monotonic()
        asyncio.run(self.nodes[0].start())
        took = time.monotonic() - began
        for node in self.nodes[1:]:
            asyncio.run(node.start())
        if self._billed:
            billed.bill(self.call)
        return took

    def apply(self, config: str, secrets: Mapping[str, str] = SECRETS) -> None:
        file = self._scratch / "config.toml"
        file.write_text(config)
        done = processes.run(self._env | dict(secrets), "apply", str(file))
        if done.returncode:
            raise Failed(done.stdout + done.stderr)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()

    def stop_in_order(self) -> None:
        """So that a history that stays has nothing half done."""
        for node in self.nodes:
            if node.running:
                asyncio.run(node.stop())

    # -- what it uses -----------------------------------------------------------------------------------------------

    @property
    def pids(self) -> list[int]:
        return [node.pid for node in self.nodes]

    def cpu_s(self) -> float:
        return machine.cpu_s(self.pids)

    def rss_mib(self) -> float:
        return machine.rss_mib(self.pids)

    @property
    def tail(self) -> str:
        return "".join(node.tail for node in self.nodes)

    # -- its doors --------------------------------------------------------------------------------------------------

    def port(self, door: str, node: int = 0) -> int:
        return int(self.nodes[node].ready[door])

    def call(self, method: str, path: str, body: Any = None, *, key: str = KEY) -> Any:
        """The JSON of an answer. Raises Failed for any status from 400 on."""
        link = http.client.HTTPConnection("127.0.0.1", self.port("http"), timeout=60)
        try:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            link.request(method, path, None if body is None else json.dumps(body), headers)
            answer = link.getresponse()
            text = answer.read()
        finally:
            link.close()
        if answer.status >= 400:
            raise Failed(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text) if text else None

    def tell_webhooks_to(self, port: int) -> None:
        """The one endpoint, for delivered messages; those of earlier runs go."""
        for known in self.call("GET", "/v1/webhook_endpoints")["data"]:
            self.call("DELETE", f"/v1/webhook_endpoints/{known['id']}")
        self.call(
            "POST", "/v1/webhook_endpoints", {"url": f"http://127.0.0.1:{port}/", "events": ["message.delivered"]}
        )

    def waiting(self) -> int:
        """Messages in the queue, as its metrics say (they are at most some seconds old)."""
        link = http.client.HTTPConnection("127.0.0.1", self.port("http"), timeout=60)
        try:
            link.request("GET", "/metrics")
            text = link.getresponse().read().decode()
        finally:
            link.close()
        return int(sum(float(n) for n in re.findall(r"^chappe_queue_messages\{.*\} (\S+)$", text, re.MULTILINE)))
