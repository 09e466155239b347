"""A runtime with the rooms of configuration and the prices started, on either engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chappe import connectors
from chappe.billing import rating
from chappe.runtime import Runtime
from tests.accounts import runtime
from tests.accounts.runtime import acme, other

__all__ = ["acme", "other"]

SETTINGS = {"host": "127.0.0.1"}
CREDENTIALS = {"system_id": "us", "password": "sesame"}


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await runtime.start(store_url, tmp_path)
    await rating.start(rt)
    yield rt
    await rt.close()


@pytest.fixture
async def carrier(rt: Runtime) -> int:
    """The id of a connector."""
    made = await connectors.create_connector(rt, "test", name="main", settings=SETTINGS, credentials=CREDENTIALS)
    return made.id
