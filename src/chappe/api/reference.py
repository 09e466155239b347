"""The reference pages of the API, from what the server itself uses. `python -m chappe.api.reference docs/reference`"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from chappe.api.app import RESOURCES
from chappe.api.openapi import INTRODUCTION, all_operations, codes, document
from chappe.api.operations import Operation
from chappe.errors import DELIVERY, ERRORS

_MADE = "<!-- Made by `python -m chappe.api.reference docs/reference`; change the source, not this page. -->"
_BASIC = frozenset(
    code
    for operation in all_operations(RESOURCES)
    if operation.name == "keys_create"
    for code in codes(operation)
    if code not in operation.errors
)


def errors_page() -> str:
    """Every code with what it means and what to do."""
    lines = [
        "# Errors",
        "",
        _MADE,
        "",
        "A refused request gets the HTTP status and the code below, in the shape that [the API](api.md) describes. The",
        "same codes are at `/v1/errors`. Codes are added, never renamed.",
    ]
    for group, entries in groupby(ERRORS.values(), key=lambda entry: entry.group):
        rows = [(f"`{e.code}`", str(e.status), f"`{e.type}`", e.message, e.action) for e in entries]
        lines += ["", f"## Requests: {group}", "", *_table(("Code", "Status", "Type", "Meaning", "What to do"), rows)]
    lines += [
        "",
        "## Deliveries",
        "",
        "Why an accepted message was not delivered: `error.code` of a message and of its events. Where `permanent` is",
        "yes, the same attempt can never succeed.",
        "",
        *_table(
            ("Code", "Group", "Permanent", "Meaning", "What to do"),
            [(f"`{e.code}`", e.group, "yes" if e.permanent else "no", e.message, e.action) for e in DELIVERY.values()],
        ),
    ]
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """Every operation with its scope, parameters, fields, example and errors."""
    shown = document(RESOURCES)
    about = {resource.tag: resource.description for resource in RESOURCES}
    lines = [
        "# HTTP API",
        "",
        _MADE,
        "",
        INTRODUCTION.strip(),
        "",
        "A running installation shows the same at `/docs`, and as an OpenAPI 3.1 document at `/v1/openapi.json`.",
        "",
        "Every operation with a scope may also answer " + _names(sorted(_BASIC)) + "; what they mean is in",
        "[Errors](errors.md).",
    ]
    operations = sorted(all_operations(RESOURCES), key=lambda operation: [*about, "System"].index(operation.tag))
    for tag, group in groupby(operations, key=lambda operation: operation.tag):
        lines += ["", f"## {tag}", "", about.get(tag, "For whoever runs the process.")]
        for operation in group:
            lines += ["", *_operation(operation, shown)]
    return "\n".join(lines) + "\n"


def _operation(operation: Operation, shown: dict[str, Any]) -> list[str]:
    entry = shown["paths"][operation.template][operation.method.lower()]
    lines = [f"### {operation.method} {operation.template}", "", entry["summary"] + ".", ""]
    if operation.description:
        lines += [operation.description, ""]
    answer = entry["responses"][str(operation.status)].get("content", {}).get("application/json")
    what = f"{operation.status} with {_type(answer['schema'])}" if answer else str(operation.status)
    lines.append(f"Scope: {f'`{operation.scope}`' if operation.scope else 'none, no key is needed'}. Answers {what}.")
    query = [parameter for parameter in entry["parameters"] if parameter["in"] == "query"]
    if query:
        rows = [(f"`{p['name']}`", _type(p["schema"]), p["description"]) for p in query]
        lines += ["", *_table(("Parameter", "Type", "Meaning"), rows)]
    if operation.body is not None:
        media = entry["requestBody"]["content"]["application/json"]
        lines += ["", *_fields(media["schema"], shown)]
        if operation.example is not None:
            pretty = msgspec.json.format(msgspec.json.encode(operation.example), indent=2).decode()
            lines += ["", "```json", pretty, "```"]
    special = [code for code in operation.errors if code not in _BASIC]
    if special:
        lines += ["", f"Also answers {_names(special)}."]
    return lines


def _fields(schema: dict[str, Any], shown: dict[str, Any]) -> list[str]:
    """A table of the fields of a body; of each alternative if there are several."""
    if "oneOf" in schema:
        lines: list[str] = []
        for index, one in enumerate(schema["oneOf"]):
            lines += ([""] if index else []) + [f"{_type(one)}:", "", *_fields(one, shown)]
        return lines
    shape = shown["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    required = shape.get("required", ())
    rows = [
        (f"`{name}`" + (" (required)" if name in required else ""), _type(field), _meaning(field))
        for name, field in shape["properties"].items()
    ]
    return _table(("Field", "Type", "Meaning"), rows)


def _meaning(field: dict[str, Any]) -> str:
    text = field.get("description") or next(
        (choice["description"] for choice in field.get("anyOf", ()) if "description" in choice), ""
    )
    default = field.get("default")
    if default not in (None, [], {}, "") and not isinstance(default, dict):
        text = f"{text} Default: `{msgspec.json.encode(default).decode()}`.".strip()
    return str(text)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(choice) for choice in schema[several]))
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return f"list of {_type(items)}" if items else "list"
    return str(schema.get("type", "any"))


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "errors.md").write_text(errors_page(), "utf-8")
    (folder / "api.md").write_text(api_page(), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
