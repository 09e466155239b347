"""What a supplier's limits make of a text."""

from __future__ import annotations

import pytest

from chappe.channels.settings import Connector, SmppCredentials, SmppSettings
from chappe.messages import Wire
from chappe.messages.wire import blocked, encode
from chappe.text import TextError


def connector(**settings: object) -> Connector:
    made = SmppSettings(host="mc", **settings)  # type: ignore[arg-type]
    return Connector(1, "mc", "smpp", False, "active", made, SmppCredentials("id", "pw"))


def test_a_latin1_supplier_gets_latin1_octets_under_data_coding_0() -> None:
    encoded = encode("Déjà @ vu", Wire(), connector(default_alphabet="latin1"), 1, 10)
    assert (encoded.data_coding, encoded.parts[0].payload) == (0, "Déjà @ vu".encode("latin-1"))


def test_what_latin1_lacks_goes_to_a_latin1_supplier_as_ucs2() -> None:
    encoded = encode("5 €", Wire(), connector(default_alphabet="latin1"), 1, 10)
    assert (encoded.data_coding, encoded.parts[0].payload) == (8, "5 €".encode("utf-16-be"))


def test_an_ascii_supplier_gets_accents_as_ucs2() -> None:
    assert encode("cafe", Wire(), connector(default_alphabet="ascii"), 1, 10).parts[0].payload == b"cafe"
    assert encode("café", Wire(), connector(default_alphabet="ascii"), 1, 10).encoding == "ucs2"


def test_a_supplier_without_ucs2_refuses_what_needs_it() -> None:
    with pytest.raises(TextError) as caught:
        encode("привет", Wire(), connector(encodings=("gsm7",)), 1, 10)
    assert caught.value.code == "encoding_impossible"


def test_packed_septets_for_those_who_want_them() -> None:
    encoded = encode("hellohello", Wire(), connector(default_alphabet="gsm7_packed"), 1, 10)
    assert encoded.parts[0].payload == bytes.fromhex("E8329BFD4697D9EC37")


def test_a_part_that_the_customer_numbered_passes_as_it_is() -> None:
    udh = bytes([5, 0, 3, 7, 2, 1])
    encoded = encode(None, Wire(data=b"\x01\x02", udh=udh, data_coding=8), connector(), 1, 10)
    [part] = encoded.parts
    assert (part.udh, part.payload, encoded.data_coding) == (udh, b"\x01\x02", 8)


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        (Wire(protocol_id=0x40), "silent"),
        (Wire(protocol_id=0x7F), "sim_toolkit"),
        (Wire(data=b"x", data_coding=0xF6), "sim_toolkit"),
        (Wire(data=b"x", udh=bytes.fromhex("0605040B8423F0")), "wap_push"),
        (Wire(tlvs=((0x020B, bytes.fromhex("0B84")),)), "wap_push"),
        (Wire(tlvs=((0x020B, bytes.fromhex("1F90")),)), None),
        (Wire(), None),
    ],
)
def test_content_that_no_customer_may_send_is_named(wire: Wire, kind: str | None) -> None:
    assert blocked(wire) == kind
