"""Messages that are more than text: waiting indicators, and those to refuse unless an operator allows them."""

from __future__ import annotations

from typing import Literal

from chappe.text.udh import SPECIAL_INDICATION, Element, build_udh, parse_udh

Waiting = Literal["voicemail", "fax", "email", "other"]
_WAITING: tuple[Waiting, ...] = ("voicemail", "fax", "email", "other")

_SILENT = 0x40  # TS 23.040, 9.2.3.9: acknowledged and discarded, a way to track a person
_TO_THE_SIM = range(0x7C, 0x80)  # ANSI-136 R-DATA, ME data download, ME de-personalisation, SIM data download
_SIM_SECURITY = range(0x70, 0x80)  # TS 23.040, 9.2.3.24: SIM toolkit security headers
_PUSH_PORTS = {2948, 2949}  # IANA: wap-push, wap-pushsecure

REPLACE_TYPES = range(0x41, 0x48)
"""protocol_id by which a message replaces an earlier one of the same type from the same address."""


def waiting_data_coding(kind: Waiting, active: bool = True, keep: bool = False, unicode: bool = False) -> int:
    """data_coding that lights (`active`) or clears a waiting indicator (TS 23.038, 4). UCS-2 is always kept."""
    group = 0xE0 if unicode else 0xD0 if keep else 0xC0
    return group | (0x08 if active else 0) | _WAITING.index(kind)


def waiting_udh(kind: Waiting, count: int, keep: bool = False) -> bytes:
    """A header that says how many messages wait, 0 to 255 (TS 23.040, 9.2.3.24.2)."""
    return build_udh([Element(SPECIAL_INDICATION, bytes(((0x80 if keep else 0) | _WAITING.index(kind), count)))])


def policy(
    protocol_id: int = 0, data_coding: int = 0, udh: bytes = b"", destination_port: int | None = None
) -> str | None:
    """The name of what makes a customer's message one to refuse by default, or None.

    `silent` (type 0: pings and tracking), `sim_toolkit` (over the air commands: attacks on SIMs), `wap_push`
    (phishing), `malformed_udh` (cannot be judged). `destination_port` is the TLV of that name.
    """
    if protocol_id == _SILENT:
        return "silent"
    # 8-bit data of class 2 goes to the SIM: 0xF6, or 0x16 in the general group (TS 23.038, 4).
    if protocol_id in _TO_THE_SIM or data_coding & 0xF7 == 0xF6 or data_coding & 0x9F == 0x16:
        return "sim_toolkit"
    ports = {destination_port}
    if udh:
        header, rest = parse_udh(udh)
        if header.malformed or rest:
            return "malformed_udh"
        if any(element.id in _SIM_SECURITY for element in header.elements):
            return "sim_toolkit"
        if header.ports:
            ports.add(header.ports[0])
    return "wap_push" if ports & _PUSH_PORTS else None
