"""What msgspec finds wrong with a structure, told with a code of the catalogue, a path, and what to do."""

from __future__ import annotations

import difflib
import re
from typing import Any, NamedTuple

import msgspec

from chappe.errors import Refused

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_FIELD = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`$")
_ENUM = re.compile(r"^Invalid enum value (?P<value>.*)$")

Path = tuple[str | int, ...]


class Flaw(NamedTuple):
    """One thing wrong with a structure: where, the code of the catalogue, and words for a human."""

    path: Path
    code: str
    message: str
    action: str | None


def flaw(error: msgspec.ValidationError, shape: Any = None) -> Flaw:
    """Tell what msgspec found in the words of the catalogue. `shape`, the type it decoded, adds the values allowed."""
    match = _PLACE.match(str(error))
    assert match is not None
    what = match["what"]
    path: Path = tuple(int(index) if index else (name or "*") for name, index in _STEP.findall(match["path"] or ""))
    if field := _FIELD.match(what):
        return _field_flaw(field["what"], field["name"], path, shape)
    if value := _ENUM.match(what):
        allowed = ", ".join(map(str, _literals(_type_at(shape, path))))
        action = f"Use one of: {allowed}." if allowed else None
        return Flaw(path, "invalid_value", f"{value['value']} is not allowed here.", action)
    if what.startswith("Expected") and ", got" in what:
        return Flaw(path, "invalid_type", what.replace("`", "") + ".", None)
    return Flaw(path, "invalid_value", what.replace("`", "") + ".", None)


def refusal(error: msgspec.ValidationError, shape: Any = None) -> Refused:
    """The same as an exception for a door: `param` is written `settings.binds` or `tags[2]`."""
    found = flaw(error, shape)
    return Refused(found.code, found.message, param=spell(found.path) or None, action=found.action)


def spell(path: Path) -> str:
    """`("connectors", 0, "settings", "port")` is `connectors[0].settings.port`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _field_flaw(what: str, name: str, path: Path, shape: Any) -> Flaw:
    if what == "missing required":
        return Flaw((*path, name), "missing_field", f"{name} is missing.", None)
    known = _field_names(_type_at(shape, path))
    close = difflib.get_close_matches(name, known, n=1)
    action = f"Did you mean {close[0]}?" if close else f"The fields are: {', '.join(known)}."
    return Flaw((*path, name), "unknown_field", f"There is no field {name}.", action)


def _type_at(shape: Any, path: Path) -> Any:
    """The type that msgspec expects at a path, None where it cannot be told."""
    try:
        info: Any = msgspec.inspect.type_info(shape) if shape is not None else None
    except TypeError:
        return None
    for step in path:
        info = _within(info, step)
    return info


def _within(info: Any, step: str | int) -> Any:
    inspect = msgspec.inspect
    for choice in info.types if isinstance(info, inspect.UnionType) else [info]:
        if isinstance(choice, inspect.StructType) and isinstance(step, str):
            return next((field.type for field in choice.fields if field.encode_name == step), None)
        if isinstance(choice, inspect.DictType) and isinstance(step, str):
            return choice.value_type
        if isinstance(choice, inspect.VarTupleType | inspect.ListType | inspect.SetType) and isinstance(step, int):
            return choice.item_type
    return None


def _literals(info: Any) -> list[Any]:
    inspect = msgspec.inspect
    choices = info.types if isinstance(info, inspect.UnionType) else [info]
    return [value for choice in choices if isinstance(choice, inspect.LiteralType) for value in choice.values]


def _field_names(info: Any) -> list[str]:
    inspect = msgspec.inspect
    choices = info.types if isinstance(info, inspect.UnionType) else [info]
    return [
        field.encode_name for choice in choices if isinstance(choice, inspect.StructType) for field in choice.fields
    ]
