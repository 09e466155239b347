from __future__ import annotations

import pytest

from chappe.channels.settings import AddressRules, PrefixRule
from chappe.channels.smpp.addresses import read_address, write_number, write_sender

NATIONAL = AddressRules(prefixes=(PrefixRule(prefix="33", replace="0"), PrefixRule(prefix="3", replace="9")))


@pytest.mark.parametrize(
    ("sender", "rules", "written"),
    [
        ("Chappe", AddressRules(), (5, 0, "Chappe")),
        ("+33600000001", AddressRules(), (1, 1, "33600000001")),
        ("33600000001", AddressRules(plus=True), (1, 1, "+33600000001")),
        ("36000", AddressRules(), (3, 0, "36000")),
        ("36000", AddressRules(ton=0, npi=0), (0, 0, "36000")),
        ("36000", AddressRules(plus=True), (3, 0, "36000")),
        ("Chappe", AddressRules(ton=0, npi=1, plus=True), (5, 0, "Chappe")),
        ("33600000001", NATIONAL, (2, 1, "0600000001")),
        ("", AddressRules(), (0, 0, "")),
    ],
)
def test_a_sender_tells_its_type(sender: str, rules: AddressRules, written: tuple[int, int, str]) -> None:
    assert write_sender(sender, rules) == written


@pytest.mark.parametrize(
    ("rules", "written"),
    [
        (AddressRules(), (1, 1, "33600000001")),
        (NATIONAL, (2, 1, "0600000001")),
        (AddressRules(prefixes=(PrefixRule(prefix="", replace="00"),), plus=True), (1, 1, "0033600000001")),
        (AddressRules(prefixes=(PrefixRule(prefix="336", replace="99336"),)), (1, 1, "9933600000001")),
        (AddressRules(prefixes=(PrefixRule(prefix="44", replace="0"),), plus=True), (1, 1, "+33600000001")),
        (AddressRules(ton=0, npi=0, prefixes=(PrefixRule(prefix="33", replace="0"),)), (0, 0, "0600000001")),
    ],
)
def test_a_destination_is_rewritten_by_the_first_rule_that_fits(
    rules: AddressRules, written: tuple[int, int, str]
) -> None:
    assert write_number("33600000001", rules) == written


@pytest.mark.parametrize(
    ("address", "ton", "digits"),
    [
        ("+33600000001", 1, "33600000001"),
        ("0033600000001", 0, "33600000001"),
        ("33600000001", 1, "33600000001"),
        ("0600000001", 2, "33600000001"),
        ("36000", 3, "36000"),
        ("MyBank", 5, "MyBank"),
        ("1234", 5, "1234"),
        ("My Bank", 0, "My Bank"),
        ("", 0, ""),
        ("٣٦٠٠٠", 1, "٣٦٠٠٠"),
    ],
)
def test_what_a_supplier_wrote_comes_back_as_digits(address: str, ton: int, digits: str) -> None:
    assert read_address(address, ton, (PrefixRule(prefix="06", replace="336"),)) == digits


def test_rewriting_both_ways_gives_the_number_back() -> None:
    back = (PrefixRule(prefix="0", replace="33"),)
    ton, _, written = write_number("33600000001", NATIONAL)
    assert read_address(written, ton, back) == "33600000001"
