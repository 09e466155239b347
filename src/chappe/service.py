"""The one place that knows everybody: it builds the runtime, wires the rooms, starts and stops what runs."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import IO

from chappe import api, pages, privacy, smsc, webhooks
from chappe.channels import open_link
from chappe.messages import Pipeline, open_rooms, retention
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import exclusive, migrate, partitions

_DAY_S = 86_400.0


class Service:
    """A whole Chappe: `start`, then `stop`. The ports are known after the start."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.http_port = 0
        self.smpp_port = 0
        self._ending = AsyncExitStack()

    async def start(self) -> None:
        """Raises AlreadyServed, Unavailable, SettingsError, OSError (a port is taken); what had begun is ended."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End in the order that loses nothing: doors, suppliers, what is told to customers, the store."""
        await self._ending.aclose()

    async def _start(self) -> None:
        settings = self.settings
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds texts and the secret key
        claim: IO[bytes] | None = exclusive.claim(settings.database)
        if claim is not None:
            self._ending.callback(claim.close)
        await asyncio.to_thread(migrate.upgrade, settings.database)
        roles = settings.all_roles
        rt = await open_runtime(settings, roles=roles)
        self._ending.push_async_callback(rt.close)
        await open_rooms(rt)
        rt.jobs.every("partitions", _DAY_S, _make_partitions)
        hooks = await webhooks.start(rt)
        api.start(rt)
        pages.start(rt)
        pipeline = Pipeline(
            rt,
            lambda connector, sink, slots: open_link(connector, sink, rt.clock, slots, log=rt.log),
            alone=claim is not None,
            dispatch="dispatch" in roles,
        )
        retention.register(rt, pipeline)
        await privacy.start(rt, pipeline)
        door = smsc.Smsc(rt, pipeline)
        if "jobs" in roles:
            await rt.events.start(rt)
            await rt.jobs.start(rt)
            hooks.start()
            self._ending.push_async_callback(hooks.stop)
        else:
            await rt.events.register(rt)
        await pipeline.start()
        self._ending.push_async_callback(pipeline.stop)
        checks: dict[str, Callable[[], str | None]] = {
            "lease": lambda: None if rt.node.holds() else "The database was away for so long that others took over."
        }
        if "smsc" in roles:
            ports = await door.start()
            self._ending.push_async_callback(door.stop)
            self.smpp_port = ports.plain
            checks["smpp"] = lambda: None if self.smpp_port else "the SMPP server is not up"
        opened = pages.handlers(rt, pipeline) if "api" in roles else ()
        app = api.create_app(rt, pipeline, hooks, checks=checks, handlers=opened, probes_only="api" not in roles)
        server = await api.serve(app, settings.http)
        self._ending.push_async_callback(server.stop)
        self.http_port = server.port
        rt.log.info("serving", http=self.http_port, smpp=self.smpp_port, store=rt.store.engine, roles=",".join(roles))


async def _make_partitions(rt: Runtime) -> None:
    await partitions.ensure_partitions(rt.store, rt.clock.now())


async def serve(settings: Settings, ready: Callable[[dict[str, int]], None]) -> None:
    """Run until SIGTERM or SIGINT; `ready` is told the ports (`http`, `smpp`) once everything is up."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    service = Service(settings)
    await service.start()
    # what is here now stays: the collector need not walk through it again, nor look after every 700 allocations
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    ready({"http": service.http_port, "smpp": service.smpp_port})
    try:
        await stopping.wait()
    finally:
        await service.stop()
