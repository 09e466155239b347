"""From a part to the PDU that carries it: submit_sm, or data_sm for those who prefer it (SMPP 3.4, 4.4.1, 4.7.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from chappe.channels.contract import Outgoing
from chappe.channels.settings import SmppSettings, number
from chappe.channels.smpp.addresses import write_number, write_sender
from chappe.smpp import Pdu, commands, times, tlv

_UDHI: Final = 0x40  # esm_class, SMPP 3.4, 5.2.12
_MOST_IN_SHORT_MESSAGE: Final = 254
_QOS_TIME_TO_LIVE: Final = tlv.TAGS["qos_time_to_live"]
_MOST_SENDERS: Final = 4096

Fields = dict[str, Any]


class Composer:
    """Writes PDUs for one connector."""

    def __init__(self, settings: SmppSettings) -> None:
        self._destination = settings.destination
        self._source = settings.source
        self._service_type = settings.service_type
        self._receipts = settings.receipts
        self._validity_max_ms = None if settings.validity_max_s is None else settings.validity_max_s * 1000
        self._tlvs = [(number(rule.tag), rule.value) for rule in settings.tlvs]
        self._relative = settings.relative_validity
        self._senders: dict[str, Fields] = {}
        self.compose = self._data_sm if settings.data_sm else self._submit_sm

    def _submit_sm(self, part: Outgoing, now: int) -> Pdu:
        """`now` in milliseconds since the epoch."""
        fields = self._common(part)
        if part.protocol_id:
            fields["protocol_id"] = part.protocol_id
        if part.priority:
            fields["priority_flag"] = part.priority
        if part.deadline is not None:
            fields["validity_period"] = self._validity_period(part.deadline, now)
        tlvs = self._extras(part)
        user_data = part.udh + part.payload if part.udh else part.payload
        if part.in_payload_tlv or len(user_data) > _MOST_IN_SHORT_MESSAGE:
            tlvs.append((tlv.MESSAGE_PAYLOAD, user_data))
        else:
            fields["short_message"] = user_data
        return Pdu(commands.SUBMIT_SM, 0, 0, fields, tlvs)

    def _data_sm(self, part: Outgoing, now: int) -> Pdu:
        tlvs = self._extras(part)
        if part.deadline is not None:
            seconds = max(1, (self._bounded(part.deadline, now) - now) // 1000)
            tlvs.append((_QOS_TIME_TO_LIVE, tlv.pack(_QOS_TIME_TO_LIVE, seconds)))
        tlvs.append((tlv.MESSAGE_PAYLOAD, part.udh + part.payload))
        return Pdu(commands.DATA_SM, 0, 0, self._common(part), tlvs)

    def _common(self, part: Outgoing) -> Fields:
        fields = self._sender(part.sender).copy()
        fields["dest_addr_ton"], fields["dest_addr_npi"], fields["destination_addr"] = write_number(
            part.destination, self._destination
        )
        if part.service_type:
            fields["service_type"] = part.service_type
        esm_class = part.esm_class | _UDHI if part.udh else part.esm_class
        if esm_class:
            fields["esm_class"] = esm_class
        if part.data_coding:
            fields["data_coding"] = part.data_coding
        if part.receipt and self._receipts:
            fields["registered_delivery"] = 1  # final outcomes, good and bad (SMPP 3.4, 5.2.17)
        return fields

    def _sender(self, sender: str) -> Fields:
        fields = self._senders.get(sender)
        if fields is None:
            ton, npi, address = write_sender(sender, self._source)
            fields = {"source_addr_ton": ton, "source_addr_npi": npi, "source_addr": address}
            if self._service_type:
                fields["service_type"] = self._service_type
            if len(self._senders) >= _MOST_SENDERS:
                self._senders.clear()
            self._senders[sender] = fields
        return fields

    def _extras(self, part: Outgoing) -> list[tuple[int, bytes]]:
        """The part's TLVs, then the connector's where the part does not say otherwise, then SAR."""
        tlvs = list(part.tlvs)
        if self._tlvs:
            given = {tag for tag, _ in tlvs}
            tlvs += [extra for extra in self._tlvs if extra[0] not in given]
        if part.sar is not None:
            reference, total, sequence = part.sar
            tlvs += (
                (tlv.SAR_MSG_REF_NUM, (reference & 0xFFFF).to_bytes(2, "big")),
                (tlv.SAR_TOTAL_SEGMENTS, bytes((total,))),
                (tlv.SAR_SEGMENT_SEQNUM, bytes((sequence,))),
            )
        return tlvs

    def _validity_period(self, deadline: int, now: int) -> str:
        deadline = self._bounded(deadline, now)
        if self._relative:
            return times.format_relative(min(max(1000, deadline - now), 31 * 86_400_000))
        return _absolute(deadline // 1000)

    def _bounded(self, deadline: int, now: int) -> int:
        return deadline if self._validity_max_ms is None else min(deadline, now + self._validity_max_ms)


@lru_cache(maxsize=4096)
def _absolute(second: int) -> str:
    return times.format_absolute(second * 1000)
