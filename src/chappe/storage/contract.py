"""The port that rooms write to. Two engines stand behind it and pass the same conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from chappe.storage.statements import Engine, Op, Row


class Store(Protocol):
    """A durable store with group commit.

    `write` runs its operations as one unit, all or nothing, without any Python between them, and returns after the
    commit: rows for statements that return rows, a count of touched rows for the others. Units that wait at the same
    time may share a commit; a failing one never harms its neighbours. Raises Conflict, Invalid or Unavailable. A caller
    that is cancelled does not know whether its unit was written.

    `read` is for small indexed look-ups on the hot path, `scan` for lists and searches. `wake` names topics whose
    listeners are called after the commit, on every node (a hint: who listens also polls).
    """

    engine: Engine

    async def write(self, *ops: Op, wake: Iterable[str] = ()) -> list[Any]: ...

    async def read(self, op: Op) -> list[Row]: ...

    async def scan(self, op: Op) -> list[Row]: ...

    def listen(self, topic: str, callback: Callable[[], None]) -> None: ...

    def poke(self, topic: str) -> None:
        """Call the listeners of a topic on this node."""

    async def close(self) -> None: ...
