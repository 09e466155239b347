from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp import commands, receipt, times, tlv
from chappe.smpp.pdu import Pdu, decode, encode
from chappe.smpp.receipt import Dialect, IdMode, MessageState, Style


def _ms(*parts: int) -> int:
    return times.to_ms(datetime(*parts, tzinfo=UTC))  # type: ignore[misc,arg-type]


STANDARD = (
    "id:0123456789 sub:001 dlvrd:001 submit date:2406011200 done date:2406011201 stat:DELIVRD err:000 text:Your code"
)


def deliver(
    text: bytes = b"", esm_class: int = 0x04, tlvs: list[tuple[int, bytes]] | None = None, **fields: object
) -> Pdu:
    """A deliver_sm that has been over the wire."""
    pdu = Pdu(
        commands.DELIVER_SM,
        0,
        1,
        {
            "source_addr": "48600100200",
            "destination_addr": "Chappe",
            "esm_class": esm_class,
            "short_message": text,
            **fields,
        },
        tlvs or [],
    )
    return decode(encode(pdu))


def test_the_text_of_the_specification_is_read() -> None:
    found = receipt.parse_text(STANDARD.encode())
    assert found is not None
    assert (found.id, found.state, found.stat, found.err) == ("0123456789", MessageState.DELIVERED, "DELIVRD", "000")
    assert (found.sub, found.dlvrd, found.text) == (1, 1, "Your code")
    assert (found.submitted_at, found.done_at) == (_ms(2024, 6, 1, 12, 0), _ms(2024, 6, 1, 12, 1))
    assert found.raw == STANDARD


@pytest.mark.parametrize(
    "text",
    [
        "id:7 stat:DELIVRD",
        "stat:DELIVRD id:7",
        "ID:7 SUB:001 DLVRD:001 SUBMIT DATE:2406011200 DONE DATE:2406011200 STAT:DELIVRD ERR:000 TEXT:x",
        "id: 7 sub: 001 dlvrd: 001 submit date: 2406011200 done date: 2406011200 stat: DELIVRD err: 000 text: x",
        "id :7 stat :DELIVRD",
        "id:7,sub:001,dlvrd:001,stat:DELIVRD,err:000,text:x",
        "id:7 submit_date:2406011200 done_date:2406011200 stat:delivrd",
        "id:7 submitdate:2406011200 donedate:2406011200 stat:DELIVERED",
        "err:000 text:x stat:DELIVRD done date:2406011200 id:7",
        "Id:7\nStat:DELIVRD\nText:",
        "id:7 stat:DELIVRD\0",
    ],
)
def test_fields_may_be_missing_reordered_and_spelt_otherwise(text: str) -> None:
    found = receipt.parse_text(text)
    assert found is not None
    assert (found.id, found.state) == ("7", MessageState.DELIVERED)


@pytest.mark.parametrize("text", ["", "hello", "id:7", "stat:DELIVRD", "id: stat:DELIVRD", "valid:7 upstat:DELIVRD"])
def test_without_id_and_stat_it_is_no_receipt(text: str) -> None:
    assert receipt.parse_text(text) is None


def test_labels_inside_the_message_are_the_messages_own() -> None:
    found = receipt.parse_text("id:7 stat:UNDELIV err:001 text:your id:99 stat:DELIVRD err:000")
    assert found is not None
    assert (found.id, found.state, found.err) == ("7", MessageState.UNDELIVERABLE, "001")
    assert found.text == "your id:99 stat:DELIVRD err:000"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("DELIVRD", MessageState.DELIVERED),
        ("EXPIRED", MessageState.EXPIRED),
        ("DELETED", MessageState.DELETED),
        ("UNDELIV", MessageState.UNDELIVERABLE),
        ("ACCEPTD", MessageState.ACCEPTED),
        ("UNKNOWN", MessageState.UNKNOWN),
        ("REJECTD", MessageState.REJECTED),
        ("ENROUTE", MessageState.ENROUTE),
        ("SKIPPED", MessageState.SKIPPED),
        ("SCHEDULED", MessageState.SCHEDULED),
        ("BUFFRED", MessageState.ENROUTE),
        ("BUFFERD", MessageState.ENROUTE),
        ("ACKED", MessageState.ENROUTE),
        ("FAILED", MessageState.UNDELIVERABLE),
        ("delivered", MessageState.DELIVERED),
        ("WEIRD", MessageState.UNKNOWN),
    ],
)
def test_every_word_for_a_state_is_understood_and_kept(word: str, state: MessageState) -> None:
    found = receipt.parse_text(f"id:7 stat:{word}")
    assert found is not None
    assert (found.state, found.stat) == (state, word)


def test_accepted_and_unknown_are_not_final() -> None:
    final = {state.name for state in MessageState if receipt.is_final(state)}
    assert final == {"DELIVERED", "EXPIRED", "DELETED", "UNDELIVERABLE", "REJECTED", "SKIPPED"}


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("2406011230", _ms(2024, 6, 1, 12, 30)),
        ("240601123045", _ms(2024, 6, 1, 12, 30, 45)),
        ("202406011230", _ms(2024, 6, 1, 12, 30)),
        ("20240601123045", _ms(2024, 6, 1, 12, 30, 45)),
        ("2024-06-01 12:30:45", _ms(2024, 6, 1, 12, 30, 45)),
        ("9999999999", None),
        ("soon", None),
    ],
)
def test_dates_of_every_length_are_read(date: str, at: int | None) -> None:
    found = receipt.parse_text(f"id:7 done date:{date} stat:DELIVRD")
    assert found is not None
    assert found.done_at == at


def test_dates_are_on_the_suppliers_clock() -> None:
    found = receipt.parse_text("id:7 done date:2406011200 stat:DELIVRD", tz_offset=120)
    assert found is not None
    assert found.done_at == _ms(2024, 6, 1, 10, 0)


_words = st.text(
    st.characters(codec="ascii", exclude_characters=":,; \t\r\n\v\f\0\x1c\x1d\x1e\x1f"), min_size=1, max_size=9
)
_dates = st.text("0123456789", min_size=1, max_size=15)


@given(_words, _words, _words, _dates, _dates, _words, _words, st.text(max_size=40))
def test_the_short_cut_for_the_standard_form_reads_what_the_search_reads(
    message_id: str, sub: str, dlvrd: str, submitted: str, done: str, stat: str, err: str, text: str
) -> None:
    tail = f"submit date:{submitted} done date:{done} stat:{stat} err:{err} text:{text}"
    quick = receipt.parse_text(f"id:{message_id} sub:{sub} dlvrd:{dlvrd} {tail}")
    searched = receipt.parse_text(f"id:{message_id} sub:{sub}  dlvrd:{dlvrd} {tail}")  # a blank more is not standard
    assert quick is not None and searched is not None
    assert quick.raw != searched.raw
    quick.raw = searched.raw
    assert quick == searched


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_breaks_the_parser(text: str | bytes) -> None:
    receipt.parse_text(text)


_LABELS = ["id:", "stat:", "err:", "text:", "sub:", "done date:", "submit date:", "DELIVRD", "2406011200", " ", "7"]


@given(st.lists(st.sampled_from(_LABELS), max_size=30))
def test_no_heap_of_labels_breaks_the_parser(parts: list[str]) -> None:
    found = receipt.parse_text("".join(parts))
    assert found is None or (found.id and found.stat)


# -- from a PDU ------------------------------------------------------------------------------------


def test_tlvs_alone_are_a_receipt() -> None:
    pdu = deliver(tlvs=[(tlv.RECEIPTED_MESSAGE_ID, b"abc\0"), (tlv.MESSAGE_STATE, b"\x05"), (0x423, b"\x03\x00\x0b")])
    found = receipt.from_pdu(pdu)
    assert found is not None
    assert (found.id, found.state, found.err) == ("abc", MessageState.UNDELIVERABLE, "11")
    assert found.network_error == (3, 11)


def test_the_text_alone_is_a_receipt() -> None:
    found = receipt.from_pdu(deliver(STANDARD.encode()))
    assert found is not None
    assert (found.id, found.state) == ("0123456789", MessageState.DELIVERED)


def test_the_text_may_be_in_message_payload() -> None:
    found = receipt.from_pdu(deliver(tlvs=[(tlv.MESSAGE_PAYLOAD, STANDARD.encode())]))
    assert found is not None
    assert found.id == "0123456789"


def test_tlvs_and_text_complete_each_other() -> None:
    found = receipt.from_pdu(deliver(STANDARD.encode(), tlvs=[(tlv.RECEIPTED_MESSAGE_ID, b"123456789\0")]))
    assert found is not None
    assert (found.id, found.state, found.done_at) == ("123456789", MessageState.DELIVERED, _ms(2024, 6, 1, 12, 1))


def test_the_dialect_says_which_id_wins() -> None:
    pdu = deliver(STANDARD.encode(), tlvs=[(tlv.RECEIPTED_MESSAGE_ID, b"other\0")])
    by_tlv, by_text = receipt.from_pdu(pdu), receipt.from_pdu(pdu, Dialect(id_from="text"))
    assert by_tlv is not None and by_text is not None
    assert (by_tlv.id, by_text.id) == ("other", "0123456789")


def test_the_state_of_the_tlv_is_worth_more_than_the_word() -> None:
    found = receipt.from_pdu(deliver(b"id:7 stat:ENROUTE", tlvs=[(tlv.MESSAGE_STATE, b"\x02")]))
    assert found is not None
    assert (found.state, found.stat) == (MessageState.DELIVERED, "ENROUTE")


@pytest.mark.parametrize("esm_class", [0x04, 0x44, 0x84, 0x07])
def test_the_type_is_read_through_its_mask(esm_class: int) -> None:
    header = b"\x05\x00\x03\x01\x01A" if esm_class & 0x40 else b""
    found = receipt.from_pdu(deliver(header + b"id:7 stat:DELIVRD", esm_class))
    assert found is not None
    assert (found.id, found.intermediate) == ("7", False)


def test_an_intermediate_notification_is_marked() -> None:
    found = receipt.from_pdu(deliver(b"id:7 stat:ENROUTE", 0x20))
    assert found is not None
    assert found.intermediate


@pytest.mark.parametrize("esm_class", [0x00, 0x08, 0x10, 0x18, 0x40])
def test_a_message_that_reads_like_a_receipt_is_a_message(esm_class: int) -> None:
    assert receipt.from_pdu(deliver(STANDARD.encode(), esm_class)) is None


def test_a_dialect_may_accept_receipts_without_their_bit() -> None:
    dialect = Dialect(plain_text_receipts=True)
    found = receipt.from_pdu(deliver(STANDARD.encode(), 0), dialect)
    assert found is not None
    assert found.id == "0123456789"
    assert receipt.from_pdu(deliver(b"STOP", 0), dialect) is None


def test_a_receipt_that_cannot_be_read_is_still_no_message_of_the_subscriber() -> None:
    found = receipt.from_pdu(deliver(b"???"))
    assert found is not None
    assert (found.id, found.state, found.raw) == ("", MessageState.UNKNOWN, "???")


def test_a_receipt_in_ucs2_is_read() -> None:
    found = receipt.from_pdu(deliver("id:7 stat:DELIVRD".encode("utf-16-be"), data_coding=8))
    assert found is not None
    assert found.id == "7"


def test_a_data_sm_may_be_a_receipt() -> None:
    pdu = Pdu(
        commands.DATA_SM, 0, 1, {"esm_class": 4}, [(tlv.RECEIPTED_MESSAGE_ID, b"7\0"), (tlv.MESSAGE_STATE, b"\2")]
    )
    found = receipt.from_pdu(decode(encode(pdu)))
    assert found is not None
    assert (found.id, found.state) == ("7", MessageState.DELIVERED)


def test_the_handset_is_the_source_unless_the_supplier_swaps() -> None:
    pdu = deliver(b"id:7 stat:DELIVRD")
    found, swapped = receipt.from_pdu(pdu), receipt.from_pdu(pdu, Dialect(swapped_addresses=True))
    assert found is not None and swapped is not None
    assert (found.handset, found.sender) == ("48600100200", "Chappe")
    assert (swapped.handset, swapped.sender) == ("Chappe", "48600100200")


def test_a_network_error_in_digits_is_read_where_the_dialect_says_so() -> None:
    pdu = deliver(tlvs=[(tlv.RECEIPTED_MESSAGE_ID, b"7\0"), (tlv.NETWORK_ERROR_CODE, b"034")])
    found = receipt.from_pdu(pdu, Dialect(network_error_ascii=True))
    assert found is not None
    assert (found.network_error, found.err) == ((0, 34), "34")


# -- ids and errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "response", "from_receipt"),
    [
        (IdMode.STRING, "ABC-1", "abc-1"),
        (IdMode.STRING, "000123", "123"),
        (IdMode.STRING, "5F0E-00", "5f0e-00\0"),
        (IdMode.STRING, "0", "000"),
        (IdMode.RESP_HEX_RECEIPT_DEC, "0000001F", "31"),
        (IdMode.RESP_HEX_RECEIPT_DEC, "DE0B6B3A7640000", "1000000000000000000"),
        (IdMode.RESP_HEX_RECEIPT_DEC, "FFFFFFFFFFFFFFFFFFFF", "1208925819614629174706175"),
        (IdMode.RESP_DEC_RECEIPT_HEX, "0031", "1f"),
        (IdMode.BOTH_HEX, "1F", "0x001f"),
        (IdMode.BOTH_DEC, "0031", "31"),
        (IdMode.RESP_HEX_RECEIPT_DEC, "not-a-number", "NOT-A-NUMBER"),
    ],
)
def test_the_ids_of_response_and_receipt_meet(mode: IdMode, response: str, from_receipt: str) -> None:
    dialect = Dialect(id_mode=mode)
    left = receipt.normalise_id(response, "response", dialect)
    assert left == receipt.normalise_id(from_receipt, "receipt", dialect)
    assert left


def test_different_ids_stay_different() -> None:
    assert receipt.normalise_id("1F", "response") != receipt.normalise_id("31", "receipt")


@given(st.text(max_size=70), st.sampled_from(IdMode))
def test_every_id_can_be_normalised(raw: str, mode: IdMode) -> None:
    for side in ("response", "receipt"):
        receipt.normalise_id(raw, side, Dialect(id_mode=mode))


@pytest.mark.parametrize(
    ("err", "permanent"), [("001", True), ("1", True), ("013", True), ("040", False), ("61", False), ("031", False)]
)
def test_an_err_is_permanent_or_temporary(err: str, permanent: bool) -> None:
    found = receipt.delivery_error(err)
    assert found is not None
    assert found.permanent is permanent


def test_a_supplier_has_its_own_errors() -> None:
    dialect = Dialect(err_map={"e1f": 1, "5": 61})
    mapped, renumbered = receipt.delivery_error("E1F", dialect), receipt.delivery_error("005", dialect)
    assert mapped is not None and renumbered is not None
    assert (mapped.code, renumbered.code) == (1, 61)


@pytest.mark.parametrize("err", ["", "000", "954", "E1F", "²"])
def test_an_unknown_err_is_nobodys(err: str) -> None:
    assert receipt.delivery_error(err) is None


# -- writing ---------------------------------------------------------------------------------------

ids = st.integers(1, 2**63).map(str)


@given(ids, st.sampled_from(MessageState), st.integers(0, 36_000_000), st.sampled_from([10, 12, 14]), st.booleans())
def test_what_we_write_is_what_we_read(
    message_id: str, state: MessageState, minutes: int, digits: int, upper_case: bool
) -> None:
    at = _ms(2024, 1, 1) + minutes * 60_000
    style = Style(date_digits=digits, tz_offset=-90, upper_case=upper_case)  # type: ignore[arg-type]
    text = receipt.format_text(message_id, state, at, at + 60_000, "013", "A text that is longer than twenty", style)
    found = receipt.parse_text(text, tz_offset=-90)
    assert found is not None
    assert found.id == message_id
    assert found.state == (MessageState.ENROUTE if state is MessageState.SCHEDULED else state)
    assert (found.submitted_at, found.done_at, found.err) == (at, at + 60_000, "013")
    assert found.text == "A text that is longe"


@given(ids)
def test_an_id_in_another_base_meets_the_id_of_the_response(message_id: str) -> None:
    def written(form: str) -> str:
        found = receipt.parse_text(receipt.format_text(message_id, 2, 0, 0, style=Style(id_form=form)))  # type: ignore[arg-type]
        assert found is not None
        return found.id

    hexadecimal = Dialect(id_mode=IdMode.RESP_DEC_RECEIPT_HEX)
    assert receipt.normalise_id(written("hex"), "receipt", hexadecimal) == message_id
    assert receipt.normalise_id(written("padded"), "receipt") == message_id


def test_a_receipt_of_ours_reads_as_the_specification_shows_it() -> None:
    text = receipt.format_text(
        "7", MessageState.DELIVERED, _ms(2024, 6, 1, 12), _ms(2024, 6, 1, 12, 1), text="Your code"
    )
    assert text == (
        b"id:7 sub:001 dlvrd:001 submit date:2406011200 done date:2406011201 stat:DELIVRD err:000 text:Your code"
    )


def test_the_tlvs_of_a_receipt_of_ours_are_read_back() -> None:
    pdu = deliver(tlvs=receipt.receipt_tlvs("7", MessageState.EXPIRED, (3, 60)))
    found = receipt.from_pdu(pdu)
    assert found is not None
    assert (found.id, found.state, found.network_error) == ("7", MessageState.EXPIRED, (3, 60))
