"""Answers: JSON bodies, and the one shape in which every error leaves."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from chappe.batching import Full
from chappe.errors import ERRORS, Refused
from chappe.flaws import refusal
from chappe.storage import Unavailable

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]

encode = msgspec.json.Encoder().encode
JSON = (b"content-type", b"application/json")
_AWAY_S = 2  # what Retry-After says while the store is away
_FULL_S = 1
_HEADERS_OF: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "unauthenticated": ((b"www-authenticate", b"Bearer"),),
    "key_revoked": ((b"www-authenticate", b'Bearer error="invalid_token"'),),
}


class Answer(NamedTuple):
    """What goes out: `body` is JSON unless `headers` bring another content type. With `chunks` these are the body, sent
    as they come."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)
    chunks: AsyncIterator[bytes] | None = None


class Detail(msgspec.Struct, frozen=True):
    """One of several things wrong with a request."""

    param: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong, whose turn it is, and what to do."""

    type: str
    code: str
    message: str
    param: str | None
    action: str
    docs_url: str
    request_id: str
    details: list[Detail]


class Error(msgspec.Struct, frozen=True):
    """Every answer with a status of 400 or more has this shape."""

    error: ErrorBody


def answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, encode(value))


def error_body(refused: Refused, request_id: str) -> ErrorBody:
    return ErrorBody(
        type=refused.type,
        code=refused.code,
        message=refused.message,
        param=refused.param,
        action=refused.action,
        docs_url=f"/v1/errors/{refused.code}",
        request_id=request_id,
        details=[Detail(*detail) for detail in refused.details],
    )


def error_answer(refused: Refused, request_id: str) -> Answer:
    headers = (JSON, *_HEADERS_OF.get(refused.code, ()))
    if refused.retry_after is not None:
        headers = (*headers, (b"retry-after", b"%d" % max(1, math.ceil(refused.retry_after))))
    return Answer(refused.status, encode(Error(error_body(refused, request_id))), headers)


def refused_for(error: Exception) -> Refused | None:
    """The refusal that an exception of the rooms means to a caller; None for what nobody foresaw."""
    match error:
        case Refused():
            return error
        case Unavailable():
            words = "It is not known whether this was stored." if error.unknown else None
            return Refused("storage_unavailable", words, retry_after=_AWAY_S)
        case Full():
            return Refused("queue_full", retry_after=_FULL_S)
        case _:
            return None


def refused_with(code: str, message: str, param: str | None, retry_after: float | None = None) -> Refused:
    """The refusal of an item as the pipeline tells it."""
    return Refused(code if code in ERRORS else "invalid_value", message, param=param, retry_after=retry_after)


def decode_body(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """A JSON body as its type; raises Refused that names the field."""
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise refusal(error, decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("invalid_json", f"The body is not valid JSON: {error}") from None
    except RecursionError:
        raise Refused("invalid_json", "The body is nested too deeply.") from None
    if b"\\u0000" in body:
        # items that are still raw are decoded, and looked at, one by one
        check_nul(msgspec.to_builtins(value, enc_hook=lambda _raw: None))
    return value


def check_nul(value: Any, param: str = "") -> None:
    """Refuse the character NUL, which no store keeps and no message carries."""
    match value:
        case str() if "\0" in value:
            raise Refused("invalid_value", "A text must not hold the character U+0000.", param=param or None)
        case dict():
            for name, item in value.items():
                check_nul(name, param)
                check_nul(item, f"{param}.{name}".lstrip("."))
        case list() | tuple():
            for index, item in enumerate(value):
                check_nul(item, f"{param}[{index}]")
        case _:
            return


def check_media_type(content_type: bytes) -> None:
    """Only JSON is understood; who says nothing is taken to mean it."""
    if content_type:
        kind = content_type.partition(b";")[0].strip().lower()
        if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
            raise Refused("unsupported_media_type")


async def send_answer(send: Send, out: Answer, request_id: str) -> None:
    headers = [(b"content-length", b"%d" % len(out.body)), (b"x-request-id", request_id.encode()), *out.headers]
    await send({"type": "http.response.start", "status": out.status, "headers": headers})
    await send({"type": "http.response.body", "body": out.body})
