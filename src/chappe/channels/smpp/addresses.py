"""Addresses between E.164 digits and what a supplier writes (SMPP 3.4, 5.2.5 TON, 5.2.6 NPI)."""

from __future__ import annotations

from typing import Final, NamedTuple

from chappe.channels.settings import AddressRules, PrefixRule
from chappe.text import TON_NPI, sender_kind

INTERNATIONAL: Final = (1, 1)
NATIONAL: Final = (2, 1)
ALPHANUMERIC_TON: Final = 5


class Address(NamedTuple):
    """An address on the wire."""

    ton: int
    npi: int
    digits: str


def rewrite(digits: str, rules: tuple[PrefixRule, ...]) -> str:
    """The digits after the first rule whose prefix fits."""
    for rule in rules:
        if digits.startswith(rule.prefix):
            return rule.replace + digits[len(rule.prefix) :]
    return digits


def write_number(digits: str, rules: AddressRules) -> Address:
    """E.164 digits as the supplier wants them. A rule that takes the country code away makes a national number."""
    written = rewrite(digits, rules.prefixes) if rules.prefixes else digits
    national = written != digits and not written.startswith("00") and not written.endswith(digits)
    ton, npi = NATIONAL if national else INTERNATIONAL
    if rules.plus and not national and not written.startswith("00"):
        written = "+" + written
    return Address(ton if rules.ton is None else rules.ton, npi if rules.npi is None else rules.npi, written)


def write_sender(sender: str, rules: AddressRules) -> Address:
    """A sender as the supplier wants it. The connector's ton and npi are of numbers: a name stays a name."""
    kind = sender_kind(sender)
    if kind == "numeric":
        return write_number(sender.removeprefix("+"), rules)
    ton, npi = TON_NPI[kind]
    if kind == "short_code":
        sender = rewrite(sender, rules.prefixes)
        ton, npi = ton if rules.ton is None else rules.ton, npi if rules.npi is None else rules.npi
    return Address(ton, npi, sender)


def read_address(address: str, ton: int, rules: tuple[PrefixRule, ...]) -> str:
    """E.164 digits, or a short code, from what a supplier wrote; a name as it came."""
    digits = address.strip().removeprefix("+")
    if ton == ALPHANUMERIC_TON or not (digits.isascii() and digits.isdigit()):
        return address
    return rewrite(digits.removeprefix("00"), rules)
