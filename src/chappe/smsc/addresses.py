"""Addresses between customers and the house (SMPP 3.4, 5.2.5 TON, 5.2.6 NPI)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from chappe import numbers
from chappe.accounts import LoginDialect
from chappe.numbers import NumberError
from chappe.smpp import status
from chappe.smsc.refusals import Unfit
from chappe.text import TON_NPI, sender_kind

_NATIONAL: Final = 2
_ALPHANUMERIC: Final = 5


class Address(NamedTuple):
    """An address on the wire."""

    ton: int
    npi: int
    address: str


def read_destination(ton: int, address: str, dialect: LoginDialect) -> str:
    """The number `+...` that a customer means. Without a TON that says otherwise, digits are international.

    Raises Unfit.
    """
    if ton == _NATIONAL:
        if dialect.country is None:
            raise Unfit(
                status.ESME_RINVDSTTON, "National numbers need a country set for this login: send international ones."
            )
        return _completed(address, dialect.country, status.ESME_RINVDSTADR)
    if ton == _ALPHANUMERIC:
        raise Unfit(status.ESME_RINVDSTTON, "A destination is a telephone number.")
    digits = address.strip()
    if digits[:1] == "+":
        return digits
    return "+" + (digits[2:] if digits[:2] == "00" else digits)


def read_source(ton: int, address: str, dialect: LoginDialect) -> str | None:
    """The sender that a customer means; None for an empty one, which is the account's default. Raises Unfit."""
    sender = address if ton == _ALPHANUMERIC else address.strip()
    if not sender:
        return None
    if ton == _NATIONAL and dialect.country is not None and sender_kind(sender) == "numeric":
        return _completed(sender, dialect.country, status.ESME_RINVSRCADR)
    return sender


def _completed(address: str, country: str, refusal: int) -> str:
    try:
        return numbers.parse(address, country).e164
    except NumberError as error:
        raise Unfit(refusal, error.message) from None


@lru_cache(maxsize=8192)
def write_address(address: str, plus: bool, ton_npi: bool) -> Address:
    """An address in a deliver_sm: a number in E.164 (with or without `+`), a short code or a name.

    The two flags are those of the dialect.
    """
    kind = sender_kind(address)
    if kind == "numeric":
        digits = address.removeprefix("+")
        address = "+" + digits if plus else digits
    ton, npi = TON_NPI[kind] if ton_npi else (0, 0)
    return Address(ton, npi, address)
