from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from chappe.channels import Connector
from chappe.channels.smpp import SmppLink, open
from chappe.clock import Clock
from tests.channels.runner import Recorder, until
from tests.channels.supplier import Supplier


@pytest.fixture
async def supplier() -> AsyncIterator[Supplier]:
    supplier = Supplier()
    await supplier.start()
    yield supplier
    await supplier.stop()


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


Dial = Callable[..., Awaitable[SmppLink]]


@pytest.fixture
async def dial(supplier: Supplier, sink: Recorder) -> AsyncIterator[Dial]:
    """Opens a link to the supplier with settings, and waits until it is in the wanted state."""
    links: list[SmppLink] = []

    async def open_and_wait(*, state: str = "up", connector: Connector | None = None, **settings: object) -> SmppLink:
        link = open(connector or supplier.connector(**settings), sink, Clock())
        links.append(link)
        await until(lambda: sink.state == state)
        return link

    yield open_and_wait
    for link in links:
        await link.stop(0.05)
