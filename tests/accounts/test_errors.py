from __future__ import annotations

from typing import Literal

import msgspec
import pytest
from msgspec import Struct

from chappe.errors import DELIVERY, ERRORS, Refused
from chappe.flaws import flaw, refusal

STATUSES = {*range(400, 406), 409, 413, 415, 422, 429, 500, 503}


def test_every_entry_tells_a_human_what_happened_and_what_to_do() -> None:
    for entry in [*ERRORS.values(), *DELIVERY.values()]:
        assert entry.message.endswith(".") and entry.action.endswith("."), entry.code
        assert entry.code == entry.code.lower() and " " not in entry.code
    assert {entry.status for entry in ERRORS.values()} <= STATUSES


def test_a_refusal_speaks_for_its_code_unless_told_otherwise() -> None:
    error = Refused("no_route")
    assert (error.status, error.type, error.message) == (422, "policy", ERRORS["no_route"].message)
    error = Refused("not_found", "There is no such key.", param="key_id")
    assert str(error) == "key_id: There is no such key." and error.status == 404


def test_a_code_that_is_not_in_the_catalogue_is_our_bug() -> None:
    with pytest.raises(KeyError):
        Refused("made_up")


class Inner(Struct, forbid_unknown_fields=True):
    port: int
    kinds: tuple[Literal["a", "b"], ...] = ()
    by_name: dict[str, Literal["x", "y"]] = {}


class Outer(Struct, forbid_unknown_fields=True):
    name: str
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("plain", "path", "code", "told"),
    [
        ({}, ("name",), "missing_field", "name is missing"),
        ({"name": 1}, ("name",), "invalid_type", "Expected str, got int"),
        ({"name": "", "nmae": 1}, ("nmae",), "unknown_field", "Did you mean name?"),
        ({"name": "", "inner": {"prt": 1}}, ("inner", "prt"), "unknown_field", "Did you mean port?"),
        ({"name": "", "inner": {"zzz": 1}}, ("inner", "zzz"), "unknown_field", "port, kinds, by_name"),
        ({"name": "", "inner": {"port": "1"}}, ("inner", "port"), "invalid_type", "Expected int, got str"),
        ({"name": "", "inner": {"port": 1, "kinds": ["a", "c"]}}, ("inner", "kinds", 1), "invalid_value", "a, b"),
        ({"name": "", "inner": {"port": 1, "by_name": {"k": "z"}}}, ("inner", "by_name", "*"), "invalid_value", "x, y"),
        ({"name": "", "inner": 5}, ("inner",), "invalid_type", "Expected object"),
    ],
)
def test_a_flaw_has_a_path_a_code_and_a_hint(
    plain: dict[str, object], path: tuple[str | int, ...], code: str, told: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(plain, Outer)
    found = flaw(caught.value, Outer)
    assert (found.path, found.code) == (path, code)
    assert told in f"{found.message} {found.action}"


def test_a_refusal_spells_the_path() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"name": "", "inner": {"port": 1, "kinds": ["a", "c"]}}, Outer)
    assert refusal(caught.value, Outer).param == "inner.kinds[1]"
