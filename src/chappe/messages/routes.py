"""Where a message goes when its first road is closed, or when its time comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chappe import routing
from chappe.channels import Connector
from chappe.messages.model import Message

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline


def roads(house: Pipeline, message: Message) -> tuple[int, ...]:
    """The connectors of its route as it is today."""
    asked = message.wire.connector
    if asked is not None:
        connector = house.connectors.by_name(asked)
        return (connector.id,) if connector else ()
    decision = routing.decide(
        house.routes,
        message.account_id,
        message.recipient[1:],
        message.purpose,
        bool(message.test),
        message.sender,
    )
    return decision.connectors if decision else ()


def current(house: Pipeline, message: Message) -> int:
    """The connector to queue it for now; its old one if the route has gone."""
    active = [c for c in roads(house, message) if house.active(c)]
    usable = [c for c in active if house.dispatcher.usable(c)]
    return (usable or active or [message.connector_id])[0]


def following(house: Pipeline, message: Message, tried: Sequence[int], *, usable: bool = False) -> Connector | None:
    """The first connector of the route that was not tried; with `usable`, one whose link is up."""
    for connector_id in roads(house, message):
        if connector_id in tried or not house.active(connector_id):
            continue
        if usable and not house.dispatcher.usable(connector_id):
            continue
        return house.connectors.get(connector_id)
    return None
