"""The room's pure parts: ids, addresses, statuses, states, purposes."""

from __future__ import annotations

import unicodedata
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.accounts import IdForm, LoginDialect, SmppLogin
from chappe.errors import DELIVERY, ERRORS
from chappe.messages import State
from chappe.smpp import MessageState, Pdu, commands, encode, receipt, status, tlv
from chappe.smsc.addresses import read_destination, read_source, write_address
from chappe.smsc.compose import compose
from chappe.smsc.message_ids import read_id, write_id
from chappe.smsc.model import BACKOFF_S, InboundNews, Kind, ReceiptNews, decode_news, encode_news, retry_after_s
from chappe.smsc.refusals import STATUS, Unfit, status_of
from chappe.smsc.states import ERROR_NUMBER, MESSAGE_STATE, wants
from chappe.smsc.submit import read
from chappe.text import StoredPart, join
from tests.smsc.house import submit_fields

NOW = 1_800_000_000_000
LOGIN = SmppLogin(1, 2, "acme", "", "live", "active", "transactional", (), 4, None, 50, False, LoginDialect(), 0)
INTERNAL = ("number", "text", "sender", "time", "routing")


@given(st.integers(0, (1 << 63) - 1), st.sampled_from(get_args(IdForm)))
def test_every_form_of_an_id_is_read_back_in_any_case(number: int, form: IdForm) -> None:
    written = write_id(form, number)
    assert len(written) <= 20
    assert {read_id(form, written), read_id(form, written.upper()), read_id(form, f" {written} ")} == {number}
    assert read_id(form, written.lstrip("0")) == number or number == 0


@given(st.text(max_size=70), st.sampled_from(get_args(IdForm)))
def test_nothing_that_a_customer_writes_as_an_id_raises(text: str, form: IdForm) -> None:
    number = read_id(form, text)
    assert number is None or 0 <= number < 1 << 63


@pytest.mark.parametrize(
    ("ton", "address", "country", "number"),
    [
        (1, "33612345678", None, "+33612345678"),
        (1, "+33612345678", None, "+33612345678"),
        (0, "0033612345678", None, "+33612345678"),
        (0, " 33612345678", "FR", "+33612345678"),
        (2, "0612345678", "FR", "+33612345678"),
        (2, "612345678", "FR", "+33612345678"),
        (2, "07911123456", "GB", "+447911123456"),
    ],
)
def test_destinations_are_read_by_their_type(ton: int, address: str, country: str | None, number: str) -> None:
    assert read_destination(ton, address, LoginDialect(country=country)) == number


def test_sources_are_numbers_codes_or_names() -> None:
    french = LoginDialect(country="FR")
    assert read_source(5, "Acme Inc", french) == "Acme Inc"
    assert read_source(1, "+33612345678", french) == "+33612345678"
    assert read_source(2, "0612345678", french) == "+33612345678"
    assert read_source(2, "36000", french) == "36000"
    assert read_source(0, "", french) is None
    with pytest.raises(Unfit) as caught:
        read_source(2, "0000000000", french)
    assert caught.value.status == status.ESME_RINVSRCADR


def test_addresses_are_written_by_their_kind() -> None:
    assert write_address("+33612345678", False, True) == (1, 1, "33612345678")
    assert write_address("33612345678", True, True) == (1, 1, "+33612345678")
    assert write_address("36000", True, True) == (3, 0, "36000")
    assert write_address("Acme", False, True) == (5, 0, "Acme")
    assert write_address("Acme", False, False) == (0, 0, "Acme")


def test_every_refusal_of_a_message_has_its_status() -> None:
    for code, entry in ERRORS.items():
        if entry.group in INTERNAL:
            assert code in STATUS, code
    for code, expected in STATUS.items():
        assert code in ERRORS or code in ("invalid_sender", "invalid_udh"), code
        assert status.lookup(expected).name.startswith("ESME_"), code
    assert status_of("something new", 0x34) == status.ESME_RSUBMITFAIL
    assert (status_of("content_blocked", 0x34), status_of("content_blocked", 0x50)) == (
        status.ESME_RSUBMITFAIL,
        status.ESME_RPROHIBITED,
    )


def test_every_state_and_every_delivery_error_has_its_number() -> None:
    assert MESSAGE_STATE.keys() == {state.word for state in State}
    assert ERROR_NUMBER.keys() == DELIVERY.keys()
    assert len(set(ERROR_NUMBER.values())) == len(ERROR_NUMBER)
    assert max(ERROR_NUMBER.values()) <= 255
    final = {state.word for state in State if receipt.is_final(MESSAGE_STATE[state.word])}
    assert final == {"delivered", "read", "expired", "undelivered", "failed", "canceled"}


def test_whoever_asks_for_all_hears_of_every_end_once() -> None:
    ends = {"delivered", "expired", "undelivered", "failed", "canceled", "unconfirmed"}
    words = {state.word for state in State}
    assert {word for word in words if wants(1, word)} == ends
    assert {word for word in words if wants(2, word)} | {word for word in words if wants(3, word)} == ends
    assert {word for word in words if wants(0x10, word)} == {"sent"}
    assert not any(wants(0, word) for word in words)


def test_a_delivery_is_tried_for_three_days() -> None:
    assert retry_after_s(0) == 0
    waits = [retry_after_s(tries) for tries in range(1, len(BACKOFF_S) + 1)]
    assert waits == sorted(waits, key=lambda wait: wait or 0)
    assert 2.5 * 86_400 < sum(BACKOFF_S) < 3.5 * 86_400
    assert retry_after_s(len(BACKOFF_S) + 1) is None


def submit_pdu(tlvs: Any = (), **fields: Any) -> Pdu:
    blank = {"service_type": "", "esm_class": 0, "data_coding": 0, "protocol_id": 0}
    return Pdu(commands.SUBMIT_SM, fields=blank | submit_fields(**fields), tlvs=list(tlvs))


def test_the_purpose_is_the_logins_or_what_service_type_or_a_tlv_says() -> None:
    dialect = LoginDialect(purposes={"OTP": "otp", "ADS": "marketing"}, purpose_tlv=0x1500)
    assert read(submit_pdu(), LOGIN, dialect, NOW).purpose == "transactional"
    otp = read(submit_pdu(service_type="OTP"), LOGIN, dialect, NOW)
    assert (otp.purpose, otp.wire.service_type) == ("otp", "")
    assert read(submit_pdu(service_type="CMT"), LOGIN, dialect, NOW).wire.service_type == "CMT"
    named = read(submit_pdu([(0x1500, b"Marketing\0"), (0x1501, b"x")]), LOGIN, dialect, NOW)
    assert (named.purpose, named.wire.tlvs) == ("marketing", ((0x1501, b"x"),))
    assert read(submit_pdu([(0x1500, b"otp")], service_type="ADS"), LOGIN, dialect, NOW).purpose == "otp"
    with pytest.raises(Unfit) as caught:
        read(submit_pdu([(0x1500, b"spam")]), LOGIN, dialect, NOW)
    assert caught.value.status == status.ESME_RINVOPTPARAMVAL


@given(
    st.binary(max_size=300),
    st.integers(0, 255),
    st.integers(0, 255),
    st.sampled_from(["gsm7", "gsm7_packed", "latin1", "ascii"]),
)
def test_no_content_raises_anything_but_a_refusal(
    octets: bytes, data_coding: int, esm_class: int, alphabet: Any
) -> None:
    pdu = submit_pdu([(tlv.MESSAGE_PAYLOAD, octets)], octets=b"", data_coding=data_coding, esm_class=esm_class)
    try:
        submission = read(pdu, LOGIN, LoginDialect(default_alphabet=alphabet), NOW)
    except Unfit as unfit:
        assert unfit.status in status.TABLE and unfit.reason
    else:
        assert (submission.text is None) == (submission.wire.data is not None)


news = st.builds(
    InboundNews,
    id=st.integers(0, (1 << 63) - 1),
    to=st.just("33644600001"),
    sender=st.just("33612345678"),
    text=st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Mn", "Me", "Mc")), max_size=400),
)


@given(news, st.sampled_from(["gsm7", "latin1", "ascii"]), st.sampled_from(["udh", "payload"]), st.booleans())
def test_a_phones_text_can_be_read_from_what_is_composed(
    written: InboundNews, alphabet: Any, long_messages: Any, with_tlvs: bool
) -> None:
    assert decode_news(Kind.INBOUND, encode_news(written).decode()) == written
    dialect = LoginDialect(default_alphabet=alphabet, long_messages=long_messages)
    pdus = compose(written, dialect, with_tlvs=with_tlvs)
    parts = []
    for n, pdu in enumerate(pdus, 1):
        assert encode(pdu)
        user_data = pdu.fields.get("short_message") or pdu.tlv(tlv.MESSAGE_PAYLOAD) or b""
        assert with_tlvs or not pdu.tlvs
        parts.append(
            StoredPart(n, len(pdus), user_data, pdu.fields["data_coding"], bool(pdu.fields["esm_class"] & 0x40))
        )
    joined = join(parts, alphabet)
    assert joined is not None
    assert joined.text == unicodedata.normalize("NFC", written.text or "")


def test_a_receipt_says_the_same_in_text_and_tlvs() -> None:
    told = ReceiptNews(
        77, "undelivered", "+33612345678", "Acme", NOW, NOW + 60_000, "Łódź", "absent_subscriber", b"\0\1"
    )
    assert decode_news(Kind.RECEIPT, encode_news(told).decode()) == told
    [pdu] = compose(told, LoginDialect(message_id="decimal"), with_tlvs=True)
    found = receipt.from_pdu(pdu)
    assert found is not None
    assert (found.id, found.state, found.err, found.network_error) == ("77", MessageState.UNDELIVERABLE, "060", (3, 60))
    assert found.text == "??d?"
    assert pdu.tlv(tlv.MESSAGE_STATE) == b"\x05"
    [bare] = compose(told, LoginDialect(receipt_text=False), with_tlvs=True)
    assert bare.fields.get("short_message", b"") == b""
    assert receipt.from_pdu(bare) is not None
