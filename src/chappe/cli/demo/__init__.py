"""`chappe demo`: the main job before your eyes, on a store and an operator of its own."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer
import uvloop

from chappe import logs
from chappe.cli.client import ApiError, NotThere
from chappe.cli.demo.customer import Customer
from chappe.cli.demo.play import Play
from chappe.cli.demo.scenes import SCENES
from chappe.cli.demo.screen import Screen
from chappe.cli.demo.stage import NoStage, Ready, Stage
from chappe.cli.terminal import fail
from chappe.declared import Invalid
from chappe.errors import Refused
from chappe.settings import Log
from chappe.smpp.aio import BindFailed
from chappe.storage import StoreError
from chappe.storage.exclusive import AlreadyServed


def command(
    exit_: Annotated[
        bool, typer.Option("--exit", help="Do not stay: end with 0 if every message ended as it must.")
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Send nothing: only start everything, for scripts and tests.")
    ] = False,
    data: Annotated[Path, typer.Option(help="Folder of the demo: database, keys, configuration.")] = Path("data/demo"),
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port of the API; 0 takes any free ports.", show_default="8080 or the next"
        ),
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="File to write addresses and keys to, as JSON, once everything is up.")
    ] = None,
) -> None:
    """Start Chappe with a simulated operator, send real messages by HTTP and SMPP, and watch them arrive."""
    if exit_ and serve:
        fail("--exit and --serve exclude each other.")
    _log_to(None if serve else data / "chappe.log")
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)  # of an earlier run: nobody should read it now
    try:
        code = uvloop.run(_run(Stage(data, port, "info"), exit_, serve, ready_file))
    except AlreadyServed as error:
        fail(f"{error}: stop that demo first, or give another folder by --data.")
    except (NoStage, StoreError, Invalid, Refused, ApiError, NotThere, BindFailed) as error:
        fail(f"The demo cannot go on: {error}")
    except TimeoutError:
        fail(f"The demo cannot go on: something did not come up in time. See {data}/chappe.log.")
    except OSError as error:
        fail(f"The demo cannot go on: {error.strerror or error}")
    raise typer.Exit(code)


def _log_to(file: Path | None) -> None:
    """Logs go to a file of the demo's folder where the screen is taken."""
    logs.configure(Log(format="auto" if file is None else "json"))
    if file is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=file.open("a", buffering=1)))


async def _run(stage: Stage, exit_: bool, serve: bool, ready_file: Path | None) -> int:
    """The exit status. Ends early, and cleanly, at a signal."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with stage:
        if ready_file is not None:
            _write(ready_file, stage.ready)
        if serve:
            await stopping.wait()
            return 0
        playing = asyncio.create_task(_play(stage.ready, exit_))
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({playing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if playing.done():
            return playing.result()
        playing.cancel()
        await asyncio.wait({playing})
        return 0 if playing.cancelled() and not exit_ else 1


async def _play(ready: Ready, exit_: bool) -> int:
    screen, customer = Screen(), Customer()
    screen.welcome(ready)
    try:
        runs = await Play(ready, customer, screen).run(SCENES)
        good = screen.summary(runs, customer.forged)
        if not exit_:
            screen.invite(ready)
            customer.told = screen.heard
            await asyncio.get_running_loop().create_future()  # until a signal
        return 0 if good else 1
    finally:
        await customer.leave()


def _write(path: Path, ready: Ready) -> None:
    partial = path.with_name(path.name + ".part")
    partial.touch(mode=0o600)
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(ready)))
    partial.replace(path)  # whoever sees the file sees all of it
