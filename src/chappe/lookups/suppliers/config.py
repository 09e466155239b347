"""What every source's settings and credentials are made of, and how they are read from plain values."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from chappe.errors import Refused
from chappe.flaws import refusal
from chappe.secrets import HIDDEN

# printable ASCII without quotes of its own: it goes into a header line or a URL
Secret = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]+$")]
BaseUrl = Annotated[str, Meta(max_length=512, pattern=r"^https?://[^\s?#@{}]+$")]
MccMnc = Annotated[str, Meta(pattern=r"^[2-79][0-9]{4,5}$")]  # ITU-T E.212: the MCC, then an MNC of 2 or 3 digits

T = TypeVar("T")


class Credentials(Struct, frozen=True, forbid_unknown_fields=True):
    """Who we are to a supplier; no repr shows it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({HIDDEN})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, HIDDEN) for name in self.__struct_fields__]


def read(plain: Any, kind: type[T], param: str) -> T:
    """A Struct of settings or credentials from plain values, defaults filled in.

    Raises Refused missing_field, unknown_field, invalid_type, invalid_value; its param starts with `param`.
    """
    try:
        return msgspec.convert(plain if isinstance(plain, dict) else msgspec.to_builtins(plain), kind)
    except msgspec.ValidationError as error:
        found = refusal(error, kind)
        place = f"{param}.{found.param}" if found.param else param
        raise Refused(found.code, found.message, param=place, action=found.action) from None
