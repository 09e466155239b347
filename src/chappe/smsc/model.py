"""What waits for a customer's session, as it lies in the queue: all that a deliver_sm needs, and no more. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

import msgspec
from msgspec import Struct

QUOTED: Final = 20  # characters of the text that a receipt repeats (SMPP 3.4, appendix B)


class Kind(IntEnum):
    RECEIPT = 0
    INBOUND = 1


class ReceiptNews(Struct, frozen=True, omit_defaults=True):
    """A message of the login entered a state that it asked to hear of. `id` is the one its submission was answered
    with; `reference` is its user_message_reference."""

    id: int
    state: str
    to: str
    sender: str
    created_at: int
    at: int
    text: str = ""
    error: str | None = None
    reference: bytes | None = None


class InboundNews(Struct, frozen=True, omit_defaults=True):
    """A phone wrote to one of the account's senders: a text, or octets of `data_coding` after their `udh`."""

    id: int
    to: str
    sender: str
    text: str | None = None
    data: bytes = b""
    udh: bytes = b""
    data_coding: int = 0


News = ReceiptNews | InboundNews
encode_news = msgspec.json.Encoder().encode
_DECODERS: Final[dict[Kind, Callable[[str], News]]] = {
    Kind.RECEIPT: msgspec.json.Decoder(ReceiptNews).decode,
    Kind.INBOUND: msgspec.json.Decoder(InboundNews).decode,
}


def decode_news(kind: int, data: str) -> News:
    """Raises msgspec.ValidationError (a ValueError) for what no version of ours has written."""
    return _DECODERS[Kind(kind)](data)


# Seconds before the next try after each failed one; after the last the delivery is set aside, some three days on.
BACKOFF_S: Final = (5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400, 86_400)


def retry_after_s(tries: int) -> int | None:
    """How long a delivery waits that failed `tries` times; None when it is given up."""
    return 0 if tries < 1 else BACKOFF_S[tries - 1] if tries <= len(BACKOFF_S) else None
