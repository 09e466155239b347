"""Messages: listed, looked at, canceled, explained. Handing them in is `sending.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from chappe import billing, ids, messages, numbers, privacy
from chappe.api.house import Call, House
from chappe.api.operations import Resource
from chappe.api.shapes import (
    DeliveryError,
    Listed,
    MessageOut,
    Page,
    Status,
    Time,
    after,
    delivery_error,
    listed,
    maybe_moment,
    maybe_rfc,
    message_out,
    paged,
    rfc,
)
from chappe.errors import Refused
from chappe.messages import STATE_OF, Filter

resource = Resource(
    "Messages",
    "Text messages to phones: handed in, followed, taken back.",
    scope="messages:read",
    tenant=True,
)


class MessagePage(Page, forbid_unknown_fields=True, kw_only=True):
    """What a list of messages can be narrowed to."""

    status: Annotated[tuple[Status, ...], Meta(max_length=12, description="Repeat it for several.")] = ()
    to: Annotated[str, Meta(max_length=40, description="E.164.")] | None = None
    tag: Annotated[str, Meta(max_length=64)] | None = None
    correlation_id: Annotated[str, Meta(max_length=255)] | None = None
    created_after: Annotated[str, Meta(description="RFC 3339 with an offset.")] | None = None
    created_before: Annotated[str, Meta(description="RFC 3339 with an offset.")] | None = None


class PartOut(Struct, frozen=True):
    """A part of the message at a supplier."""

    part: int
    connector: str
    provider_id: Annotated[str, Meta(description="The supplier's id of it.")]
    state: str
    error: DeliveryError | None
    sent_at: Time | None
    final_at: Time | None


class AttemptOut(Struct, frozen=True):
    """One connector tried."""

    attempt: int
    connector: str | None
    parts: list[PartOut]


class Frame(Struct, frozen=True):
    """A PDU, decoded and in hex; texts and passwords are blanked."""

    pdu: dict[str, Any]
    hex: str


class StepOut(Struct, frozen=True):
    """A line of history: a decision, an answer, a receipt."""

    at: Time
    kind: Annotated[str, Meta(examples=["accepted", "answered", "receipt"])]
    attempt: int
    part: int
    data: dict[str, Any]
    request: Frame | None
    response: Frame | None


class MessageMoneyOut(Struct, frozen=True):
    """What a message brings and costs, and by which rows: for keys with the scope `rates`."""

    charged_on: Annotated[Literal["submit", "delivered"], Meta(description="By the contract with the customer.")]
    upstream: Annotated[str | None, Meta(description="What the account's reseller pays, in the reseller's currency.")]
    cost: Annotated[str | None, Meta(description="What the supplier asks; null where that is not known.")]
    cost_currency: str | None
    cost_booked: bool
    how: Annotated[list[str], Meta(description="How the price comes about today, row by row.")]


class ExplanationOut(Struct, frozen=True):
    """The whole life of a message, oldest step first."""

    message: MessageOut
    attempts: list[AttemptOut]
    history: list[StepOut]
    money: Annotated[MessageMoneyOut | None, Meta(description="null for keys without the scope `rates`.")]


@resource.get("/v1/messages", errors=("invalid_cursor",))
async def list_(call: Call, query: MessagePage) -> Listed[MessageOut]:
    """List messages, newest first."""
    wanted = Filter(
        account_id=call.account_id,
        states=tuple(STATE_OF[word] for word in query.status),
        to=None if query.to is None else _number(query.to),
        tag=query.tag,
        correlation_id=query.correlation_id,
        created_after=maybe_moment(query.created_after, "created_after"),
        created_before=maybe_moment(query.created_before, "created_before"),
        cursor=after(query, "msg"),
        limit=query.limit + 1,
    )
    rows, cursor = paged(await messages.listed(call.rt, wanted), query, "msg", lambda message: message.id)
    if wanted.to is not None:
        privacy.saw(call.rt, call.account_id, call.actor, "search", wanted.to, test=call.test, count=len(rows))
    return listed((message_out(call.house, message) for message in rows), cursor)


@resource.get("/v1/messages/{id:msg}")
async def get(call: Call, id: int) -> MessageOut:
    """Show a message."""
    return message_out(call.house, await messages.get(call.rt, call.account_id, id))


@resource.post("/v1/messages/{id:msg}/cancel", scope="messages:send", errors=("not_cancelable",))
async def cancel(call: Call, id: int) -> MessageOut:
    """Take back a message that waits or is scheduled.

    Once it is on its way to the operator it can no longer be canceled.
    """
    if call.test and not (await messages.get(call.rt, call.account_id, id)).test:
        call.caller.need_live("live messages")
    return message_out(call.house, await messages.cancel(call.house.pipeline, call.account_id, id, call.actor))


@resource.get("/v1/messages/{id:msg}/explain")
async def explain(call: Call, id: int) -> ExplanationOut:
    """Explain a message: every decision, attempt, part, PDU and receipt."""
    told = await messages.explain(call.rt, call.account_id, id)
    return ExplanationOut(
        message=message_out(call.house, told.message),
        attempts=_attempts(call.house, told),
        history=[step_out(call.house, step) for step in told.steps],
        money=_money(call.house, told.message) if call.caller.key.may("rates") else None,
    )


def _money(house: House, message: messages.Message) -> MessageMoneyOut | None:
    if message.test:
        return None
    return MessageMoneyOut(
        charged_on="delivered" if message.money & billing.ON_DELIVERY else "submit",
        upstream=None if message.upstream is None else billing.decimal(message.upstream),
        cost=None if message.cost is None else billing.decimal(message.cost),
        cost_currency=message.cost_currency,
        cost_booked=bool(message.money & billing.COST_BOOKED),
        how=messages.price_explained(house.pipeline, message),
    )


def _attempts(house: House, told: messages.Explanation) -> list[AttemptOut]:
    name = house.pipeline.connector_name
    found: dict[int, list[PartOut]] = {}
    connectors: dict[int, str] = {}
    for step in told.steps:
        if step.attempt and step.data and step.data.get("connector"):
            connectors[step.attempt] = step.data["connector"]
    for part in told.parts:
        connectors[part.attempt] = name(part.connector_id)
        found.setdefault(part.attempt, []).append(
            PartOut(
                part.part,
                name(part.connector_id),
                part.provider_id,
                part.state,
                delivery_error(part.error),
                maybe_rfc(part.sent_at),
                maybe_rfc(part.final_at),
            )
        )
    return [AttemptOut(n, connectors[n], found.get(n, [])) for n in sorted(connectors)]


def step_out(house: House, step: Any) -> StepOut:
    return StepOut(
        rfc(step.at),
        step.kind,
        step.attempt,
        step.part,
        _said(house, step.data or {}),
        step.request and Frame(**step.request),
        step.response and Frame(**step.response),
    )


def _said(house: House, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a step said, in public ids, names and times."""
    said = dict(data)
    if said.get("route"):
        said["route"] = ids.public("rte", said["route"])
    if isinstance(said.get("connectors"), Sequence):
        said["connectors"] = [house.pipeline.connector_name(number) for number in said["connectors"]]
    if said.get("owner"):
        said["owner"] = ids.public("acc", said["owner"])
    for name in ("due", "done_at", "throttled_until", "held_until"):
        if isinstance(said.get(name), int):
            said[name] = rfc(said[name])
    return said


def _number(text: str) -> str:
    """As it is stored; raises Refused. In a query string a + that was not escaped is a space."""
    try:
        return numbers.parse("+" + text.strip().lstrip("+")).e164
    except numbers.NumberError as error:
        raise Refused(error.code, error.message, param="to") from None
