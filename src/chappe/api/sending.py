"""Handing messages in: `POST /v1/messages` and `/v1/messages/batch`, the hot path of the door.

These two are plain ASGI: one decoder, one look-up for the key, one call of the pipeline.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from chappe import ids, messages, outgoing
from chappe.api.access import Caller
from chappe.api.answers import (
    JSON,
    Answer,
    Detail,
    ErrorBody,
    Receive,
    answer,
    check_media_type,
    decode_body,
    encode,
    error_answer,
    error_body,
    refused_with,
)
from chappe.api.house import House
from chappe.api.idempotency import REPLAYED, checked_key, digest_of, running
from chappe.api.operations import Operation
from chappe.api.shapes import (
    PLAIN_OPTIONS,
    ChangeOut,
    Purpose,
    SentMessage,
    Status,
    Tlv,
    first_status,
    maybe_rfc,
    message_fields,
    moment,
    rfc,
    wire_options,
)
from chappe.errors import Refused
from chappe.messages import IdempotencyKey, KeyReused, Refusal, Replay, Result, Submission, Wire
from chappe.messages.model import PLAIN

if TYPE_CHECKING:
    from chappe.messages import Accepted

SCOPE = "messages:send"
_YIELD_EVERY = 200  # items between which others get their turn
_MOST_DETAILS = 100
# what the gateway itself puts on the wire: SMPP 3.4, 5.3.2.22, 5.3.2.23, 5.3.2.24 and 5.3.2.32
_OWN_TLVS = {0x020C: "sar_msg_ref_num", 0x020E: "sar_total_segments", 0x020F: "sar_segment_seqnum"} | {
    0x0424: "message_payload"
}

Text = Annotated[str, Meta(max_length=50_000, description="The text. Long ones are sent in parts.")]
From = Annotated[str, Meta(max_length=40, description="A sender of the account; else its default sender.")]
To = Annotated[str, Meta(max_length=40, description="E.164.", examples=["+33612345678"])]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Scalar = str | int | float | bool | None
Octet = Annotated[int, Meta(ge=0, le=255)]


class Common(Struct, forbid_unknown_fields=True, kw_only=True):
    """What can be said of one message or of many alike."""

    from_: From | None = field(default=None, name="from")
    text: Text | None = None
    purpose: Annotated[Purpose, Meta(description="otp leaves first, marketing last.")] = "transactional"
    encoding: Literal["auto", "gsm7", "ucs2", "latin1", "ascii"] = "auto"
    smart_encoding: Annotated[bool, Meta(description="Replace characters so that the text fits GSM-7.")] = False
    send_at: Annotated[str, Meta(description="RFC 3339 with an offset; leave out to send now.")] | None = None
    validity_seconds: (
        Annotated[int, Meta(ge=-(2**31), le=2**31, description="How long it may wait, 5 seconds to 7 days.")] | None
    ) = None
    callback_url: Annotated[str, Meta(max_length=2048, description="Gets the events of this message.")] | None = None
    correlation_id: Annotated[str, Meta(max_length=255, description="Your own id of it.")] | None = None
    tags: Annotated[tuple[Tag, ...], Meta(max_length=20)] = ()
    metadata: Annotated[dict[Tag, Scalar], Meta(max_length=50, description="Comes back in every event.")] = {}
    dry_run: Annotated[bool, Meta(description="Say what would happen, and send nothing.")] = False
    data: Annotated[str, Meta(description="Binary content in base64, instead of `text`.")] | None = None
    udh: Annotated[str, Meta(description="User data header of `data` in hex, with its length octet.")] | None = None
    message_class: Annotated[int, Meta(ge=0, le=3, description="0 is shown at once (flash).")] | None = None
    data_coding: Annotated[int, Meta(ge=0, le=255, description="Of `data`; SMPP 3.4, 5.2.19.")] | None = None
    protocol_id: Octet = 0
    priority: Annotated[int, Meta(ge=0, le=3, description="SMPP 3.4, 5.2.14; the lane follows from `purpose`.")] = 0
    tlvs: Annotated[tuple[Tlv, ...], Meta(max_length=16)] = ()
    connector: Annotated[str, Meta(max_length=63, description="By name, instead of the routes.")] | None = None


class NewMessage(Common, forbid_unknown_fields=True, kw_only=True):
    """A message to one recipient."""

    to: To


class NewBatch(Common, forbid_unknown_fields=True, kw_only=True):
    """Either `messages`, each with fields of its own, or `to` with many recipients and fields that all share."""

    messages: list[msgspec.Raw] | None = None
    to: list[str] | None = None


class ItemError(Struct, frozen=True):
    """Why one item of a batch was refused."""

    code: str
    message: str
    param: str | None


class Item(Struct, frozen=True):
    """What became of one item: `id` and `status`, or `error`."""

    index: int
    id: str | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class BatchResult(Struct, frozen=True):
    """What became of each item, in order."""

    data: list[Item]
    accepted: int
    refused: int


class BatchRefused(Struct, frozen=True):
    """No item was accepted: the usual error, and what was wrong with each."""

    error: ErrorBody
    data: list[Item]
    accepted: int
    refused: int


class BatchOfMessages(Struct, forbid_unknown_fields=True):
    """Messages with fields of their own."""

    messages: Annotated[
        list[NewMessage], Meta(min_length=1, description="At most 10,000, unless the operator says otherwise.")
    ]


class BatchOfRecipients(Common, forbid_unknown_fields=True, kw_only=True):
    """The same for many recipients."""

    to: Annotated[list[To], Meta(min_length=1, description="At most 10,000, unless the operator says otherwise.")]


class Gone(Exception):
    """The caller hung up in the middle of its body."""


_MESSAGE = msgspec.json.Decoder(NewMessage)
_BATCH = msgspec.json.Decoder(NewBatch)


class Sending:
    """The two hot addresses. Keys in work are remembered, so that a hasty repetition is told to wait."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._running: set[tuple[int, str]] = set()

    async def one(self, scope: Mapping[str, Any], receive: Receive, request_id: str) -> Answer:
        caller, key, body = await self._enter(scope, receive, _ONE)
        request: NewMessage = decode_body(_MESSAGE, body)
        self._house.gate.spend(caller.account, 1)
        submission = _submission(self._house, caller, request, request.to)
        try:
            [result] = await self._accept([submission], None if request.dry_run else key)
        except Replay as before:
            return await self._again(caller, before.results[0], request_id)
        if isinstance(result, Refusal):
            raise refused_with(result.code, result.message, result.param)
        return answer(_sent(self._house, submission, result), 202)

    async def batch(self, scope: Mapping[str, Any], receive: Receive, request_id: str) -> Answer:
        caller, key, body = await self._enter(scope, receive, _MANY)
        request: NewBatch = decode_body(_BATCH, body)
        items = await self._items(caller, request)
        self._house.gate.spend(caller.account, len(items))
        valid = [item for item in items if isinstance(item, Submission)]
        dry = bool(valid) and all(item.dry_run for item in valid)
        replayed = False
        results: list[Any] = []
        if valid:
            try:
                results = list(await self._accept(valid, None if dry else key))
            except Replay as before:
                results, replayed = before.results, True
        told = iter(results)
        data = [
            _told(index, item, next(told) if isinstance(item, Submission) else item) for index, item in enumerate(items)
        ]
        return _batch_answer(data, replayed, request_id)

    # -- steps -----------------------------------------------------------------------------------------------------

    async def _enter(
        self, scope: Mapping[str, Any], receive: Receive, address: str
    ) -> tuple[Caller, IdempotencyKey | None, bytes]:
        """Who asks, under which idempotency key, and the body."""
        authorization = content_type = b""
        raw_key = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"content-type":
                content_type = value
            elif name == b"idempotency-key":
                raw_key = value
        caller = self._house.gate.caller(authorization)
        caller.need(SCOPE)
        check_media_type(content_type)
        body = await read_body(scope, receive, self._house.rt.settings.limits.body_bytes)
        if raw_key is None:
            return caller, None, body
        digest = digest_of(address, caller.key.test, body)
        return caller, IdempotencyKey(caller.account.id, checked_key(raw_key), digest), body

    async def _accept(self, submissions: list[Submission], key: IdempotencyKey | None) -> list[Result]:
        if key is None:
            return await self._house.pipeline.accept(submissions)
        name = (key.account_id, key.key)
        if name in self._running:
            raise running()
        self._running.add(name)
        try:
            return await self._house.pipeline.accept(submissions, key)
        except KeyReused:
            raise Refused("idempotency_key_reused", param="Idempotency-Key") from None
        finally:
            self._running.discard(name)

    async def _items(self, caller: Caller, request: NewBatch) -> list[Submission | Refused]:
        """A submission for each item, or why it is none. Raises Refused for a batch that is wrong as a whole."""
        if (request.messages is None) == (request.to is None):
            raise Refused("missing_field", "Give either `messages` or `to`.", param="messages")
        raw: list[Any] = request.messages if request.messages is not None else request.to or []
        if request.messages is not None:
            _check_nothing_shared(request)
        most = self._house.rt.settings.limits.batch_size
        if len(raw) > most:
            raise Refused("batch_too_large", f"{len(raw)} messages; {most} are allowed in one batch.")
        if not raw:
            raise Refused("batch_empty")
        items: list[Submission | Refused] = []
        for item in raw:
            if len(items) % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            try:
                if isinstance(item, str):
                    items.append(_submission(self._house, caller, request, item))
                else:
                    one: NewMessage = decode_body(_MESSAGE, bytes(item))
                    items.append(_submission(self._house, caller, one, one.to))
            except Refused as refused:
                items.append(refused)
        return items

    async def _again(self, caller: Caller, before: Any, request_id: str) -> Answer:
        """The answer of a call that was made before."""
        if not isinstance(before, int):
            refused = error_answer(refused_with(*before), request_id)
            return refused._replace(headers=(*refused.headers, REPLAYED))
        house = self._house
        message = await messages.get(house.rt, caller.account.id, before)
        steps = await messages.steps(house.rt, before)
        said = (steps[0].data if steps else None) or {}
        fields = message_fields(house, message) | {
            "status": first_status(message.send_at),
            "connector": said.get("connector"),
            "error": None,
            "sent_at": None,
            "final_at": None,
        }
        sent = SentMessage(
            **fields,
            changes=msgspec.convert(said.get("changes", []), list[ChangeOut]),
            forced_ucs2=said.get("forced", []),
            dry_run=False,
        )
        return Answer(202, encode(sent), (JSON, REPLAYED))


_ONE, _MANY = "POST /v1/messages", "POST /v1/messages/batch"


async def read_body(scope: Mapping[str, Any], receive: Receive, most: int) -> bytes:
    """The whole body; raises Refused body_too_large as soon as it is known to be."""
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value[:20]) > most):
            raise Refused("body_too_large", f"A body may have {most} bytes.")
    event = await receive()
    if event["type"] == "http.disconnect":
        raise Gone
    body: bytes = event.get("body", b"")
    if not event.get("more_body"):
        return body
    pieces, size = [body], len(body)
    while event.get("more_body"):
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Gone
        piece = event.get("body", b"")
        size += len(piece)
        if size > most:
            raise Refused("body_too_large", f"A body may have {most} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


# -- in ------------------------------------------------------------------------------------------------------------


def _submission(house: House, caller: Caller, request: Common, to: str) -> Submission:
    """What the pipeline gets; raises Refused for what only this door can see."""
    if len(to) > 40:
        raise Refused("number_too_long", param="to")
    if request.data is None:
        if request.text is None:
            raise Refused("missing_field", "Give `text`, or `data`.", param="text")
        if request.udh is not None or request.data_coding is not None:
            param = "udh" if request.udh is not None else "data_coding"
            raise Refused("data_invalid", f"{param} goes with `data`, not with `text`.", param=param)
    elif request.text is not None:
        raise Refused("data_invalid", "Give either `text` or `data`.", param="data")
    if request.validity_seconds is not None and request.validity_seconds <= 0:
        raise Refused("validity_invalid", param="validity_seconds")
    if request.callback_url is not None:
        private = house.rt.settings.webhooks.allow_private
        if code := outgoing.check_url(request.callback_url, allow_private=private):
            raise Refused(code, param="callback_url")
    return Submission(
        account_id=caller.account.id,
        to=to,
        sender=request.from_,
        text=request.text,
        purpose=request.purpose,
        wire=_wire(request),
        send_at=None if request.send_at is None else moment(request.send_at, "send_at", "send_at_invalid"),
        validity_s=request.validity_seconds,
        callback_url=request.callback_url,
        correlation_id=request.correlation_id,
        tags=tuple(dict.fromkeys(request.tags)),
        metadata=request.metadata or None,
        test=caller.key.test,
        dry_run=request.dry_run,
    )


def _wire(request: Common) -> Wire:
    if (
        request.data is None
        and request.encoding == "auto"
        and not request.smart_encoding
        and request.message_class is None
        and not (request.protocol_id or request.priority or request.tlvs)
        and request.connector is None
    ):
        return PLAIN
    return Wire(
        encoding=request.encoding,
        smart=request.smart_encoding,
        message_class=request.message_class,
        data=None if request.data is None else _base64(request.data),
        udh=b"" if request.udh is None else _hex(request.udh),
        data_coding=request.data_coding,
        protocol_id=request.protocol_id,
        priority=request.priority,
        tlvs=tuple(_tlv(index, tlv) for index, tlv in enumerate(request.tlvs)),
        connector=request.connector,
    )


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("data_invalid", "data is not base64.", param="data") from None


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused("udh_invalid", "udh is not hex.", param="udh") from None


def _tlv(index: int, tlv: Tlv) -> tuple[int, bytes]:
    tag = int(tlv.tag, 16) if tlv.tag[:2] in ("0x", "0X") else int(tlv.tag)
    if tag > 0xFFFF:
        raise Refused("tlv_invalid", f"{tlv.tag} is no tag: it has 16 bits.", param=f"tlvs[{index}].tag")
    if tag in _OWN_TLVS:
        words = f"{_OWN_TLVS[tag]} is set by the gateway."
        raise Refused("tlv_invalid", words, param=f"tlvs[{index}].tag", action="Leave it out.")
    return tag, bytes.fromhex(tlv.hex)


def _check_nothing_shared(request: NewBatch) -> None:
    """With `messages`, a field beside it would be ignored in silence."""
    for info in msgspec.structs.fields(Common):
        if getattr(request, info.name) != getattr(_EMPTY, info.name):
            words = f"`{info.encode_name}` goes into each of `messages`."
            raise Refused("unknown_field", words, param=info.encode_name)


_EMPTY = NewBatch()


# -- out -----------------------------------------------------------------------------------------------------------


def _sent(house: House, asked: Submission, taken: Accepted) -> SentMessage:
    return SentMessage(
        id=None if asked.dry_run else ids.public("msg", taken.id),
        status=taken.state.word,  # type: ignore[arg-type]
        to=taken.to,
        from_=taken.sender,
        text=taken.text,
        purpose=asked.purpose,
        channel="sms",
        connector=house.pipeline.connector_name(taken.connector_id) or None,
        country=taken.country or None,
        encoding=taken.encoding,
        segments=taken.segments,
        characters=None if taken.text is None else taken.chars,
        error=None,
        correlation_id=asked.correlation_id,
        tags=list(asked.tags),
        metadata=asked.metadata or {},
        callback_url=asked.callback_url,
        options=PLAIN_OPTIONS if asked.wire is PLAIN else wire_options(asked.wire),
        created_at=rfc(ids.millis(taken.id)),  # as it is told ever after
        send_at=maybe_rfc(taken.send_at),
        expires_at=rfc(taken.expires_at),
        sent_at=None,
        final_at=None,
        test=asked.test,
        changes=[ChangeOut(c.original, c.replacement, c.count, c.kind) for c in taken.changes],
        forced_ucs2=list(taken.forced),
        dry_run=asked.dry_run,
    )


def _told(index: int, item: Submission | Refused, result: Any) -> Item:
    """One line of a batch's answer; of a repeated call `result` is what `messages.Replay` holds."""
    match result:
        case int():
            assert isinstance(item, Submission)
            # an id is made at the moment that decides whether send_at lies ahead
            ahead = item.send_at is not None and item.send_at > ids.millis(result)
            return Item(index, ids.public("msg", result), "scheduled" if ahead else "queued")
        case [code, message, param]:
            return Item(index, error=ItemError(code, message, param))
        case Refusal() | Refused():
            return Item(index, error=ItemError(result.code, result.message, result.param))
        case _:
            assert isinstance(item, Submission)
            return Item(index, None if item.dry_run else ids.public("msg", result.id), result.state.word)


def _batch_answer(data: list[Item], replayed: bool, request_id: str) -> Answer:
    errors = [(item, item.error) for item in data if isinstance(item.error, ItemError)]
    accepted = len(data) - len(errors)
    headers = (JSON, REPLAYED) if replayed else (JSON,)
    if accepted:
        return Answer(202, encode(BatchResult(data, accepted, len(errors))), headers)
    first, error = errors[0]
    refused = refused_with(error.code, f"None was accepted. {error.message}", _place(first.index, error))
    body = msgspec.structs.replace(
        error_body(refused, request_id),
        details=[Detail(_place(item.index, error), error.message) for item, error in errors[:_MOST_DETAILS]],
    )
    return Answer(422, encode(BatchRefused(body, data, 0, len(errors))), headers)


def _place(index: int, error: ItemError) -> str:
    return f"messages[{index}].{error.param}" if error.param else f"messages[{index}]"


# -- documentation -------------------------------------------------------------------------------------------------

_REFUSED = (
    "number_empty",
    "number_not_e164",
    "number_too_short",
    "number_too_long",
    "number_unknown_country",
    "number_impossible",
    "number_not_mobile",
    "text_empty",
    "text_too_long",
    "encoding_impossible",
    "invalid_text",
    "data_invalid",
    "udh_invalid",
    "tlv_invalid",
    "content_blocked",
    "sender_not_allowed",
    "sender_required",
    "sender_invalid",
    "send_at_invalid",
    "send_at_past",
    "send_at_too_far",
    "validity_invalid",
    "connector_unknown",
    "no_route",
    "loop_detected",
    "webhook_url_invalid",
    "webhook_url_private",
    "rate_limited",
    "queue_full",
)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/messages",
        name="messages_send",
        handler=None,
        tag="Messages",
        scope=SCOPE,
        status=202,
        summary="Send a message",
        description="The answer means that the message is stored durably; what becomes of it is told by webhooks and "
        "by `GET /v1/messages/{id}`. With an `Idempotency-Key` a repetition never sends twice.",
        body=NewMessage,
        query=None,
        returns=SentMessage,
        example={"to": "+33612345678", "from": "Chappe", "text": "Your code is 1234.", "purpose": "otp"},
        errors=_REFUSED,
    ),
    Operation(
        method="POST",
        path="/v1/messages/batch",
        name="messages_send_batch",
        handler=None,
        tag="Messages",
        scope=SCOPE,
        status=202,
        summary="Send many messages",
        description="Up to 10,000: `messages` with fields of their own, or `to` with fields that all share. Each is "
        "accepted or refused by itself; 422 when none was accepted. A batch that broke off in the middle goes on "
        "there when it is repeated with the same `Idempotency-Key`.",
        body=BatchOfMessages | BatchOfRecipients,
        query=None,
        returns=BatchResult,
        example={"to": ["+33612345678", "+33612345679"], "from": "Chappe", "text": "See you at 8."},
        errors=("batch_too_large", "batch_empty", *_REFUSED),
    ),
)


__all__ = ["OPERATIONS", "SCOPE", "BatchRefused", "Gone", "Sending", "read_body"]
