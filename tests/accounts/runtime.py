"""A runtime with the rooms of configuration started, on either engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chappe import accounts, declared
from chappe.accounts import Account
from chappe.clock import Clock
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings


async def start(url: str, folder: Path, *, secret_key: str = "test") -> Runtime:
    """A further runtime on a store that has its tables; close it yourself."""
    rt = await open_runtime(Settings(data_dir=folder, database=url, secret_key=secret_key), clock=Clock())
    await declared.start(rt)
    return rt


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await start(store_url, tmp_path)
    yield rt
    await rt.close()


@pytest.fixture
async def acme(rt: Runtime) -> Account:
    return await accounts.create_account(rt, "test", slug="acme", name="Acme")


@pytest.fixture
async def other(rt: Runtime) -> Account:
    return await accounts.create_account(rt, "test", slug="other", name="Other")
