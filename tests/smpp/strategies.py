"""PDUs of every command with arbitrary fields and TLVs."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from chappe.smpp import commands
from chappe.smpp.commands import DistributionList, Failure, Field, Shape, SmeAddress
from chappe.smpp.pdu import Pdu

octets = st.integers(0, 255)
sequences = st.integers(1, 0x7FFFFFFF)


def strings(size: int) -> st.SearchStrategy[str]:
    """C-octet strings of at most `size` octets with their NUL."""
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=size - 1)


_SHAPES: dict[Shape, st.SearchStrategy[Any]] = {
    Shape.OCTET: octets,
    Shape.SHORT_MESSAGE: st.binary(max_size=255),
    Shape.DESTINATIONS: st.lists(
        st.builds(SmeAddress, octets, octets, strings(21)) | st.builds(DistributionList, strings(21)), max_size=5
    ),
    Shape.FAILURES: st.lists(st.builds(Failure, octets, octets, strings(21), st.integers(0, 0xFFFFFFFF)), max_size=5),
}


def _value(field: Field) -> st.SearchStrategy[Any]:
    return strings(field.size) if field.shape is Shape.STRING else _SHAPES[field.shape]


tlvs = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=4)


def pdus(command_ids: list[int] | None = None) -> st.SearchStrategy[Pdu]:
    def build(command_id: int) -> st.SearchStrategy[Pdu]:
        row = commands.LAYOUTS[command_id]
        refusal = st.integers(0, 0xFFFFFFFF) if command_id >= commands.RESPONSE and row else st.just(0)
        fields = st.fixed_dictionaries({field.name: _value(field) for field in row})
        return st.builds(Pdu, st.just(command_id), refusal, sequences, fields, tlvs)

    return st.sampled_from(command_ids or list(commands.LAYOUTS)).flatmap(build)
