import pytest

from chappe.text import check_alphanumeric, policy, port_udh, sender_kind, waiting_data_coding, waiting_udh


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, None),
        ({"protocol_id": 0x41}, None),
        ({"protocol_id": 0x40}, "silent"),
        ({"protocol_id": 0x7F}, "sim_toolkit"),
        ({"data_coding": 0xF6}, "sim_toolkit"),
        ({"data_coding": 0xFE}, "sim_toolkit"),
        ({"data_coding": 0x16}, "sim_toolkit"),
        ({"data_coding": 0xF5}, None),
        ({"data_coding": 0xF2}, None),
        ({"data_coding": 0x18}, None),
        ({"udh": bytes.fromhex("027000")}, "sim_toolkit"),
        ({"udh": port_udh(2948, 9200)}, "wap_push"),
        ({"udh": port_udh(16000)}, None),
        ({"destination_port": 2948}, "wap_push"),
        ({"udh": b"\x05\x00"}, "malformed_udh"),
    ],
)
def test_dangerous_messages_are_named(fields, named):
    assert policy(**fields) == named


def test_waiting_indicators():
    assert waiting_data_coding("voicemail") == 0xC8
    assert waiting_data_coding("voicemail", active=False) == 0xC0
    assert waiting_data_coding("email", keep=True) == 0xDA
    assert waiting_data_coding("fax", unicode=True) == 0xE9
    assert waiting_udh("voicemail", 3) == bytes.fromhex("0401020003")
    assert waiting_udh("other", 1, keep=True) == bytes.fromhex("0401028301")


@pytest.mark.parametrize(
    ("sender", "kind"),
    [
        ("Chappe", "alphanumeric"),
        ("3615 Info", "alphanumeric"),
        ("36111", "short_code"),
        ("33612345678", "numeric"),
        ("+33612345678", "numeric"),
        ("", "invalid"),
        ("12", "invalid"),
        ("+36111", "invalid"),
        ("1" * 16, "invalid"),
        ("١٢٣٤٥", "invalid"),
    ],
)
def test_senders_have_a_kind(sender, kind):
    assert sender_kind(sender) == kind


@pytest.mark.parametrize("sender", ["Chappe", "A", "Acme & Co", "abcdefghijk", "My-Shop_1.x"])
def test_good_sender_names_pass(sender):
    assert check_alphanumeric(sender) is None


@pytest.mark.parametrize(
    "sender", ["", "abcdefghijkl", " Acme", "Acme ", "a@b", "Café", "12345", "12 34", "A\nB", "A[B]", "Ж", "A€"]
)
def test_bad_sender_names_are_refused_with_a_reason(sender):
    error = check_alphanumeric(sender)
    assert (error.code, error.param) == ("invalid_sender", "from")
    assert error.message


def test_a_country_may_allow_no_marks_or_others():
    assert check_alphanumeric("A-B", marks="") is not None
    assert check_alphanumeric("A[B]", marks="[]") is None
    assert check_alphanumeric("abcdefgh[]", marks="[]") is not None  # two septets each: twelve
    assert check_alphanumeric("a@b", marks="@") is not None
