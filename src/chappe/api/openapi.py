"""The OpenAPI 3.1 document, made from the operations and their types."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, get_args

import msgspec

from chappe.api import health, sending
from chappe.api.answers import Error
from chappe.api.operations import WHOSE, WORDS, Operation, Resource
from chappe.errors import ERRORS

_REF = "#/components/schemas/{name}"
_ID = "[0-9a-hjkmnp-tv-z]{13}"

INTRODUCTION = """\
JSON over HTTP. Fields are in `snake_case`, numbers in E.164 with `+`, times in RFC 3339.

**Keys.** `Authorization: Bearer ck_live_...`; a `ck_test_...` key never reaches a real supplier. Each key has scopes;
each operation below names the one it needs. An operator's key with the scope `accounts` acts for another account with
the parameter `account_id`.

**Idempotency.** Every POST takes an `Idempotency-Key` (1 to 255 printable ASCII characters), kept for 24 hours. The
same request again gets the same answer with `Idempotent-Replay: true`; another body gets 422 `idempotency_key_reused`;
while the first still runs, 409 `idempotency_in_progress` with `Retry-After`.

**Lists** take `limit` and `cursor` and answer `{"data": [], "next_cursor", "has_more"}`, newest first.

**Errors** all have the shape `{"error": {"type", "code", "message", "param", "action", "docs_url", "request_id",
"details"}}`. The codes are at `/v1/errors`. 429 and 503 carry `Retry-After`. Unknown fields are errors, so that a
misspelt one is not lost in silence.

**Every answer** carries `X-Request-Id`: tell it to your operator when something went wrong.
"""

SYSTEM = (
    Operation(
        method="GET",
        path="/healthz",
        name="system_alive",
        handler=None,
        tag="System",
        scope=None,
        status=200,
        summary="Tell whether the process answers",
        description="",
        body=None,
        query=None,
        returns=health.Alive,
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="system_ready",
        handler=None,
        tag="System",
        scope=None,
        status=200,
        summary="Tell whether this node can take messages",
        description="503 with the reasons when it cannot.",
        body=None,
        query=None,
        returns=health.Ready,
    ),
    Operation(
        method="GET",
        path="/metrics",
        name="system_metrics",
        handler=None,
        tag="System",
        scope=None,
        status=200,
        summary="Show metrics for Prometheus",
        description="Without a key to a scraper on the same machine; else with a key of the scope `connectors`.",
        body=None,
        query=None,
        returns=str,
    ),
)


def all_operations(resources: Sequence[Resource]) -> list[Operation]:
    return [*sending.OPERATIONS, *(operation for resource in resources for operation in resource.operations), *SYSTEM]


@cache
def document(resources: tuple[Resource, ...]) -> dict[str, Any]:
    """The whole document as plain values; made once."""
    operations = all_operations(resources)
    schemas = _Schemas(operations)
    paths: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for operation in operations:
        paths[operation.template][operation.method.lower()] = _operation(operation, schemas)
    tags = {resource.tag: resource.description for resource in resources} | {"System": "For whoever runs the process."}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chappe",
            "version": version("chappe"),
            "summary": "Messages to phones and back.",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This installation."}],
        "tags": [{"name": name, "description": text} for name, text in tags.items()],
        "security": [{"key": []}],
        "paths": dict(paths),
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "`ck_live_` or `ck_test_`"}},
        },
    }


class _Schemas:
    """The schemas of all types, under names that read well."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        kinds: dict[Any, None] = {Error: None, sending.BatchRefused: None}
        for operation in operations:
            for kind in (*alternatives(operation.body), *alternatives(operation.returns)):
                kinds[kind] = None
        queries = {operation.query: None for operation in operations if operation.query is not None}
        refs, components = msgspec.json.schema_components([*kinds, *queries], ref_template=_REF)
        found = dict(zip([*kinds, *queries], refs, strict=True))
        hidden = {_name_of(found[query]): query for query in queries}
        names = {name: _readable(name) for name in components if name not in hidden}
        assert len(set(names.values())) == len(names), "two types have one name in the document"
        self.components = {names[name]: _renamed(components[name], names) for name in names}
        self._refs = {kind: _renamed(found[kind], names) for kind in kinds}
        self.queries = {query: _renamed(components[name], names) for name, query in hidden.items()}

    def of(self, kind: Any) -> Any:
        several = [self._refs[one] for one in alternatives(kind)]
        return several[0] if len(several) == 1 else {"oneOf": several}


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The members of a union, the type itself if it is none; nothing for None."""
    if kind is None or kind is type(None):
        return ()
    return get_args(kind) if str(type(kind)) in ("<class 'types.UnionType'>", "<class 'typing.Union'>") else (kind,)


def _name_of(ref: dict[str, Any]) -> str:
    return str(ref["$ref"]).rpartition("/")[2]


def _readable(name: str) -> str:
    """`Listed_MessageOut_` is a `MessageList`, `MessageOut` a `Message`."""
    listed = re.fullmatch(r"Listed_(\w+)_", name)
    if listed:
        return _readable(listed[1]) + "List"
    return name.removesuffix("Out")


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            return {**value, "$ref": _REF.format(name=names[_name_of(value)])}
        return {key: _renamed(item, names) for key, item in value.items() if not (key == "title" and "type" in value)}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


# -- one operation -------------------------------------------------------------------------------------------------


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    scope = f"Needs the scope `{operation.scope}`." if operation.scope else ""
    made: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": "\n\n".join(filter(None, (operation.description, scope))) or operation.summary + ".",
        "parameters": _parameters(operation, schemas),
        "responses": _responses(operation, schemas),
    }
    if operation.scope is None:
        made["security"] = []
    if operation.body is not None:
        media: dict[str, Any] = {"schema": schemas.of(operation.body)}
        if operation.example is not None:
            media["examples"] = {"usual": {"value": operation.example}}
        others = {kind: {"schema": {"type": "string"}} for kind in operation.reads}
        made["requestBody"] = {"required": operation.body_required, "content": {"application/json": media, **others}}
    return made


def _parameters(operation: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for name, kind in operation.parameters:
        schema: dict[str, Any] = {"type": "string"}
        if kind in WORDS:
            schema["pattern"] = WORDS[kind]
        else:
            schema |= {"pattern": f"^{kind}_{_ID}$", "examples": [f"{kind}_006h3r8k2w0g4"]}
        made.append({"name": name, "in": "path", "required": True, "description": "Of the object.", "schema": schema})
    if operation.query is not None:
        shape = schemas.queries[operation.query]
        for name, schema in shape["properties"].items():
            described = dict(schema)
            text = described.pop("description", None) or _nested_description(described) or "Only those with this value."
            parameter = {"name": name, "in": "query", "required": False, "description": text, "schema": described}
            made.append(parameter)
    if operation.tenant:
        text = "The account to act for, instead of the key's own. Needs the scope `accounts`."
        schema = {"type": "string", "pattern": f"^acc_{_ID}$"}
        made.append({"name": WHOSE, "in": "query", "required": False, "description": text, "schema": schema})
    if operation.method == "POST" and operation.scope is not None:
        text = "The same key with the same request is done once only; kept for 24 hours."
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
        made.append(
            {"name": "Idempotency-Key", "in": "header", "required": False, "description": text, "schema": schema}
        )
    return made


def _nested_description(schema: dict[str, Any]) -> str | None:
    for choice in schema.get("anyOf", ()):
        if "description" in choice:
            return str(choice.pop("description"))
    return None


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {str(operation.status): _success(operation, schemas)}
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes(operation)):
        by_status[ERRORS[code].status].append(code)
    for status, group in sorted(by_status.items()):
        schema: dict[str, Any] = schemas.of(Error)
        if operation.name == "messages_send_batch" and status == 422:
            schema = {"anyOf": [schemas.of(sending.BatchRefused), schema]}
        made[str(status)] = {
            "description": "One of: " + ", ".join(f"`{code}`" for code in group) + ".",
            "headers": _headers("X-Request-Id", *(("Retry-After",) if status in (409, 429, 503) else ())),
            "content": {
                "application/json": {"schema": schema, "examples": {code: {"value": _example(code)} for code in group}}
            },
        }
    if operation.path == "/readyz":
        made["503"] = {
            "description": "It cannot; the answer says why.",
            "headers": _headers("X-Request-Id"),
            "content": {"application/json": {"schema": schemas.of(operation.returns)}},
        }
    return made


def _success(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    names = ("X-Request-Id", "Idempotent-Replay") if operation.method == "POST" else ("X-Request-Id",)
    made: dict[str, Any] = {"description": operation.summary + ": done.", "headers": _headers(*names)}
    if operation.media:
        made["content"] = {kind: {"schema": {"type": "string"}} for kind in operation.media}
    elif operation.returns is str:
        made["content"] = {"text/plain": {"schema": {"type": "string"}}}
    elif alternatives(operation.returns):
        made["content"] = {"application/json": {"schema": schemas.of(operation.returns)}}
        made["content"] |= {kind: {"schema": {"type": "string"}} for kind in operation.also}
    return made


_HEADERS = {
    "X-Request-Id": {"description": "Names this request in logs.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "Idempotent-Replay": {
        "description": "`true` when the answer is that of an earlier request.",
        "schema": {"type": "string"},
    },
}


def _headers(*names: str) -> dict[str, Any]:
    return {name: _HEADERS[name] for name in names}


def codes(operation: Operation) -> list[str]:
    """Every code that an operation can answer with."""
    found: list[str] = []
    if operation.scope is not None:
        found += ["unauthenticated", "key_revoked", "account_suspended", "scope_missing"]
    if operation.body is not None:
        found += ["invalid_json", "unsupported_media_type", "body_too_large"]
        found += ["invalid_type", "missing_field", "unknown_field", "invalid_value"]
    elif operation.query is not None:
        found += ["unknown_field", "invalid_type", "invalid_value"]
    elif operation.tag != "System":
        found += ["unknown_field"]
    if operation.parameters or operation.tenant:
        found.append("not_found")
    if operation.method == "POST":
        found += ["idempotency_key_invalid", "idempotency_key_reused", "idempotency_in_progress"]
    if operation.method in ("PATCH", "DELETE"):
        found.append("conflict")
    found += operation.errors
    if operation.tag not in ("System", "Errors"):
        found += ["internal", "storage_unavailable"]
    return found


def _example(code: str) -> dict[str, Any]:
    entry = ERRORS[code]
    return {
        "error": {
            "type": entry.type,
            "code": code,
            "message": entry.message,
            "param": None,
            "action": entry.action,
            "docs_url": f"/v1/errors/{code}",
            "request_id": "req_006h3r8k2w0g4",
            "details": [],
        }
    }
