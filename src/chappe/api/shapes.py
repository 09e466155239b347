"""Shapes that many resources share: lists and their cursors, times, and the message itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, field

from chappe import billing, ids
from chappe.clock import parse_rfc3339
from chappe.errors import DELIVERY, Refused
from chappe.messages import PURPOSES, STATE_OF, Message, Wire

if TYPE_CHECKING:
    from chappe.api.house import House

T = TypeVar("T")

Purpose = Literal["otp", "transactional", "service", "marketing"]
assert set(PURPOSES) == {"otp", "transactional", "service", "marketing"}
Status = Literal[
    "accepted",
    "scheduled",
    "queued",
    "sending",
    "sent",
    "expired",
    "unconfirmed",
    "undelivered",
    "failed",
    "canceled",
    "delivered",
    "read",
]
Id = Annotated[str, Meta(description="A public id: its kind, then 13 characters that sort by time.")]
Time = Annotated[str, Meta(description="RFC 3339, UTC.", examples=["2027-01-31T09:00:00.000Z"])]
MAX_LIMIT = 500


# -- times ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc(millis: int) -> str:
    """`2026-11-21T22:04:05.678Z`"""
    return f"{_second(millis // 1000)}.{millis % 1000:03d}Z"


def maybe_rfc(millis: int | None) -> str | None:
    return None if millis is None else rfc(millis)


_LATEST = 4_102_444_800_000  # 2100: ids and columns can still hold it


def moment(text: str, param: str, code: str = "invalid_value") -> int:
    """Milliseconds since the epoch, within 1970 and 2100; raises Refused."""
    try:
        return min(max(0, parse_rfc3339(text)), _LATEST)
    except (ValueError, OverflowError):
        words = "Use RFC 3339 with an offset, for example 2027-01-31T09:00:00Z."
        raise Refused(code, f"{param} is not a date and time with an offset.", param=param, action=words) from None


def maybe_moment(text: str | None, param: str) -> int | None:
    return None if text is None else moment(text, param)


# -- lists ---------------------------------------------------------------------------------------------------------


class Page(Struct, forbid_unknown_fields=True, kw_only=True):
    """Every list takes these."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many to show at most.")] = 50
    cursor: Annotated[str, Meta(description="`next_cursor` of the page before.")] | None = None


class Listed(Struct, Generic[T], frozen=True):
    """A page of a list, newest first."""

    data: list[T]
    next_cursor: str | None
    has_more: bool


def after(page: Page, kind: str) -> int | None:
    """The id that a page starts behind; raises Refused invalid_cursor."""
    if page.cursor is None:
        return None
    number = ids.parse(kind, page.cursor)
    if number is None:
        raise Refused("invalid_cursor", param="cursor")
    return number


def paged(found: list[T], page: Page, kind: str, key: Callable[[T], int]) -> tuple[list[T], str | None]:
    """From `limit` + 1 rows: those of the page, and the cursor of the next if there is one."""
    rows = found[: page.limit]
    return rows, ids.public(kind, key(rows[-1])) if len(found) > page.limit else None


def listed(rows: Iterable[Any], cursor: str | None) -> Listed[Any]:
    return Listed(list(rows), cursor, cursor is not None)


def page_of(
    values: Iterable[T], page: Page, kind: str, show: Callable[[T], Any], key: Callable[[T], int]
) -> Listed[Any]:
    """A page of what lies in memory as a whole."""
    before = after(page, kind)
    found = sorted((v for v in values if before is None or key(v) < before), key=key, reverse=True)
    rows, cursor = paged(found[: page.limit + 1], page, kind, key)
    return listed(map(show, rows), cursor)


def given(body: Struct) -> dict[str, Any]:
    """The fields of a change that the caller wrote; null is a value."""
    fields = ((name, getattr(body, name)) for name in body.__struct_fields__)
    return {name: value for name, value in fields if value is not UNSET}


# -- messages ------------------------------------------------------------------------------------------------------


class DeliveryError(Struct, frozen=True, kw_only=True):
    """Why a message was not delivered."""

    code: Annotated[str, Meta(description="Of the catalogue at /v1/errors.", examples=["absent_subscriber"])]
    permanent: Annotated[bool, Meta(description="The same attempt can never succeed.")]
    group: str
    message: str
    supplier: Annotated[str, Meta(description="What the supplier said, verbatim.")] | None = None
    detail: str | None = None


class Tlv(Struct, forbid_unknown_fields=True, frozen=True):
    """An SMPP optional parameter that is passed to the supplier."""

    tag: Annotated[str, Meta(pattern=r"^(0[xX][0-9a-fA-F]{1,4}|[0-9]{1,5})$", examples=["0x1400"])]
    hex: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2}){0,255}$", examples=["0101"])]


class WireOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked of the wire, where it differs from the usual."""

    encoding: str = "auto"
    smart_encoding: bool = False
    message_class: int | None = None
    data: Annotated[str, Meta(description="base64")] | None = None
    udh: Annotated[str, Meta(description="hex")] | None = None
    data_coding: int | None = None
    protocol_id: int = 0
    priority: int = 0
    tlvs: list[Tlv] = []
    connector: str | None = None
    time_zone: str | None = None


class PriceOut(Struct, frozen=True):
    """What a message costs its account."""

    amount: Annotated[str, Meta(description="Of the whole message.", examples=["0.145"])]
    currency: Annotated[str, Meta(examples=["EUR"])]
    state: Annotated[
        Literal["held", "charged", "given_back"],
        Meta(description="Held from the moment it is accepted; then charged or given back, by contract."),
    ]


class MessageOut(Struct, frozen=True, kw_only=True):
    """A message to one recipient."""

    id: Annotated[str, Meta(description="null for a dry run.", examples=["msg_006h3r8k2w0g4"])] | None
    status: Status
    to: Annotated[str, Meta(description="E.164.", examples=["+33612345678"])]
    from_: str = field(name="from")
    text: str | None
    purpose: Purpose
    channel: str
    connector: Annotated[str, Meta(description="The name of the connector that carries it.")] | None
    country: Annotated[str, Meta(description="ISO 3166-1 alpha-2.", examples=["FR"])] | None
    encoding: Annotated[str, Meta(examples=["gsm7"])]
    segments: int
    characters: int | None
    price: Annotated[PriceOut, Meta(description="null where the account is not billed by the message.")] | None
    error: DeliveryError | None
    correlation_id: str | None
    tags: list[str]
    metadata: dict[str, Any]
    callback_url: str | None
    options: WireOptions
    created_at: Time
    send_at: Time | None
    expires_at: Time
    sent_at: Time | None
    final_at: Time | None
    test: Annotated[bool, Meta(description="Handed in with a test key: it never reaches a real supplier.")]


class ChangeOut(Struct, frozen=True):
    """A replacement that was made in the text."""

    original: str
    replacement: str
    count: int
    kind: Literal["normalised", "smart"]


class SentMessage(MessageOut, frozen=True, kw_only=True):
    """A message as it was taken, with what was done to its text."""

    changes: list[ChangeOut]
    forced_ucs2: Annotated[list[str], Meta(description="The characters that GSM-7 lacks.")]
    held_by: Annotated[str, Meta(description="The rule of law for which it waits until `send_at`.")] | None
    dry_run: bool


PLAIN_OPTIONS = WireOptions()


def delivery_error(error: Mapping[str, Any] | None) -> DeliveryError | None:
    """A stored delivery error, completed from the catalogue."""
    if error is None:
        return None
    code = str(error.get("code", "unknown_error"))
    entry = DELIVERY.get(code)
    return DeliveryError(
        code=code,
        permanent=bool(error.get("permanent", entry.permanent if entry else False)),
        group=entry.group if entry else "unknown",
        message=entry.message if entry else str(error.get("detail", code)),
        supplier=error.get("supplier"),
        detail=error.get("detail"),
    )


def wire_options(wire: Wire) -> WireOptions:
    plain = msgspec.to_builtins(wire)
    return WireOptions(
        encoding=wire.encoding,
        smart_encoding=wire.smart,
        message_class=wire.message_class,
        data=plain.get("data"),
        udh=wire.udh.hex() or None,
        data_coding=wire.data_coding,
        protocol_id=wire.protocol_id,
        priority=wire.priority,
        tlvs=[Tlv(f"0x{tag:04X}", value.hex()) for tag, value in wire.tlvs],
        connector=wire.connector,
        time_zone=wire.zone,
    )


def price_out(house: House, account_id: int, price: int | None, state: int) -> PriceOut | None:
    """`state` as `billing.state_of` gives it."""
    if price is None or state == 0:
        return None
    currency = house.pipeline.tariffs.currency_of(account_id) or ""
    return PriceOut(billing.decimal(price), currency, billing.WORDS[state])  # type: ignore[arg-type]


def message_fields(house: House, m: Message) -> dict[str, Any]:
    """A stored message as the fields of `MessageOut`."""
    decode = msgspec.json.decode
    return {
        "id": ids.public("msg", m.id),
        "status": m.state.word,
        "to": m.recipient,
        "from_": m.sender,
        "text": m.text,
        "purpose": m.purpose,
        "channel": "sms",
        "connector": house.pipeline.connector_name(m.connector_id) or None,
        "country": m.country or None,
        "encoding": m.encoding,
        "segments": m.segments,
        "characters": None if m.text is None else len(m.text),
        "price": price_out(house, m.account_id, m.price, billing.state_of(m.money)),
        "error": delivery_error(decode(m.error) if m.error else None),
        "correlation_id": m.correlation_id,
        "tags": decode(m.tags) if m.tags else [],
        "metadata": decode(m.metadata) if m.metadata else {},
        "callback_url": m.callback_url,
        "options": PLAIN_OPTIONS if m.options is None else wire_options(m.wire),
        "created_at": rfc(m.created_at),
        "send_at": maybe_rfc(m.send_at),
        "expires_at": rfc(m.expires_at),
        "sent_at": maybe_rfc(m.sent_at),
        "final_at": maybe_rfc(m.final_at),
        "test": bool(m.test),
    }


def message_out(house: House, m: Message) -> MessageOut:
    return MessageOut(**message_fields(house, m))


def first_status(send_at: int | None) -> str:
    """What a message is when it has just been taken."""
    return "queued" if send_at is None else "scheduled"


assert set(STATE_OF) == set(Status.__args__)  # type: ignore[attr-defined]
