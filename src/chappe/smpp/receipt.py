"""Delivery receipts: one fact in many dialects (SMPP 3.4, appendix B; SMPP 5.0, 4.8.4.47).

A receipt says the same thing up to three times: in TLVs, in the text of short_message, in the text of
message_payload. The text is a convention that every vendor bends, so it is read by the positions of its labels: only
`id` and `stat` have to be there, in any order and spelling. What a supplier does differently is a `Dialect`, a value
of its connector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from chappe.smpp import times, tlv
from chappe.smpp.pdu import Pdu

# -- message_state (SMPP 3.4, 5.2.28; SMPP 5.0, 4.7.15) --------------------------------------------


class MessageState(IntEnum):
    """The number in the message_state TLV and in query_sm_resp."""

    SCHEDULED = 0  # 5.0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6  # read for the subscriber by customer service, or "taken by the network": not delivered
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9  # 5.0


_FINAL: Final = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.EXPIRED,
        MessageState.DELETED,
        MessageState.UNDELIVERABLE,
        MessageState.REJECTED,
        MessageState.SKIPPED,
    }
)

STAT: Final[dict[MessageState, str]] = {
    MessageState.SCHEDULED: "ENROUTE",  # the word of 3.4 for "not yet"
    MessageState.ENROUTE: "ENROUTE",
    MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED",
    MessageState.DELETED: "DELETED",
    MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD",
    MessageState.UNKNOWN: "UNKNOWN",
    MessageState.REJECTED: "REJECTD",
    MessageState.SKIPPED: "SKIPPED",
}
"""What a receipt's text says for a state."""

_WORDS: Final[dict[str, MessageState]] = {
    **{state.name: state for state in MessageState},
    **{word: state for state, word in STAT.items() if state is not MessageState.SCHEDULED},
    "SCHEDLD": MessageState.SCHEDULED,
    "BUFFRED": MessageState.ENROUTE,
    "BUFFERD": MessageState.ENROUTE,
    "BUFFERED": MessageState.ENROUTE,
    "EN_ROUTE": MessageState.ENROUTE,
    "ACKED": MessageState.ENROUTE,  # the next network took it
    "ACCEPTED": MessageState.ACCEPTED,
    "DELIVERD": MessageState.DELIVERED,
    "UNDELIVRD": MessageState.UNDELIVERABLE,
    "UNDELIVERED": MessageState.UNDELIVERABLE,
    "FAILED": MessageState.UNDELIVERABLE,
    "FAIL": MessageState.UNDELIVERABLE,
    "CANCELED": MessageState.DELETED,
    "CANCELLED": MessageState.DELETED,
}


def is_final(state: int) -> bool:
    """Whether nothing more is to be expected. ACCEPTED and UNKNOWN are not final: they end by the message's
    validity."""
    return state in _FINAL


def state_of(word: str) -> MessageState:
    """The state that a `stat:` word means; UNKNOWN for a word that nobody has seen."""
    return _WORDS.get(word.strip().upper(), MessageState.UNKNOWN)


# -- err -------------------------------------------------------------------------------------------


class DeliveryError(NamedTuple):
    """What a GSM error number means. `permanent`: this number will not get messages later either."""

    code: int
    reason: str
    permanent: bool


ERRORS: Final[dict[int, DeliveryError]] = {
    row.code: row
    for row in (
        DeliveryError(1, "unknown subscriber", True),
        DeliveryError(2, "unknown subscriber", True),
        DeliveryError(5, "unknown at the visited exchange", True),
        DeliveryError(9, "illegal subscriber", True),
        DeliveryError(11, "teleservice not provisioned", True),
        DeliveryError(12, "illegal device", True),
        DeliveryError(13, "barred", True),
        DeliveryError(15, "closed user group", True),
        DeliveryError(21, "no SMS support", True),
        DeliveryError(22, "no SMS support", True),
        DeliveryError(31, "phone busy", False),
        DeliveryError(34, "system failure", False),
        DeliveryError(35, "data missing", False),
        DeliveryError(36, "unexpected value", False),
        DeliveryError(40, "memory full", False),
        DeliveryError(45, "protocol error", False),
        DeliveryError(49, "SIM full", False),
        DeliveryError(50, "SIM full", False),
        DeliveryError(52, "memory full", False),
        DeliveryError(60, "absent", False),
        DeliveryError(61, "absent: switched off", False),
        *(DeliveryError(code, "absent", False) for code in range(62, 70)),
    )
}
"""The usual GSM set; suppliers have their own, which a dialect's err_map brings here."""


NETWORKS: Final = {1: "ANSI-136", 2: "IS-95", 3: "GSM", 8: "message centre"}
"""The network type in front of a network_error_code."""


# -- dialects --------------------------------------------------------------------------------------


class IdMode(StrEnum):
    """In which base the two sides write the message id."""

    STRING = "string"
    RESP_HEX_RECEIPT_DEC = "resp_hex_receipt_dec"
    RESP_DEC_RECEIPT_HEX = "resp_dec_receipt_hex"
    BOTH_HEX = "both_hex"
    BOTH_DEC = "both_dec"


Side = Literal["response", "receipt"]

_BASES: Final[dict[IdMode, dict[Side, int]]] = {
    IdMode.RESP_HEX_RECEIPT_DEC: {"response": 16, "receipt": 10},
    IdMode.RESP_DEC_RECEIPT_HEX: {"response": 10, "receipt": 16},
    IdMode.BOTH_HEX: {"response": 16, "receipt": 16},
    IdMode.BOTH_DEC: {"response": 10, "receipt": 10},
}
_DIGITS: Final = {10: re.compile(r"[0-9]+"), 16: re.compile(r"(?:0x)?[0-9a-f]+")}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one supplier writes its receipts; the default is what most do."""

    id_mode: IdMode = IdMode.STRING
    id_from: Literal["tlv", "text"] = "tlv"
    """Which id wins when TLV and text disagree."""
    tz_offset: int = 0
    """Minutes that the supplier's clock is ahead of UTC."""
    err_map: Mapping[str, int] = field(default_factory=dict)
    """The supplier's `err` (lower case) to a number of ERRORS."""
    network_error_ascii: bool = False
    """network_error_code holds three digits instead of a type and a code."""
    plain_text_receipts: bool = False
    """A deliver_sm without the receipt bit counts when it reads like a receipt. Any subscriber could then forge one by
    writing to us, so only for a supplier that cannot do better."""
    swapped_addresses: bool = False
    """The receipt carries the addresses of the submit_sm as they were, not turned round."""


DEFAULT: Final = Dialect()


def normalise_id(raw: str, side: Side, dialect: Dialect = DEFAULT) -> str:
    """A message id such that the one of submit_sm_resp equals the one of the receipt.

    In a numeric mode the number in decimal, of any size; otherwise, and for what is no number, the string in lower case
    without leading zeros.
    """
    text = raw.strip("\0 \t\r\n").lower()
    bases = _BASES.get(dialect.id_mode)
    if bases is not None and _DIGITS[bases[side]].fullmatch(text):
        return str(int(text, bases[side]))
    return text.lstrip("0") or text[:1]


def delivery_error(err: str, dialect: Dialect = DEFAULT) -> DeliveryError | None:
    """What an `err` means by the supplier's map, else by the usual set; None when nobody knows, or for 0."""
    word = err.strip().lower()
    code = dialect.err_map.get(word, dialect.err_map.get(word.lstrip("0")))
    if code is None and word.isascii() and word.isdigit() and len(word) < 10:
        code = int(word)
    return None if code is None else ERRORS.get(code)


# -- reading ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Receipt:
    """What a receipt says. Times are epoch milliseconds; None and "" stand for what it does not say."""

    id: str
    """As it came; compare through `normalise_id`. Empty: a receipt that names no message."""
    state: MessageState
    err: str = ""
    submitted_at: int | None = None
    done_at: int | None = None
    sub: int | None = None
    dlvrd: int | None = None
    text: str = ""
    raw: str = ""
    """The whole text."""
    stat: str = ""
    """The word for the state as it came."""
    network_error: tuple[int, int] | None = None
    """(network type, code) of the network_error_code TLV."""
    intermediate: bool = False
    """An intermediate notification (esm_class 0x20): never the last word."""
    handset: str = ""
    """The address of the recipient, as the supplier wrote it."""
    sender: str = ""


_STANDARD: Final = re.compile(  # nearly all receipts, at a fifth of the price of searching for labels
    r"id:([^\s:,;]+) sub:([^\s:,;]*) dlvrd:([^\s:,;]*) submit date:(\d+) done date:(\d+) "
    r"stat:([^\s:,;]+) err:([^\s:,;]*) [Tt]ext:(.*)",
    re.DOTALL | re.ASCII,
)
_ORDER: Final = ("id", "sub", "dlvrd", "submitdate", "donedate", "stat", "err", "text")
# Underscores, blanks or nothing between the two words of a date; blanks before the colon; any case.
_LABEL: Final = re.compile(
    r"(?<![a-z0-9_])(id|sub|dlvrd|submit[ _]*date|done[ _]*date|stat|err|text)[ \t]*:", re.IGNORECASE | re.ASCII
)


def parse_text(text: bytes | str, tz_offset: int = 0) -> Receipt | None:
    """Reads a receipt's text; None when it has no `id` or no `stat`. `tz_offset`: minutes of the dates ahead of UTC."""
    raw = (text.decode("latin-1") if isinstance(text, bytes) else text).strip("\0")
    standard = _STANDARD.fullmatch(raw)
    values = dict(zip(_ORDER, standard.groups(), strict=True)) if standard else _search(raw)
    message_id, stat = values.get("id"), values.get("stat")
    if not message_id or not stat:
        return None
    return Receipt(
        id=message_id,
        state=state_of(stat),
        err=values.get("err", ""),
        submitted_at=_date(values.get("submitdate", ""), tz_offset),
        done_at=_date(values.get("donedate", ""), tz_offset),
        sub=_count(values.get("sub", "")),
        dlvrd=_count(values.get("dlvrd", "")),
        text=values.get("text", ""),
        raw=raw,
        stat=stat,
    )


def _search(raw: str) -> dict[str, str]:
    """Label to value, by the positions of the labels; the first of two wins."""
    values: dict[str, str] = {}
    label, start = "", 0
    for match in _LABEL.finditer(raw):
        if label == "text" and "id" in values and "stat" in values:
            break  # all that matters is known, so what follows is what the message said
        _keep(values, label, raw[start : match.start()])
        label, start = match[1].lower().replace(" ", "").replace("_", ""), match.end()
    _keep(values, label, raw[start:])
    return values


def _keep(values: dict[str, str], label: str, value: str) -> None:
    if label == "text":
        values.setdefault(label, value)
    elif label.endswith("date"):
        values.setdefault(label, "".join(filter(str.isdigit, value)))
    elif label:
        words = value.split(maxsplit=1)
        values.setdefault(label, words[0].strip(",;") if words else "")


def _count(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else None


_YEAR_WIDTHS: Final = {10: (2,), 12: (2, 4), 14: (4,)}  # 12 digits are seconds and a short year, else a long year


def _date(digits: str, tz_offset: int) -> int | None:
    """10, 12 or 14 digits by the supplier's clock."""
    return _instant(digits, tz_offset) if len(digits) in _YEAR_WIDTHS else None


@lru_cache(maxsize=4096)  # receipts come in crowds, and a crowd has few dates
def _instant(digits: str, tz_offset: int) -> int | None:
    for width in _YEAR_WIDTHS[len(digits)]:
        try:
            year = int(digits[:width]) + (2000 if width == 2 else 0)
            month, day, *clock = (int(digits[at : at + 2]) for at in range(width, len(digits), 2))
            local = datetime(year, month, day, clock[0], clock[1], clock[2] if len(clock) > 2 else 0, tzinfo=UTC)
        except ValueError:
            continue
        return times.to_ms(local) - tz_offset * 60_000
    return None


_TYPE_MASK: Final = 0x3C  # SMPP 3.4, 5.2.12: compare the type alone, 0x44 is a receipt with a UDH
_RECEIPT: Final = 0x04
_INTERMEDIATE: Final = 0x20
_UDHI: Final = 0x40
_UCS2: Final = 0x08


def from_pdu(pdu: Pdu, dialect: Dialect = DEFAULT) -> Receipt | None:
    """The receipt in a deliver_sm or data_sm; None when it is none.

    A PDU marked as a receipt is always one, at worst with an empty id: taking it for a message of the subscriber
    would be worse.
    """
    kind = pdu.fields.get("esm_class", 0) & _TYPE_MASK
    if kind not in (_RECEIPT, _INTERMEDIATE) and not (kind == 0 and dialect.plain_text_receipts):
        return None
    receipt = _from_texts(pdu, dialect)
    tlv_id = _string_tlv(pdu, tlv.RECEIPTED_MESSAGE_ID)
    if receipt is None:
        if kind == 0 and not tlv_id:
            return None
        receipt = Receipt("", MessageState.UNKNOWN, raw=_text(pdu, pdu.fields.get("short_message", b"")))
    if tlv_id and (dialect.id_from == "tlv" or not receipt.id):
        receipt.id = tlv_id
    state = pdu.tlv(tlv.MESSAGE_STATE)
    if state:
        value = int.from_bytes(state, "big")
        receipt.state = MessageState(value) if value in STAT else MessageState.UNKNOWN
    _add_network_error(receipt, pdu.tlv(tlv.NETWORK_ERROR_CODE), dialect)
    receipt.intermediate = kind == _INTERMEDIATE
    receipt.handset, receipt.sender = _parties(pdu, dialect)
    return receipt


def _from_texts(pdu: Pdu, dialect: Dialect) -> Receipt | None:
    for octets in (pdu.fields.get("short_message"), pdu.tlv(tlv.MESSAGE_PAYLOAD)):
        receipt = parse_text(_text(pdu, octets), dialect.tz_offset) if octets else None
        if receipt is not None:
            return receipt
    return None


def _text(pdu: Pdu, octets: bytes) -> str:
    if pdu.fields.get("esm_class", 0) & _UDHI and octets:
        octets = octets[1 + octets[0] :]
    if pdu.fields.get("data_coding") == _UCS2 and len(octets) > 1 and octets[0] == 0:
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def _string_tlv(pdu: Pdu, tag: int) -> str:
    return (pdu.tlv(tag) or b"").decode("latin-1").strip("\0 ")


def _add_network_error(receipt: Receipt, raw: bytes | None, dialect: Dialect) -> None:
    if raw is None or len(raw) != 3:
        return
    if dialect.network_error_ascii and raw.isdigit():
        receipt.network_error = (0, int(raw))
    else:
        receipt.network_error = (raw[0], int.from_bytes(raw[1:], "big"))
    receipt.err = receipt.err or str(receipt.network_error[1])


def _parties(pdu: Pdu, dialect: Dialect) -> tuple[str, str]:
    source, destination = pdu.fields.get("source_addr", ""), pdu.fields.get("destination_addr", "")
    return (destination, source) if dialect.swapped_addresses else (source, destination)


# -- writing, for our own customers ----------------------------------------------------------------

_STAT_WORDS: Final = {int(state): word for state, word in STAT.items()}
_ID_FORMS: Final[dict[str, Callable[[str], str]]] = {
    "string": str,
    "hex": lambda message_id: f"{int(message_id):x}",
    "decimal": lambda message_id: str(int(message_id, 16)),
    "padded": lambda message_id: message_id.zfill(10),
}
_DATE_FORMS: Final = {10: "%y%m%d%H%M", 12: "%y%m%d%H%M%S", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True, slots=True)
class Style:
    """How a receipt's text is written; the default is SMPP 3.4, appendix B."""

    id_form: Literal["string", "hex", "decimal", "padded"] = "string"
    """`hex` writes a decimal id in base 16, `decimal` the other way round, `padded` with zeros to 10 digits."""
    date_digits: Literal[10, 12, 14] = 10
    tz_offset: int = 0
    upper_case: bool = False
    """Labels in capitals."""
    counts: bool = True
    """Whether `sub` and `dlvrd` are written."""

    @property
    def plain(self) -> bool:
        """The usual labels and the id as it is."""
        return self.id_form == "string" and self.counts and not self.upper_case


def format_text(
    message_id: str,
    state: int,
    submitted_at: int,
    done_at: int,
    err: str = "000",
    text: str = "",
    style: Style = Style(),
) -> bytes:
    """A receipt's text. Times are epoch milliseconds; `text` is cut to 20 characters. Raises ValueError for an id
    that is not a number when the style wants another base."""
    count = "001" if state == MessageState.DELIVERED else "000"
    if style.plain:
        submitted = _format_date(submitted_at // 1000, style.date_digits, style.tz_offset)
        done = _format_date(done_at // 1000, style.date_digits, style.tz_offset)
        line = (
            f"id:{message_id} sub:001 dlvrd:{count} submit date:{submitted} done date:{done} "
            f"stat:{_STAT_WORDS.get(state, 'UNKNOWN')} err:{err} text:{text[:20]}"
        )
        return line.encode("latin-1", "replace")
    labels = {"id": _ID_FORMS[style.id_form](message_id)}
    if style.counts:
        labels |= {"sub": "001", "dlvrd": count}
    labels |= {
        "submit date": _format_date(submitted_at // 1000, style.date_digits, style.tz_offset),
        "done date": _format_date(done_at // 1000, style.date_digits, style.tz_offset),
        "stat": _STAT_WORDS.get(state, "UNKNOWN"),
        "err": err,
        "text": text[:20],
    }
    line = " ".join(f"{label.upper() if style.upper_case else label}:{value}" for label, value in labels.items())
    return line.encode("latin-1", "replace")


@lru_cache(maxsize=4096)
def _format_date(at_s: int, digits: int, tz_offset: int) -> str:
    return f"{times.from_ms(1000 * (at_s + 60 * tz_offset)):{_DATE_FORMS[digits]}}"


def receipt_tlvs(message_id: str, state: int, network_error: tuple[int, int] | None = None) -> list[tuple[int, bytes]]:
    """The same as TLVs: receipted_message_id, message_state and, where known, network_error_code."""
    tlvs = [
        (tlv.RECEIPTED_MESSAGE_ID, tlv.pack(tlv.RECEIPTED_MESSAGE_ID, message_id)),
        (tlv.MESSAGE_STATE, tlv.pack(tlv.MESSAGE_STATE, int(state))),
    ]
    if network_error is not None:
        network, code = network_error
        tlvs.append((tlv.NETWORK_ERROR_CODE, bytes((network,)) + code.to_bytes(2, "big")))
    return tlvs
