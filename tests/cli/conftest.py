"""Command lines run in this process, and a demo that serves for those that talk to a running Chappe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chappe.cli import build
from tests.support.processes import CHAPPE, Process


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


Command = Callable[..., Ran]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`command("send", "+33...", "text", CHAPPE_API_KEY="...")`: no other setting of Chappe's is in its environment."""

    def run(*arguments: str, **environment: str) -> Ran:
        capsys.readouterr()
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
            for name in [name for name in os.environ if name.startswith("CHAPPE_")]:
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            build(arguments)(arguments, prog_name="chappe")
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """`chappe demo --serve`; `ready` is what its ready file says."""
    folder = tmp_path_factory.mktemp("demo")
    process = Process("demo", [CHAPPE, "demo", "--serve", "--data", str(folder / "data"), "--port", "0"], folder)
    asyncio.run(process.start())
    yield process
    assert asyncio.run(process.stop()) == 0, process.tail


@pytest.fixture(scope="package")
def data(demo: Process) -> Path:
    """The demo's folder."""
    return Path(demo.ready["data_dir"])


@pytest.fixture
def chappe(demo: Process, command: Command) -> Command:
    """Runs a command with the demo's address and key in the environment."""
    environment = {"CHAPPE_API_URL": demo.ready["api_url"], "CHAPPE_API_KEY": demo.ready["api_key"]}
    return lambda *arguments: command(*arguments, **environment)
