"""Reading what was written down: the log of demotions, and the messages to dispute."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chappe.routing.quality import store
from chappe.routing.quality.truth import Suspicion

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_END = (1 << 63) - 1


class Line(NamedTuple):
    """A demotion that began or ended, at the time of its id. `evidence` is JSON."""

    id: int
    connector_id: int
    place: str
    kind: str
    words: str
    evidence: str
    actor: str | None


class Suspect(NamedTuple):
    """A message whose receipt is doubted."""

    message_id: int
    place: str
    why: Suspicion


async def log(rt: Runtime, *, before: int | None, limit: int) -> list[Line]:
    """The newest first."""
    rows = await rt.store.scan(store.LOG({"before": _END if before is None else before, "limit": limit}))
    return [Line(*row) for row in rows]


async def suspects(rt: Runtime, connector_id: int, *, since: int, before: int, limit: int) -> list[Suspect]:
    """Deliveries to canaries and receipts that came too fast, of messages with ids within since and before; the newest
    first."""
    params = {"connector_id": connector_id, "since": since, "before": before, "limit": limit}
    return [Suspect(row[0], row[1], row[2]) for row in await rt.store.scan(store.SUSPECTS(params))]


async def unconverted(rt: Runtime, connector_id: int, *, since: int, before: int, limit: int) -> list[Suspect]:
    """Messages of which somebody told that they had no effect; the newest first."""
    params = {"connector_id": connector_id, "since": since, "before": before, "limit": limit}
    rows = await rt.store.scan(store.UNCONVERTED(params))
    return [Suspect(row[0], row[1], "conversion") for row in rows]
