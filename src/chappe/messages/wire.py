"""From a message to the parts a connector carries, and the other way round for what was asked of the wire."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from msgspec import structs

from chappe import text as texts
from chappe.channels import Connector, Outgoing
from chappe.messages.model import Message, Wire, reference
from chappe.text import Encoded, Options, TextError

_CHARSETS = {"latin1": "latin-1", "ascii": "ascii"}
_DESTINATION_PORT = 0x020B  # SMPP 3.4, 5.3.2.21
_UDHI = 0x40  # SMPP 3.4, 5.2.12


@lru_cache(maxsize=4096)
def _options(
    encoding: str,
    smart: bool,
    message_class: int | None,
    national: tuple[int, ...],
    concat: str,
    most: int,
    packed: bool,
) -> Options:
    return Options(
        encoding=encoding,  # type: ignore[arg-type]
        smart=smart,
        message_class=message_class,
        national=national,
        concat=concat,  # type: ignore[arg-type]
        max_parts=most,
        packed=packed,
    )


def options_for(wire: Wire, connector: Connector | None, max_parts: int) -> Options:
    """What the customer asked for, within what the connector carries."""
    if connector is None:
        return _options(wire.encoding, wire.smart, wire.message_class, (), "udh8", max_parts, False)
    settings = connector.settings
    return _options(
        wire.encoding,
        wire.smart,
        wire.message_class,
        settings.national,
        settings.concat,
        min(max_parts, settings.max_parts),
        settings.default_alphabet == "gsm7_packed",
    )


def encode(text: str | None, wire: Wire, connector: Connector | None, message_id: int, max_parts: int) -> Encoded:
    """The parts of a message on this connector. Raises TextError."""
    if wire.data is None:
        options, number = options_for(wire, connector, max_parts), reference(message_id)
        encoded = texts.encode(text or "", options, number)
        if connector is None:
            return encoded
        return _as_carried(
            encoded, connector, lambda: texts.encode(encoded.text, structs.replace(options, encoding="ucs2"), number)
        )
    if wire.sar is not None or wire.data_coding not in (None, 4):
        # the customer encoded and numbered this part itself: it passes as it is
        part = texts.Part(wire.data, udh=wire.udh, sar=wire.sar)
        return Encoded("binary", wire.data_coding or 0, (part,), 1, 0, len(wire.data), "")
    concat: texts.Concatenation = connector.settings.concat if connector else "udh8"
    return texts.encode_binary(
        wire.data,
        wire.udh,
        message_class=wire.message_class,
        concat=concat,
        max_parts=max_parts,
        reference=reference(message_id),
    )


def _as_carried(encoded: Encoded, connector: Connector, ucs2: Callable[[], Encoded]) -> Encoded:
    """The same text for a supplier that takes fewer encodings, or whose data_coding 0 is not GSM-7."""
    settings = connector.settings
    if encoded.encoding not in settings.encodings:
        if encoded.encoding != "ucs2" and "ucs2" in settings.encodings:
            return ucs2()
        raise TextError("encoding_impossible", f"{connector.name} does not carry {encoded.encoding}.", "encoding")
    charset = _CHARSETS.get(settings.default_alphabet)
    if charset is None or encoded.encoding != "gsm7" or encoded.data_coding != 0:
        return encoded
    try:
        parts = tuple(structs.replace(part, payload=part.text.encode(charset)) for part in encoded.parts)
    except UnicodeEncodeError:  # GSM-7 has characters that Latin-1 lacks: the euro sign, Greek capitals
        return ucs2()
    return structs.replace(encoded, parts=parts)


def blocked(wire: Wire) -> str | None:
    """The kind of content that no customer may send (silent SMS, SIM commands, WAP push), None if there is none."""
    if wire.protocol_id == 0 and not wire.udh and not wire.data_coding and not wire.tlvs:
        return None
    port = next((int.from_bytes(value) for tag, value in wire.tlvs if tag == _DESTINATION_PORT), None)
    return texts.policy(wire.protocol_id, wire.data_coding or 0, wire.udh, port)


def parts_of(message: Message, encoded: Encoded, attempt: int, context: object) -> list[Outgoing]:
    """What the link is asked to send, part 1 first."""
    wire = message.wire
    total = len(encoded.parts)
    coding = encoded.data_coding if wire.data_coding is None else wire.data_coding
    return [
        Outgoing(
            message_id=message.id,
            attempt=attempt,
            part=number,
            parts=total,
            sender=message.sender,
            destination=message.recipient[1:],
            payload=part.payload,
            udh=part.udh,
            sar=part.sar,
            data_coding=coding,
            esm_class=wire.esm_class | (_UDHI if part.udh else 0),
            protocol_id=wire.protocol_id,
            priority=wire.priority,
            deadline=message.expires_at,
            in_payload_tlv=encoded.segments > total,
            service_type=wire.service_type,
            tlvs=wire.tlvs,
            context=context,
        )
        for number, part in enumerate(encoded.parts, 1)
    ]


__all__ = ["TextError", "blocked", "encode", "options_for", "parts_of"]
