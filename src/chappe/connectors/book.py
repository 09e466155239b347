"""All connectors in memory, their credentials opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from chappe.accounts import snapshot
from chappe.channels.settings import Connector
from chappe.connectors.model import StoredConnector, opened
from chappe.connectors.store import CONNECTORS, ROOM
from chappe.secrets import Vault
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class Book:
    """One consistent version. `sealed` names the connectors whose credentials this secret key does not open, and why:
    they are left out of everything else but `stored`, so that one lost key stops no other supplier."""

    def __init__(self, rows: Iterable[StoredConnector], vault: Vault) -> None:
        self.stored = {row.id: row for row in rows}
        self.sealed: dict[str, str] = {}
        self._open: dict[int, Connector] = {}
        for row in self.stored.values():
            try:
                self._open[row.id] = opened(row, vault)
            except ValueError as error:
                self.sealed[row.name] = str(error)
        self._by_name = {connector.name: connector for connector in self._open.values()}

    def get(self, connector_id: int) -> Connector | None:
        return self._open.get(connector_id)

    def by_name(self, name: str) -> Connector | None:
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Connector]:
        return iter(self._open.values())

    def __len__(self) -> int:
        return len(self._open)


async def start(rt: Runtime) -> None:
    """Read the room's table and follow it."""

    async def load(store: Store) -> Book:
        return Book(await CONNECTORS.load(store), rt.vault)

    await rt.snapshots.add(Snapshot(ROOM, load))


def book(rt: Runtime) -> Book:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Book)
    return value
