"""Handing messages in: `POST /v1/messages` and `/v1/messages/batch`, the hot path of the door.

These two are plain ASGI: one decoder, one look-up for the key, one call of the pipeline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from chappe import billing, ids, messages
from chappe.api.access import Caller
from chappe.api.answers import (
    JSON,
    Answer,
    Detail,
    Receive,
    answer,
    check_media_type,
    decode_body,
    encode,
    error_answer,
    error_body,
    refused_with,
)
from chappe.api.express import LONGEST, Headers
from chappe.api.house import House
from chappe.api.idempotency import REPLAYED, checked_key, digest_of, running
from chappe.api.operations import Operation
from chappe.api.send_shapes import (
    BatchOfMessages,
    BatchOfRecipients,
    BatchRefused,
    BatchResult,
    Item,
    ItemError,
    NewBatch,
    NewMessage,
    Recipient,
)
from chappe.api.shapes import (
    PLAIN_OPTIONS,
    ChangeOut,
    SentMessage,
    first_status,
    maybe_rfc,
    message_fields,
    price_out,
    rfc,
    wire_options,
)
from chappe.api.submitting import check_nothing_shared, submission
from chappe.errors import Refused
from chappe.messages import IdempotencyKey, KeyReused, Refusal, Replay, Result, Submission
from chappe.messages.model import PLAIN

if TYPE_CHECKING:
    from chappe.messages import Accepted

SCOPE = "messages:send"
_YIELD_EVERY = 200  # items between which others get their turn
_MOST_DETAILS = 100


class Gone(Exception):
    """The caller hung up in the middle of its body."""


_NOT_PLAIN = frozenset((b"idempotency-key", b"transfer-encoding", b"content-encoding"))
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
        asked = submission(self._house, caller, request, request.to)
        try:
            [result] = await self._accept([asked], None if request.dry_run else key)
        except Replay as before:
            return await self._again(caller, before.results[0], request_id)
        if isinstance(result, Refusal):
            raise refused_with(result.code, result.message, result.param, result.retry_after)
        return answer(_sent(self._house, asked, result), 202)

    def known(self, headers: Headers) -> Caller | None:
        """Who asks, if it is a caller we know with a short JSON body and no idempotency key."""
        caller, length = None, -1
        for name, value in headers:
            if name == b"authorization":
                caller = self._house.gate.known(value)
            elif name == b"content-length" and value.isdigit():
                length = int(value[:20])
            elif (name == b"content-type" and value != b"application/json") or name in _NOT_PLAIN:
                return None
        return caller if caller is not None and caller.key.may(SCOPE) and 0 <= length <= LONGEST else None

    def one_now(self, caller: Caller, body: bytes, done: Callable[[Answer | BaseException], None]) -> None:
        """`one` without a task: `done` is called once, now or later, with the answer or what was raised."""
        try:
            request: NewMessage = decode_body(_MESSAGE, body)
            self._house.gate.spend(caller.account, 1)
            asked = submission(self._house, caller, request, request.to)

            def taken(result: Result | BaseException) -> None:
                try:
                    if isinstance(result, Refusal):
                        raise refused_with(result.code, result.message, result.param, result.retry_after)
                    if isinstance(result, BaseException):
                        raise result
                    out = answer(_sent(self._house, asked, result), 202)
                except BaseException as error:
                    done(error)
                else:
                    done(out)

            self._house.pipeline.submit(asked, taken)
        except Exception as error:
            done(error)

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
        caller = await self._house.gate.caller(authorization)
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
            check_nothing_shared(request)
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
                    items.append(submission(self._house, caller, request, item))
                elif isinstance(item, Recipient):
                    items.append(submission(self._house, caller, request, item.to, item))
                else:
                    one: NewMessage = decode_body(_MESSAGE, bytes(item))
                    items.append(submission(self._house, caller, one, one.to))
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
            held_by=said.get("held", {}).get("rule"),
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
        price=price_out(house, asked.account_id, taken.price, billing.HELD),
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
        held_by=taken.held_by,
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
    "text_ambiguous",
    "template_unknown",
    "template_not_approved",
    "template_locale",
    "template_variable_missing",
    "template_value",
    "template_not_registered",
    "wording_missing",
    "word_forbidden",
    "opt_out_link_unavailable",
    "encoding_impossible",
    "invalid_text",
    "data_invalid",
    "udh_invalid",
    "tlv_invalid",
    "content_blocked",
    "sender_not_allowed",
    "sender_required",
    "sender_invalid",
    "sender_not_registered",
    "sender_against_rules",
    "sender_lookalike",
    "send_at_invalid",
    "send_at_past",
    "send_at_too_far",
    "validity_invalid",
    "time_zone_unknown",
    "opted_out",
    "consent_missing",
    "frequency_capped",
    "quiet_hours",
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
        description="Its content is `text`, a `template` of the account, or binary `data`. The answer means that the "
        "message is stored durably; what becomes of it is told by webhooks and by `GET /v1/messages/{id}`. With an "
        "`Idempotency-Key` a repetition never sends twice.",
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
        description="Up to 10,000: `messages` with fields of their own, or `to` with fields that all share; of a "
        "`template`, recipients may have variables and a locale of their own: `{to, variables, locale}`. Each is "
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
