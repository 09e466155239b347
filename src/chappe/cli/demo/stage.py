"""The demo's stage: a sandbox operator in a process of its own, and a whole Chappe that sends to it.

Everything lies in one folder: keys, settings (`chappe.toml`), what is configured (`demo.toml`), the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from chappe import declared
from chappe.declared import Secrets
from chappe.runtime import open_runtime
from chappe.secrets import new_api_key
from chappe.service import Service
from chappe.settings import Settings, load
from chappe.storage import exclusive, migrate

HOST: Final = "127.0.0.1"
SYSTEM_ID: Final = "demo"
SENDER: Final = "Chappe"
NUMBER: Final = "+447700900461"  # British, kept for fiction: 07700 900xxx (Ofcom); French mobile numbers may not send
OPERATOR_LOGIN: Final = "chappe"
CONNECTORS: Final = ("sandbox", "sandbox-test")
_HTTP, _SMPP, _OPERATOR, _CONTROL = 8080, 2775, 2776, 8081
_TRIED = 50  # ports from the usual one on
_PATIENCE_S = 20.0

# Real operators take seconds; a demo that is watched takes less.
SCENARIO: Final = """\
response_delay_s = [0.005, 0.03]
receipt_delay_s = [0.6, 1.6]
reply_delay_s = 0.8
"""

SETTINGS: Final = """\
data_dir = {data_dir}

[http]
port = {http}

[smpp]
port = {smpp}

[webhooks]
allow_private = true    # the demo's own receiver is on this machine

[log]
level = "{level}"
"""

CONFIGURATION: Final = """\
# What the demo is made of, as `chappe apply` takes it.

[[accounts]]
slug = "demo"
name = "Demo"
default_sender = "{sender}"

[[accounts.keys]]
name = "demo"
scopes = ["admin"]
secret = {{ file = "api.key" }}

[[accounts.keys]]
name = "demo-test"
mode = "test"
secret = {{ file = "api-test.key" }}

[[accounts.smpp_logins]]
system_id = "{system_id}"
password = {{ file = "smpp.password" }}

[[accounts.senders]]
address = "{sender}"

[[accounts.senders]]
address = "{number}"
inbound = true    # phones can answer it

[[connectors]]
name = "sandbox"
settings = {{ host = "{host}", port = {operator}, window = 50 }}
credentials = {{ system_id = "{operator_login}", password = {{ file = "operator.password" }} }}

[[connectors]]
name = "sandbox-test"
test = true       # carries the messages of test keys
settings = {{ host = "{host}", port = {operator}, window = 50 }}
credentials = {{ system_id = "{operator_login}-test", password = {{ file = "operator.password" }} }}

[[routes]]
name = "everywhere"
connector = "sandbox"

[[routes]]
name = "everywhere-test"
connector = "sandbox-test"
test = true
"""


class SmppDoor(Struct, frozen=True):
    """Where and as whom an SMPP client binds to Chappe."""

    host: str
    port: int
    system_id: str
    password: str


class Ready(Struct, frozen=True, kw_only=True):
    """What a script needs to use the demo; written to the ready file as JSON."""

    api_url: str
    api_key: str
    api_test_key: str
    docs_url: str
    smpp: SmppDoor
    sender: str
    number: str  # a sender that phones can answer
    operator: str  # the sandbox's control URL
    operator_system_id: str  # whose messages POST {operator}/mo sends
    operator_smpp: str
    data_dir: str
    config: str
    pid: int


class NoStage(Exception):
    """The demo cannot start; the message says why."""


class Stage:
    """`async with Stage(...) as stage`: everything runs, `stage.ready` tells where. `port` 0 takes any free ports."""

    def __init__(self, data_dir: Path, port: int | None, log_level: str) -> None:
        self.data_dir = data_dir.absolute()
        self._port = port
        self._level = log_level
        self._ending = contextlib.AsyncExitStack()
        self.ready: Ready

    async def __aenter__(self) -> Stage:
        try:
            await self._start()
        except BaseException:
            await self._ending.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ending.aclose()

    async def _start(self) -> None:
        """Raises NoStage, AlreadyServed, OSError and what Service.start raises."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive.claim(f"sqlite:///{self.data_dir}/chappe.db") or contextlib.nullcontext():
            http, smpp, operator, control = self._ports()
            told = await self._start_operator(operator, control)
            settings = self._settings(http, smpp)
            await self._configure(settings, int(told["port"]))
        service = Service(settings)
        await service.start()
        self._ending.push_async_callback(service.stop)
        self._settings(service.http_port, service.smpp_port)  # the file now names the ports that 0 became
        self.ready = Ready(
            api_url=f"http://{HOST}:{service.http_port}",
            api_key=self._kept("api.key", new_api_key("live")),
            api_test_key=self._kept("api-test.key", new_api_key("test")),
            docs_url=f"http://{HOST}:{service.http_port}/docs",
            smpp=SmppDoor(HOST, service.smpp_port, SYSTEM_ID, self._password("smpp.password")),
            sender=SENDER,
            number=NUMBER,
            operator=told["control"],
            operator_system_id=OPERATOR_LOGIN,
            operator_smpp=f"{HOST}:{told['port']}",
            data_dir=str(self.data_dir),
            config=str(self.data_dir / "chappe.toml"),
            pid=os.getpid(),
        )

    def _ports(self) -> list[int]:
        """HTTP, SMPP, the operator's SMPP and control port: the usual ones, or the next that are free."""
        if self._port == 0:
            return [0, 0, 0, 0]
        ports: list[int] = []
        for usual in (_HTTP if self._port is None else self._port, _SMPP, _OPERATOR, _CONTROL):
            ports.append(free_port(usual, ports))
        return ports

    async def _start_operator(self, port: int, control: int) -> dict[str, Any]:
        """Its ready file as a dict. It ends with us, however we end."""
        ready, scenario = self.data_dir / "operator.json", self.data_dir / "operator.toml"
        ready.unlink(missing_ok=True)
        scenario.write_text(SCENARIO)
        options = ["--port", str(port), "--control-port", str(control), "--ready-file", str(ready)]
        options += ["--scenario", str(scenario), "--quiet", "--die-with-parent"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "chappe.sandbox", *options, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )  # a session of its own: Ctrl-C reaches us first, and we unbind before it goes
        self._ending.push_async_callback(_end, process)
        async with asyncio.timeout(_PATIENCE_S):
            while not ready.exists():
                if process.returncode is not None:
                    raise NoStage("the sandbox operator did not start")
                await asyncio.sleep(0.02)
        told: dict[str, Any] = json.loads(ready.read_text())
        return told

    def _settings(self, http: int, smpp: int) -> Settings:
        """From a file that `--config` can name. The environment has no say: a demo never touches a real database."""
        path = self.data_dir / "chappe.toml"
        data_dir = json.dumps(str(self.data_dir), ensure_ascii=False)  # a TOML string is written like a JSON one
        path.write_text(SETTINGS.format(data_dir=data_dir, http=http, smpp=smpp, level=self._level))
        return load(path, {})

    async def _configure(self, settings: Settings, operator_port: int) -> None:
        """What `chappe apply demo.toml` does."""
        for name in ("smpp.password", "operator.password"):
            self._password(name)
        self._kept("api.key", new_api_key("live"))
        self._kept("api-test.key", new_api_key("test"))
        text = CONFIGURATION.format(
            sender=SENDER,
            number=NUMBER,
            system_id=SYSTEM_ID,
            host=HOST,
            operator=operator_port,
            operator_login=OPERATOR_LOGIN,
        )
        path = self.data_dir / "demo.toml"
        path.write_text(text)
        await asyncio.to_thread(migrate.upgrade, settings.database)
        rt = await open_runtime(settings)
        try:
            await declared.start(rt)
            plan = declared.make_plan(rt, declared.SECTIONS, text, str(path), Secrets({}, self.data_dir))
            await declared.apply_plan(rt, plan, "cli:demo")
        finally:
            await rt.close()

    def _password(self, name: str) -> str:
        return self._kept(name, secrets.token_hex(4))  # 8 octets are what SMPP 3.4 has room for

    def _kept(self, name: str, new: str) -> str:
        """The secret in a file of the folder; `new` where there is none yet."""
        path = self.data_dir / name
        with (
            contextlib.suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file,
        ):
            file.write(new)
        return path.read_text().strip()


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port(usual: int, taken: list[int]) -> int:
    """The first port from `usual` on that nobody has, any free one if all near it are taken."""
    for port in range(usual, min(usual + _TRIED, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in taken and _binds(probe, port):
                return port
    return 0


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True
