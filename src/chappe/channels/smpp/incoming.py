"""From a supplier's deliver_sm or data_sm to a receipt or a reply. Nothing here raises on a stranger's octets."""

from __future__ import annotations

from typing import Any, Final, Literal, cast

from chappe.channels.contract import Inbound, Receipt, ReceiptState
from chappe.channels.settings import SmppSettings
from chappe.channels.smpp.addresses import read_address
from chappe.channels.smpp.errors import receipt_error
from chappe.smpp import Dialect, MessageState, Pdu, receipt, tlv
from chappe.smpp.receipt import IdMode
from chappe.text import Charset, concat_info, decode

_UDHI: Final = 0x40
_STATES: Final[dict[MessageState, ReceiptState]] = {
    MessageState.SCHEDULED: "enroute",
    MessageState.ENROUTE: "enroute",
    MessageState.DELIVERED: "delivered",
    MessageState.EXPIRED: "expired",
    MessageState.DELETED: "deleted",
    MessageState.UNDELIVERABLE: "undelivered",
    MessageState.ACCEPTED: "accepted",
    MessageState.UNKNOWN: "unknown",
    MessageState.REJECTED: "rejected",
    MessageState.SKIPPED: "undelivered",
}


class Reader:
    """Reads the PDUs of one connector, in its dialect."""

    def __init__(self, connector_id: int, settings: SmppSettings) -> None:
        self._connector_id = connector_id
        self._settings = settings
        told = settings.receipt
        self._dialect = Dialect(
            id_mode=IdMode(told.id_mode),
            id_from=told.id_from,
            tz_offset=told.timezone_minutes,
            network_error_ascii=told.network_error_ascii,
            plain_text_receipts=told.plain_text_receipts,
            swapped_addresses=told.swapped_addresses,
        )
        self._packed = settings.default_alphabet == "gsm7_packed"
        self._alphabet = cast(Charset, "gsm7" if self._packed else settings.default_alphabet)

    def key(self, provider_id: str, side: Literal["response", "receipt"]) -> str:
        """The id as both sides of this supplier would agree on it."""
        return receipt.normalise_id(provider_id, side, self._dialect)

    def read(self, pdu: Pdu, raw: bytes, now: int) -> Receipt | Inbound:
        """A receipt where the PDU is marked as one (an empty id if it names no message), else a reply."""
        found = receipt.from_pdu(pdu, self._dialect)
        return self._inbound(pdu, raw, now) if found is None else self._receipt(pdu, found, raw, now)

    def _receipt(self, pdu: Pdu, found: receipt.Receipt, raw: bytes, now: int) -> Receipt:
        state = _STATES[found.state]
        final = receipt.is_final(found.state) and not found.intermediate
        return Receipt(
            connector_id=self._connector_id,
            provider_id=found.id,
            provider_key=self.key(found.id, "receipt"),
            state=state,
            final=final,
            destination=self._handset(pdu, found.handset),
            received_at=now,
            done_at=found.done_at,
            error=receipt_error(state, found.stat, found.err, self._settings.receipt) if final else None,
            raw=raw,
        )

    def _handset(self, pdu: Pdu, address: str) -> str:
        """Receipts come from the handset, unless this supplier leaves the addresses of the submit_sm as they were."""
        if self._settings.receipt.swapped_addresses:
            return read_address(address, _ton(pdu, "dest"), self._settings.inbound_destination.prefixes)
        return read_address(address, _ton(pdu, "source"), self._settings.inbound_source.prefixes)

    def _inbound(self, pdu: Pdu, raw: bytes, now: int) -> Inbound:
        fields = pdu.fields
        settings = self._settings
        user_data = fields.get("short_message") or pdu.tlv(tlv.MESSAGE_PAYLOAD) or b""
        data_coding = fields.get("data_coding", 0)
        decoded = decode(
            user_data,
            data_coding,
            bool(fields.get("esm_class", 0) & _UDHI),
            self._alphabet,
            settings.ucs2_little_endian,
            self._packed,
        )
        concat = concat_info(decoded.udh, _sar(pdu))
        return Inbound(
            connector_id=self._connector_id,
            source=read_address(fields["source_addr"], _ton(pdu, "source"), settings.inbound_source.prefixes),
            destination=read_address(
                fields["destination_addr"], _ton(pdu, "dest"), settings.inbound_destination.prefixes
            ),
            received_at=now,
            text=decoded.text,
            payload=decoded.payload,
            udh=decoded.udh.raw,
            data_coding=data_coding,
            concat=None if concat is None else (concat.reference, concat.total, concat.sequence),
            tlvs=tuple(pair for pair in pdu.tlvs if pair[0] != tlv.MESSAGE_PAYLOAD),
            raw=raw,
        )


def _ton(pdu: Pdu, side: str) -> int:
    ton: int = pdu.fields.get(f"{side}_addr_ton", 0)
    return ton


def _sar(pdu: Pdu) -> tuple[int, int, int] | None:
    values: list[Any] = [pdu.tlv(tag) for tag in (tlv.SAR_MSG_REF_NUM, tlv.SAR_TOTAL_SEGMENTS, tlv.SAR_SEGMENT_SEQNUM)]
    if not all(values):
        return None
    reference, total, sequence = (int.from_bytes(value, "big") for value in values)
    return reference, total, sequence
