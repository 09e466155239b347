"""What others hear of a message: the event that webhooks, SMPP sessions and later rooms read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chappe.channels import SendError, Verdict
from chappe.events import MessageUpdated
from chappe.messages.model import RANK, Message, State, decode_json

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline


def error_of(error: SendError) -> dict[str, Any]:
    """A delivery error as customers read it: our code, what the supplier said, and whether it is for good."""
    told: dict[str, Any] = {"code": error.code, "permanent": error.verdict is Verdict.PERMANENT}
    if error.supplier:
        told["supplier"] = error.supplier
    if error.detail:
        told["detail"] = error.detail
    return told


def update(house: Pipeline, message: Message, state: State, at: int) -> MessageUpdated:
    """The news that `message` is now in `state`."""
    return MessageUpdated(
        message_id=message.id,
        account_id=message.account_id,
        state=state.word,
        occurred_at=at,
        sequence=RANK[state],
        test=bool(message.test),
        to=message.recipient,
        sender=message.sender,
        text=message.text,
        purpose=message.purpose,
        channel="sms",
        connector=house.connector_name(message.connector_id),
        connector_id=message.connector_id,
        operator=message.operator,
        encoding=message.encoding,
        segments=message.segments,
        country=message.country or None,
        correlation_id=message.correlation_id,
        tags=decode_json(message.tags) if message.tags else [],
        metadata=decode_json(message.metadata) if message.metadata else {},
        callback_url=message.callback_url,
        login_id=message.login_id,
        receipts=message.receipts,
        options=decode_json(message.options) if message.options else None,
        error=decode_json(message.error) if message.error else None,
        created_at=message.created_at,
        send_at=message.send_at,
        expires_at=message.expires_at,
        sent_at=message.sent_at,
        final_at=message.final_at,
        origin=message.origin,
    )
