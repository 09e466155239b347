"""What a holding is: a kind of thing that is kept of persons, and how it is read and erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

from chappe.privacy.model import Who
from chappe.storage import Op, Statement

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Record = dict[str, Any]
"""Something that is held, as JSON can say it; times are RFC 3339."""
Slice = tuple[int, list[Op]]
"""How many things are erased by these ops, which are one unit."""

WINDOW = 2_000  # rows of others that a look passes over


class Holding(Protocol):
    """`kind` as exports and counts name it; `columns` where it lies: `table.column`.

    `read` gives pages of what is held, in bounded memory. `erase` gives units that take it away; each is to be written
    before the next is asked for. It may be asked again at any time: what is gone is not found.
    """

    @property
    def kind(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]: ...

    def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]: ...


async def windows(rt: Runtime, last_of: Statement, **params: Any) -> AsyncIterator[dict[str, Any]]:
    """A table that has no index by person, some rows at a time: the parameters of each window, (after, last]."""
    after = -1
    while True:
        window = {**params, "after": after}
        last = (await rt.store.scan(last_of({**window, "limit": WINDOW})))[0][0]
        if last is None:
            return
        yield window | {"last": last}
        after = last


def without_person(said: Any, who: Who, test: int) -> Any:
    """The same JSON with the alias wherever the address stands as a value."""
    if isinstance(said, dict):
        return {name: without_person(value, who, test) for name, value in said.items()}
    if isinstance(said, list):
        return [without_person(value, who, test) for value in said]
    return who.alias(test) if said == who.person else said
