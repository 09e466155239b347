"""An installation of several nodes: real `chappe serve` processes on one PostgreSQL, each with its own way to it."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil

from tests.acceptance.traffic import Promises, Traffic
from tests.acceptance.world import World
from tests.support.processes import CHAPPE, Process
from tests.support.proxy import Proxy

ALL = "api,smsc,dispatch,jobs"
AGREED = {"chappe": 3, "solo": 1, "twin": 2, "paced": 3}
"""How many binds the operator and we agreed on, by system_id."""
PREFIXES = {"chappe": "+3361", "solo": "+44740", "twin": "+491511", "paced": "+3162"}
"""Where the numbers begin that each connector takes; seven digits follow."""
LOGINS = {"chappe": "acme", "solo": "acme2", "twin": "acme3"}
RATE, BURST = 50, 15
SCENARIO = """\
response_delay_s = [0.0, 0.05]
receipt_delay_s = { mean = 0.4, least = 0.02 }
late_receipt_s = 2.0
resend_after_s = 0.5
max_binds = 3
"""

CONNECTOR = """\
[[connectors]]
name = "{name}"
credentials = {{ system_id = "{name}", password = {{ env = "SUPPLIER_PASSWORD" }} }}
[connectors.settings]
host = "127.0.0.1"
port = {port}
binds = {binds}
window = 20
response_timeout_s = 5.0
reconnect_min_s = 0.2
reconnect_max_s = 1.0
{more}
[[routes]]
name = "{name}"
connector = "{name}"
prefix = "{prefix}"
"""


class Node(Process):
    """One `chappe serve` and its way to the database."""

    def __init__(self, name: str, roles: str, database: str, folder: Path, env: dict[str, str]) -> None:
        server = urlsplit(database)
        assert server.hostname and server.port, database
        self.roles = roles.split(",")
        self.proxy = Proxy(server.hostname, server.port)
        self._database = server
        super().__init__(name, [CHAPPE, "serve", "--roles", roles], folder, env)

    @property
    def takes_messages(self) -> bool:
        return "api" in self.roles

    async def open(self) -> None:
        """The first start: with its way to the database."""
        await self.proxy.start()
        user = self._database.netloc.rpartition("@")[0]
        url = self._database._replace(netloc=f"{user}@127.0.0.1:{self.proxy.port}")
        self._env["CHAPPE_DATABASE"] = url.geturl()
        await self.start()

    def ports(self) -> set[int]:
        """Of our ends of its connections."""
        if not self.running:
            return set()
        return {c.laddr.port for c in psutil.Process(self.pid).net_connections("tcp")}


class Town(World):
    """Customers come to any node that is ready, as through a balancer; the operator minds the number of binds."""

    def __init__(self, folder: Path, database: str, *, roles: Sequence[str] = (ALL, ALL, ALL)) -> None:
        super().__init__(
            folder, database, scenario=SCENARIO, binds=AGREED["chappe"], env={"CHAPPE_SECRET_KEY": "o" * 32}
        )
        self.members = [self._node(number, role) for number, role in enumerate(roles, 1)]
        self.nodes = [*self.members]
        self.serve = self.members[0]
        self._awake: list[Node] = []
        self._turn = itertools.count()
        self._balancer: asyncio.Task[None] | None = None

    def _node(self, number: int, roles: str) -> Node:
        name = f"node{number}"
        ports = {"CHAPPE_HTTP__PORT": "0", "CHAPPE_SMPP__PORT": "0", "CHAPPE_LOG__FORMAT": "json"}
        own = {"CHAPPE_DATA_DIR": str(self.folder / name)}
        return Node(name, roles, self.database, self.folder, self.env | ports | own)

    # -- life -------------------------------------------------------------------------------------------------------

    def configure(self, more: str = "") -> None:
        port = self.operator.ready["port"]
        for name in ("solo", "twin", "paced"):
            pace = f"rate_per_s = {RATE}\nburst = {BURST}" if name == "paced" else ""
            more += CONNECTOR.format(name=name, port=port, binds=AGREED[name], prefix=PREFIXES[name][1:], more=pace)
        super().configure(more)

    async def start_nodes(self) -> None:
        await asyncio.gather(*(node.open() for node in self.members))
        self._balancer = asyncio.create_task(self._balance())
        await self.until(self._someone_awake)
        for login in [*LOGINS.values()][1:]:
            status, body = await self.post(
                "/v1/smpp_logins", {"system_id": login, "password": "secret", "window_size": 100}
            )
            assert status == 201, body

    async def stop(self) -> None:
        if self._balancer is not None:
            self._balancer.cancel()
            await asyncio.gather(self._balancer, return_exceptions=True)
        for node in self.members:
            node.kill()
        await asyncio.gather(*(node.proxy.stop() for node in self.members))
        await super().stop()

    async def mend(self) -> None:
        """Every node runs and reaches the database, all binds are up and shared out."""
        for node in self.members:
            await node.proxy.heal()
        await asyncio.gather(*(node.start() for node in self.members if not node.running))
        await self.shared_out(30)

    # -- the balancer -----------------------------------------------------------------------------------------------

    def door(self) -> Process:
        awake = self._awake or [node for node in self.members if node.takes_messages]
        return awake[next(self._turn) % len(awake)]

    async def ready(self, node: Node) -> bool:
        """Whether it says itself that it can take messages."""
        if not node.running:
            return False
        patience = aiohttp.ClientTimeout(total=1)
        with suppress(aiohttp.ClientError, TimeoutError, KeyError):
            async with self.http.get(f"http://127.0.0.1:{node.ready['http']}/readyz", timeout=patience) as answer:
                return answer.status == 200
        return False

    async def _balance(self) -> None:
        doors = [node for node in self.members if node.takes_messages]
        while True:
            ready = await asyncio.gather(*(self.ready(node) for node in doors))
            self._awake = [node for node, is_ready in zip(doors, ready, strict=True) if is_ready]
            await asyncio.sleep(0.25)

    async def _someone_awake(self) -> bool:
        return bool(self._awake)

    # -- binds, as the operator sees them ---------------------------------------------------------------------------

    async def binds_up(self) -> dict[str, list[int]]:
        """The peers' ports of the binds that are up, by system_id."""
        customers = (await self.ask("/state"))["customers"]
        return {
            system_id: [int(bind["peer"].rpartition(":")[2]) for bind in seen["binds"]]
            for system_id, seen in customers.items()
        }

    async def holders(self) -> dict[str, list[Node]]:
        """Whose they are, one entry a bind, by system_id."""
        binds = await self.binds_up()
        of = {port: node for node in self.members for port in node.ports()}
        return {system_id: [of[port] for port in binds.get(system_id, ()) if port in of] for system_id in AGREED}

    async def holder(self, system_id: str) -> Node:
        """The node that has its only bind."""
        [node] = (await self.holders())[system_id]
        return node

    async def all_up(self, within_s: float) -> float:
        """Until every connector has all its binds; gives the seconds that it took."""
        began = time.monotonic()

        async def up() -> bool:
            binds = await self.binds_up()
            return all(len(binds.get(system_id, ())) == count for system_id, count in AGREED.items())

        await self.until(up, within_s, f"all binds up: {AGREED}")
        return time.monotonic() - began

    async def shared_out(self, within_s: float) -> None:
        """Until every connector has all its binds, and no node two more of it than another."""
        names = [node.name for node in self.members if "dispatch" in node.roles]
        held: dict[str, Counter[str]] = {}

        async def fair() -> bool:
            for system_id, nodes in (await self.holders()).items():
                held[system_id] = Counter(node.name for node in nodes)
                mine = [held[system_id][name] for name in names]
                if sum(mine) != AGREED[system_id] or max(mine) - min(mine) > 1:
                    return False
            return True

        try:
            await self.until(fair, within_s)
        except AssertionError:
            raise AssertionError(f"not shared out after {within_s:g} s: {held}") from None

    async def refused_binds(self) -> int:
        """How often the operator refused one too many."""
        count: int = (await self.ask("/state"))["binds_refused"]
        return count

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Watch]:
        """The binds are counted all the time. One too many is a fault, whether the operator took or refused it."""
        watch, refused = Watch(), await self.refused_binds()
        task = asyncio.create_task(self._count_binds(watch))
        try:
            yield watch
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        sys.stderr.write(f"this process itself slept {watch.longest_nap():.1f} s at most\n")
        too_many = {s: watch.most(s) for s, agreed in AGREED.items() if watch.most(s) > agreed}
        assert not too_many, f"more binds than agreed: {too_many}"
        assert await self.refused_binds() == refused, "the operator had to refuse a bind: there were enough"

    async def _count_binds(self, watch: Watch) -> None:
        while True:
            watch.seen.append((time.monotonic(), Counter({s: len(b) for s, b in (await self.binds_up()).items()})))
            await asyncio.sleep(0.04)

    # -- traffic ----------------------------------------------------------------------------------------------------

    async def submits(self, system_id: str, since: float) -> list[float]:
        """When the operator got one of a connector, after a moment (seconds since the epoch)."""
        found = [s for s in await self.all("/submits") if s["system_id"] == system_id]
        return [at for s in found if (at := _epoch(s["at"])) >= since]


@dataclass
class Watch:
    """How many binds were up, about 20 times a second, by system_id."""

    seen: list[tuple[float, Counter[str]]] = field(default_factory=list)

    def most(self, system_id: str) -> int:
        return max(binds[system_id] for _, binds in self.seen)

    def longest_nap(self) -> float:
        """Seconds between two looks: a busy machine makes everybody late."""
        return longest_gap([at for at, _ in self.seen])

    def least(self, system_id: str) -> int:
        return min(binds[system_id] for _, binds in self.seen)


class Crowd:
    """Customers of all kinds on all nodes, sending by all connectors but the paced one, until `end`.

    Crowds of one town differ in `number` (0 to 9) and in `areas`: nobody else sends to their recipients.
    """

    def __init__(self, town: Town, number: int, *, areas: str, pause_s: float = 0.08) -> None:
        self.promises = Promises()
        random, first = Random(number), 1_000_000 * number
        self._parts = [
            Traffic(
                town,
                Random(random.random()),
                pause_s=pause_s,
                first=first + 300_000 * place,
                login=login,
                prefix=PREFIXES[system_id],
                areas="" if place else areas,
                promises=self.promises,
            )
            for place, (system_id, login) in enumerate(LOGINS.items())
        ]

    def begin(self) -> None:
        main, *others = self._parts
        main.begin(http=2)
        for part in others:
            part.begin(http=1, phones=False)

    async def end(self) -> None:
        await asyncio.gather(*(part.end() for part in self._parts))

    async def leave(self) -> None:
        await asyncio.gather(*(part.leave() for part in self._parts))

    async def abandon(self) -> None:
        """At once: the test has failed."""
        await asyncio.gather(*(part.abandon() for part in self._parts))


def longest_gap(moments: Sequence[float]) -> float:
    """Seconds."""
    ordered = sorted(moments)
    return max((b - a for a, b in itertools.pairwise(ordered)), default=0.0)


def most_within(moments: Sequence[float], seconds: float) -> int:
    """The most of them in any span of that length."""
    ordered, first, most = sorted(moments), 0, 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def _epoch(instant: Any) -> float:
    return datetime.fromisoformat(instant).timestamp()
