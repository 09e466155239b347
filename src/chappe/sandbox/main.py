"""The sandbox operator as a process: its options, its ready file, its end."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
import uvloop
from aiohttp import web
from msgspec import Struct

from chappe.sandbox import scenario as scenarios
from chappe.sandbox.control import Control
from chappe.sandbox.sandbox import KEEP, Sandbox
from chappe.sandbox.scenario import Scenario, ScenarioError
from chappe.smpp.aio import server_context

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
CONTROL_HOST: Final = "127.0.0.1"


class Options(Struct, frozen=True, kw_only=True):
    """What the process is started with."""

    scenario: Scenario
    host: str
    port: int
    control_port: int
    ready_file: Path | None
    keep: int
    quiet: bool
    tls_cert: Path | None
    tls_key: Path | None


async def run(options: Options) -> None:
    """Serves until SIGTERM or SIGINT. Raises OSError when a port is taken."""
    gc.set_threshold(100_000, 20, 20)  # what we keep by the hundred thousand has no cycles
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tls = server_context(options.tls_cert, options.tls_key) if options.tls_cert else None
    sandbox = Sandbox(options.scenario, options.keep)
    await sandbox.listen(options.host, options.port, tls)
    runner = web.AppRunner(Control(sandbox).app(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, CONTROL_HOST, options.control_port)
        await site.start()
        control = f"http://{CONTROL_HOST}:{runner.addresses[0][1]}"
        if options.ready_file is not None:
            _write(options.ready_file, {"host": options.host, "port": sandbox.port, "control": control})
        if not options.quiet:
            typer.echo(f"SMPP operator on {options.host}:{sandbox.port}, control API on {control}")
        await stop.wait()
    finally:
        await runner.cleanup()
        await sandbox.close()


def _write(path: Path, value: object) -> None:
    """Whoever sees the file sees all of it."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(value), encoding="utf-8")
    new.replace(path)


def die_with_parent() -> None:
    """From now on this process ends when the one that started it does.

    On Linux the signal comes when the *thread* that started us ends: start it from a thread that lives as long as you.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:

        def look() -> None:
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
            loop.call_later(1.0, look)

        loop = asyncio.get_running_loop()
        look()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def command(
    host: Annotated[str, typer.Option(help="Address of the SMPP port.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="SMPP port; 0 takes any free one.")] = 2776,
    control_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the control API on 127.0.0.1; 0 takes any free one.")
    ] = 8081,
    scenario: Annotated[Path | None, typer.Option(help="Scenario file (TOML).", show_default=False)] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write host, port and control URL here as JSON once it listens.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Makes chance repeatable; goes before the scenario's seed.")] = None,
    keep: Annotated[int, typer.Option(min=1, help="Submits and received messages kept in full.")] = KEEP,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM): the SMPP port speaks TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, if the certificate's file has none.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
    with_parent: Annotated[
        bool, typer.Option("--die-with-parent", help="End when the process that started this one ends.")
    ] = False,
) -> None:
    """Run a simulated operator: an SMPP server with phones that behave as their numbers or a scenario say."""
    try:
        chosen = scenarios.parse(scenario.read_text("utf-8")) if scenario else Scenario()
    except OSError as error:
        typer.echo(f"The scenario cannot be read: {error}", err=True)
        raise typer.Exit(2) from None
    except ScenarioError as error:
        for problem in error.problems:
            typer.echo(f"{scenario}: {problem}", err=True)
        raise typer.Exit(2) from None
    if seed is not None:
        chosen = msgspec.structs.replace(chosen, seed=seed)
    options = Options(
        scenario=chosen,
        host=host,
        port=port,
        control_port=control_port,
        ready_file=ready_file,
        keep=keep,
        quiet=quiet,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )

    async def start() -> None:
        if with_parent:
            die_with_parent()
        await run(options)

    try:
        with suppress(KeyboardInterrupt):
            uvloop.run(start())
    except OSError as error:
        typer.echo(f"The sandbox cannot listen: {error}", err=True)
        raise typer.Exit(1) from None
