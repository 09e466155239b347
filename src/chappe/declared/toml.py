"""Writes plain values as TOML: tables and arrays of tables with headers, secret references inline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_BARE = re.compile(r"^[A-Za-z0-9_-]+$")


def dumps(tree: dict[str, Any]) -> str:
    """The text; `None` and empty tables are left out, since TOML has no null."""
    lines = list(_table(tree, ()))
    return "\n".join(lines).strip("\n") + "\n" if lines else ""


def _table(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    below = []
    for name, value in table.items():
        if _is_table(value) or _is_tables(value):
            below.append((name, value))
        elif value is not None and value != {}:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in below:
        inner = (*path, name)
        header = ".".join(map(_key, inner))
        if isinstance(value, dict):
            yield from ("", f"[{header}]")
            yield from _table(value, inner)
        else:
            for element in value:
                yield from ("", f"[[{header}]]")
                yield from _table(element, inner)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and not value.keys() <= {"env", "file"}


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(element, dict) for element in value)


def _key(name: str) -> str:
    return name if _BARE.match(name) else _string(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(inner)}" for name, inner in value.items()) + " }"
    return "[" + ", ".join(_value(inner) for inner in value) + "]"


def _string(text: str) -> str:
    # JSON escapes what TOML wants escaped, but for DEL
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
