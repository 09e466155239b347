"""Optional parameters: tag, name, type and permitted size (SMPP 3.4, 5.3.2; SMPP 5.0, 4.8.4).

`pack` is strict with what we send, `unpack` forgives what we receive: a value whose size is not the specification's is
handed back as the octets that came, and so is every tag of the table's gaps and of the vendor range 0x1400-0x3FFF.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class Kind(Enum):
    """How the value of a TLV is written."""

    INTEGER = "integer"
    STRING = "c-octet string"
    OCTETS = "octets"


class Tlv(NamedTuple):
    """A row: sizes in octets; a C-octet string's greatest size includes its NUL."""

    tag: int
    name: str
    kind: Kind
    least: int
    most: int


def _int(tag: int, name: str, size: int = 1) -> Tlv:
    return Tlv(tag, name, Kind.INTEGER, size, size)


def _c(tag: int, name: str, most: int) -> Tlv:
    return Tlv(tag, name, Kind.STRING, 1, most)


def _raw(tag: int, name: str, least: int, most: int) -> Tlv:
    return Tlv(tag, name, Kind.OCTETS, least, most)


_ROWS: Final = (
    _int(0x0005, "dest_addr_subunit"),
    _int(0x0006, "dest_network_type"),
    _int(0x0007, "dest_bearer_type"),
    _int(0x0008, "dest_telematics_id", 2),
    _int(0x000D, "source_addr_subunit"),
    _int(0x000E, "source_network_type"),
    _int(0x000F, "source_bearer_type"),
    _int(0x0010, "source_telematics_id"),
    _int(0x0017, "qos_time_to_live", 4),  # seconds
    _int(0x0019, "payload_type"),
    _c(0x001D, "additional_status_info_text", 256),
    _c(0x001E, "receipted_message_id", 65),
    _int(0x0030, "ms_msg_wait_facilities"),
    _int(0x0201, "privacy_indicator"),
    _raw(0x0202, "source_subaddress", 2, 23),
    _raw(0x0203, "dest_subaddress", 2, 23),
    _int(0x0204, "user_message_reference", 2),
    _int(0x0205, "user_response_code"),
    _int(0x020A, "source_port", 2),
    _int(0x020B, "destination_port", 2),
    _int(0x020C, "sar_msg_ref_num", 2),
    _int(0x020D, "language_indicator"),
    _int(0x020E, "sar_total_segments"),
    _int(0x020F, "sar_segment_seqnum"),
    _int(0x0210, "sc_interface_version"),
    _int(0x0302, "callback_num_pres_ind"),
    _raw(0x0303, "callback_num_atag", 0, 65),
    _int(0x0304, "number_of_messages"),
    _raw(0x0381, "callback_num", 4, 19),
    _int(0x0420, "dpf_result"),
    _int(0x0421, "set_dpf"),
    _int(0x0422, "ms_availability_status"),
    _raw(0x0423, "network_error_code", 3, 3),  # network type, then a 16-bit code
    _raw(0x0424, "message_payload", 0, 65535),
    _int(0x0425, "delivery_failure_reason"),
    _int(0x0426, "more_messages_to_send"),
    _int(0x0427, "message_state"),
    _int(0x0428, "congestion_state"),  # 5.0: 0 idle to 100 congested
    _int(0x0501, "ussd_service_op"),
    _int(0x0600, "broadcast_channel_indicator"),
    _raw(0x0601, "broadcast_content_type", 3, 3),
    _raw(0x0602, "broadcast_content_type_info", 1, 255),
    _int(0x0603, "broadcast_message_class"),
    _int(0x0604, "broadcast_rep_num", 2),
    _raw(0x0605, "broadcast_frequency_interval", 3, 3),
    _raw(0x0606, "broadcast_area_identifier", 1, 100),
    _int(0x0607, "broadcast_error_status", 4),
    _int(0x0608, "broadcast_area_success"),
    _c(0x0609, "broadcast_end_time", 17),
    _raw(0x060A, "broadcast_service_group", 1, 255),
    _raw(0x060B, "billing_identification", 1, 1024),
    _c(0x060D, "source_network_id", 65),
    _c(0x060E, "dest_network_id", 65),
    _raw(0x060F, "source_node_id", 6, 6),
    _raw(0x0610, "dest_node_id", 6, 6),
    _int(0x0611, "dest_addr_np_resolution"),
    _raw(0x0612, "dest_addr_np_information", 10, 10),
    _raw(0x0613, "dest_addr_np_country", 1, 5),
    _int(0x1201, "display_time"),
    _int(0x1203, "sms_signal", 2),
    _int(0x1204, "ms_validity"),
    _raw(0x130C, "alert_on_message_delivery", 0, 1),  # empty in 3.4, an octet in 5.0
    _int(0x1380, "its_reply_type"),
    _raw(0x1383, "its_session_info", 2, 2),
)

TABLE: Final[dict[int, Tlv]] = {row.tag: row for row in _ROWS}
TAGS: Final[dict[str, int]] = {row.name: row.tag for row in _ROWS}
VENDOR: Final = range(0x1400, 0x4000)

RECEIPTED_MESSAGE_ID: Final = TAGS["receipted_message_id"]
MESSAGE_STATE: Final = TAGS["message_state"]
MESSAGE_PAYLOAD: Final = TAGS["message_payload"]
NETWORK_ERROR_CODE: Final = TAGS["network_error_code"]
SC_INTERFACE_VERSION: Final = TAGS["sc_interface_version"]
CONGESTION_STATE: Final = TAGS["congestion_state"]
USER_MESSAGE_REFERENCE: Final = TAGS["user_message_reference"]
SAR_MSG_REF_NUM: Final = TAGS["sar_msg_ref_num"]
SAR_TOTAL_SEGMENTS: Final = TAGS["sar_total_segments"]
SAR_SEGMENT_SEQNUM: Final = TAGS["sar_segment_seqnum"]


def name(tag: int) -> str:
    """`message_payload`; `vendor_0x1400` in the vendor range; `0x9999` for a tag that nobody has defined."""
    row = TABLE.get(tag)
    if row is not None:
        return row.name
    return f"vendor_0x{tag:04X}" if tag in VENDOR else f"0x{tag:04X}"


def pack(tag: int, value: int | str | bytes) -> bytes:
    """The octets of a value as its row wants them; bytes pass unchanged (a supplier's own idea of a tag stays
    possible).

    Raises ValueError when an integer or a string does not fit the row, or when the tag has no row and no bytes are
    given.
    """
    if isinstance(value, bytes):
        if len(value) > 0xFFFF:
            raise ValueError(f"{name(tag)}: {len(value)} octets do not fit a TLV")
        return value
    row = TABLE.get(tag)
    if isinstance(value, int) and row is not None and row.kind is Kind.INTEGER:
        if not 0 <= value < 1 << 8 * row.most:
            raise ValueError(f"{row.name}: {value} does not fit {row.most} octets")
        return value.to_bytes(row.most, "big")
    if isinstance(value, str) and row is not None and row.kind is Kind.STRING:
        raw = value.encode("latin-1") + b"\0"
        if len(raw) > row.most or b"\0" in raw[:-1]:
            raise ValueError(f"{row.name}: a string of at most {row.most - 1} characters without NUL is wanted")
        return raw
    raise ValueError(f"{name(tag)}: {type(value).__name__} is not a value of this tag")


def unpack(tag: int, raw: bytes) -> int | str | bytes:
    """The value as its row reads it, or `raw` itself when tag or size are not the specification's."""
    row = TABLE.get(tag)
    if row is None or row.kind is Kind.OCTETS:
        return raw
    if row.kind is Kind.INTEGER:
        return int.from_bytes(raw, "big") if len(raw) == row.most else raw
    text = raw.removesuffix(b"\0")  # many peers forget the NUL
    return raw if len(text) >= row.most or b"\0" in text else text.decode("latin-1")
