"""The whole installation at a glance: what `chappe top` shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from chappe import connectors
from chappe.api.alarms import Kind, alarms
from chappe.api.facts import Backlog, Facts
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.operator import NodeOut, node_out
from chappe.api.shapes import Time, rfc
from chappe.nodes import NodeInfo
from chappe.storage.health import StoreHealth

resource = Resource("Overview", "How the installation is, all nodes together.", scope="admin")

_RATES = ("accepted_per_s", "sent_per_s", "receipts_per_s")


class Rates(Struct, frozen=True, kw_only=True):
    """Of all nodes together, over the last second or two."""

    accepted_per_s: float
    sent_per_s: float
    receipts_per_s: float


class LaneOut(Struct, frozen=True, kw_only=True):
    """What a lane of a connector holds. Lanes with nothing in them are left out."""

    connector: str
    lane: Literal["otp", "transactional", "bulk"]
    waiting: int
    oldest_s: Annotated[float, Meta(description="How long the oldest waiting message is overdue.")]
    sending: Annotated[int, Meta(description="On the wire, or just answered.")]
    scheduled: Annotated[int, Meta(description="For later, counted up to 100,000 over all lanes.")]


class LinkLine(Struct, frozen=True, kw_only=True):
    """An active connector, over all nodes; `in_flight` of the node that is asked."""

    name: str
    test: bool
    state: Literal["starting", "up", "degraded", "down", "stopped", "refused"]
    binds_up: int
    binds_wanted: int
    in_flight: int
    circuit_open: bool
    last_error: str | None


class LagOut(Struct, frozen=True, kw_only=True):
    """What a part of the system has not heard of yet, counted up to 100,000."""

    name: str
    waiting: int
    oldest_s: float


class AlarmOut(Struct, frozen=True, kw_only=True):
    """Something that somebody should look at now. The thresholds are settings."""

    kind: Kind
    about: str
    message: str
    action: str


class Overview(Struct, frozen=True, kw_only=True):
    """Numbers are a second old, counts a few seconds, more where much has to be counted."""

    at: Time
    alarms: list[AlarmOut]
    rates: Rates
    nodes: list[NodeOut]
    lanes: list[LaneOut]
    connectors: list[LinkLine]
    reactions: list[LagOut]
    webhooks: Backlog
    customers: Annotated[Backlog, Meta(description="Receipts and messages for SMPP customers.")]
    in_doubt: Annotated[int, Meta(description="Held, since nobody knows whether they were sent.")]
    parked_receipts: int
    events_aside: int
    store: StoreHealth


@resource.get("/v1/overview")
async def overview(call: Call) -> Overview:
    """Show how everything is doing.

    Nodes, lanes, rates, connectors, lags, the store, and what is alarming.
    """
    facts = call.house.facts
    nodes, held = await facts.nodes(), await facts.held()
    found = await alarms(facts, call.rt.settings.alarms)
    return Overview(
        at=rfc(call.rt.clock.now()),
        alarms=[AlarmOut(kind=a.kind, about=a.about, message=a.words, action=a.action) for a in found],
        rates=Rates(**{name: round(sum(_rate(node, name) for node in nodes), 1) for name in _RATES}),
        nodes=[node_out(node) for node in nodes],
        lanes=await _lanes(facts),
        connectors=_links(call),
        reactions=[
            LagOut(name=name, waiting=lag.waiting, oldest_s=lag.age_ms / 1000)
            for name, lag in (await facts.lags()).items()
        ],
        webhooks=await facts.webhooks(),
        customers=await facts.customers(),
        in_doubt=held.in_doubt,
        parked_receipts=held.parked_receipts,
        events_aside=held.events_aside,
        store=await facts.health(),
    )


def _rate(node: NodeInfo, name: str) -> float:
    return 0.0 if node.late else float(node.stats.get(name, 0.0))


async def _lanes(facts: Facts) -> list[LaneOut]:
    return [
        LaneOut(
            connector=lane.connector,
            lane=lane.lane.name.lower(),  # type: ignore[arg-type]
            waiting=lane.waiting,
            oldest_s=max(0.0, lane.oldest_s),
            sending=lane.sending,
            scheduled=lane.scheduled,
        )
        for lane in await facts.lanes()
    ]


def _links(call: Call) -> list[LinkLine]:
    lines = []
    for connector in connectors.book(call.rt):
        status = call.house.pipeline.link(connector.id) if connector.active else None
        if status is not None:
            line: dict[str, Any] = {"name": connector.name, "test": connector.test, "state": status.state}
            line |= {"binds_up": status.binds_up, "binds_wanted": status.binds_wanted, "in_flight": status.in_flight}
            line |= {"circuit_open": status.circuit_open, "last_error": status.last_error or None}
            lines.append(LinkLine(**line))
    return sorted(lines, key=lambda line: line.name)
