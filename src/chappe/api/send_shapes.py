"""What can be said when handing messages in, and what is told of a batch."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from chappe.api.answers import ErrorBody
from chappe.api.shapes import Purpose, Status, Tlv

Text = Annotated[str, Meta(max_length=50_000, description="The text. Long ones are sent in parts.")]
From = Annotated[str, Meta(max_length=40, description="A sender of the account; else its default sender.")]
To = Annotated[str, Meta(max_length=40, description="E.164.", examples=["+33612345678"])]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Scalar = str | int | float | bool | None
Octet = Annotated[int, Meta(ge=0, le=255)]


Values = Annotated[
    dict[Annotated[str, Meta(max_length=60)], Annotated[str, Meta(max_length=1_000)] | int | float | None],
    Meta(max_length=40, description="By name.", examples=[{"name": "Ada", "order": "A-1042"}]),
]
Locale = Annotated[str, Meta(min_length=1, max_length=20, examples=["fr-CA"])]
Zone = Annotated[str, Meta(max_length=60, description="Where the recipient lives (IANA).", examples=["Europe/Paris"])]
QuietHours = Annotated[
    Literal["wait", "refuse"],
    Meta(description="At an hour at which the law lets no such message go: wait for the next legal one, or refuse."),
]


class TemplateUse(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A template of the account, by `id` or `name`, and its values. It says the purpose, and the sender unless `from`
    does."""

    id: Annotated[str, Meta(max_length=40, examples=["tpl_006h3r8k2w0g4"])] | None = None
    name: Annotated[str, Meta(max_length=63, examples=["order-shipped"])] | None = None
    version: Annotated[int, Meta(ge=1, description="Refused unless it is the approved one.")] | None = None
    locale: Annotated[Locale, Meta(description="`fr-CA` falls back to `fr`, then to `default`.")] | None = None
    variables: Values = {}


class Common(Struct, forbid_unknown_fields=True, kw_only=True):
    """What can be said of one message or of many alike."""

    from_: From | None = field(default=None, name="from")
    text: Text | None = None
    template: Annotated[TemplateUse, Meta(description="Instead of `text`.")] | None = None
    purpose: Annotated[Purpose, Meta(description="otp leaves first, marketing last.")] = "transactional"
    encoding: Literal["auto", "gsm7", "ucs2", "latin1", "ascii"] = "auto"
    smart_encoding: Annotated[bool, Meta(description="Replace characters so that the text fits GSM-7.")] = False
    send_at: Annotated[str, Meta(description="RFC 3339 with an offset; leave out to send now.")] | None = None
    quiet_hours: QuietHours = "wait"
    time_zone: Zone | None = None
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


class Recipient(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One of many who get the same template: what differs for this one. `variables` count before those of all."""

    to: To
    variables: Values = {}
    locale: Locale | None = None
    time_zone: Zone | None = None
    correlation_id: Annotated[str, Meta(max_length=255)] | None = None


class NewBatch(Common, forbid_unknown_fields=True, kw_only=True):
    """Either `messages`, each with fields of its own, or `to` with many recipients and fields that all share."""

    messages: list[msgspec.Raw] | None = None
    to: list[str | Recipient] | None = None


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
    """The same for many recipients; of a template also with values of their own."""

    to: Annotated[
        list[To | Recipient], Meta(min_length=1, description="At most 10,000, unless the operator says otherwise.")
    ]
