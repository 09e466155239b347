"""The account's events as its webhooks told them, each once, however many addresses it went to."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from chappe import ids, webhooks
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, listed
from chappe.errors import Refused
from chappe.webhooks import Delivery, EventType, Origin

resource = Resource(
    "Events",
    "What was told to webhooks and callbacks, as long as their delivery log is kept.",
    scope="webhooks",
    tenant=True,
)
_CHUNK = 200
_MOST_CHUNKS = 25  # tests and replays are passed over, but not without end


class EventOut(Struct, frozen=True):
    """An event, byte for byte what was posted."""

    id: Annotated[str, Meta(examples=["evt_006h3r8k2w0g4"])]
    type: EventType
    created_at: Time
    data: Annotated[dict[str, Any], Meta(description="The message, as its resource shows it, at that moment.")]


class EventPage(Page, forbid_unknown_fields=True, kw_only=True):
    """What a list of events can be narrowed to."""

    type: EventType | None = None


@resource.get("/v1/events", errors=("invalid_cursor",))
async def list_(call: Call, query: EventPage) -> Listed[EventOut]:
    """List events, newest first."""
    before = after(query, "whd")
    shown: list[Delivery] = []
    last = before or 0
    for _ in range(_MOST_CHUNKS):
        chunk = await webhooks.deliveries(call.rt, call.account_id, kind=query.type, before_id=before, limit=_CHUNK)
        for delivery in chunk:
            # the deliveries of one event lie side by side: they were made together
            known = bool(shown) and shown[-1].event_id == delivery.event_id
            if delivery.origin is Origin.EVENT and not known:
                if len(shown) == query.limit:
                    return listed(map(_event, shown), ids.public("whd", last))
                shown.append(delivery)
            last = delivery.id
        if len(chunk) < _CHUNK:
            return listed(map(_event, shown), None)
        before = last
    return listed(map(_event, shown), ids.public("whd", last))


@resource.get("/v1/events/{id:evt}")
async def get(call: Call, id: int) -> EventOut:
    """Show an event."""
    found = await webhooks.deliveries(call.rt, call.account_id, event_id=id, limit=1)
    if not found:
        raise Refused("not_found", "There is no such event.", param="id")
    return _event(found[0])


def _event(delivery: Delivery) -> EventOut:
    return msgspec.json.decode(delivery.body, type=EventOut)
