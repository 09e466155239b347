"""Operations: what a resource offers, written once and served, checked and documented from the same lines.

A handler says by its parameters what it takes: `body` and `query` are Structs, the others stand in its path as
`{name:kind}` and arrive as the number of a public id of that kind. What it returns is the answer; None is a 204. With
`reads` it takes bodies of other media types, too, made of their bytes; with `media` it answers an `Answer` of these,
with `also` it may, instead of JSON.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from chappe import accounts, ids
from chappe.api import idempotency
from chappe.api.access import Caller
from chappe.api.answers import Answer, answer, check_media_type, check_nul, decode_body
from chappe.api.house import Call, House
from chappe.errors import Refused
from chappe.flaws import refusal

if TYPE_CHECKING:
    from litestar import Request

Handler = Callable[..., Awaitable[Any]]
WHOSE = "account_id"  # the query parameter with which an operator acts for another account
WORDS = {
    "word": "^[a-z0-9_]+$",
    "country": "^[A-Za-z]{2}$",
    "number": r"^\+?[0-9]{1,30}$",
}  # what stands in a path as it is
_PARAMETER = re.compile(r"\{(\w+):(\w+)\}")
NO_CONTENT = Answer(204, b"", ())


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. `scope` None needs no key; `tenant` operations are about one account's objects.

    Without a handler it is served elsewhere (the hot addresses) and only documented from here. `name` is that of the
    operation in generated clients.
    """

    method: str
    path: str
    name: str
    handler: Handler | None
    tag: str
    scope: str | None
    status: int
    summary: str
    description: str
    body: Any
    query: Any
    returns: Any
    example: Mapping[str, Any] | None = None
    errors: tuple[str, ...] = ()
    tenant: bool = False
    decoder: msgspec.json.Decoder[Any] | None = None
    reads: Mapping[str, Callable[[bytes], Any]] = field(default_factory=dict)
    media: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """(name, kind of id) of each parameter in the path."""
        return _PARAMETER.findall(self.path)

    @property
    def body_required(self) -> bool:
        """Whether a request without a body lacks something."""
        kinds = [kind for kind in (getattr(self.body, "__args__", None) or (self.body,)) if kind is not None]
        return any(info.required for kind in kinds for info in msgspec.structs.fields(kind)) or self.method == "PATCH"

    @property
    def template(self) -> str:
        """The path as OpenAPI writes it."""
        return _PARAMETER.sub(r"{\1}", self.path)


class Resource:
    """The operations under one heading of the documentation."""

    def __init__(self, tag: str, description: str, *, scope: str | None, tenant: bool = False) -> None:
        self.tag, self.description = tag, description
        self._scope, self._tenant = scope, tenant
        self.operations: list[Operation] = []

    def get(self, path: str, **more: Any) -> Callable[[Handler], Handler]:
        return self._add("GET", path, 200, **more)

    def post(self, path: str, *, status: int = 200, **more: Any) -> Callable[[Handler], Handler]:
        return self._add("POST", path, status, **more)

    def patch(self, path: str, **more: Any) -> Callable[[Handler], Handler]:
        return self._add("PATCH", path, 200, **more)

    def delete(self, path: str, **more: Any) -> Callable[[Handler], Handler]:
        return self._add("DELETE", path, 204, **more)

    def _add(
        self,
        method: str,
        path: str,
        status: int,
        *,
        scope: str | None = "",
        tenant: bool | None = None,
        example: Mapping[str, Any] | None = None,
        errors: Sequence[str] = (),
        reads: Mapping[str, Callable[[bytes], Any]] | None = None,
        media: Sequence[str] = (),
        also: Sequence[str] = (),
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            hints = get_type_hints(handler, include_extras=True)
            body = hints.get("body")
            summary, _, description = inspect.cleandoc(handler.__doc__ or "").partition("\n")
            operation = Operation(
                method=method,
                path=path,
                name=f"{self.tag.lower().replace(' ', '_')}_{handler.__name__.strip('_')}",
                handler=handler,
                tag=self.tag,
                scope=self._scope if scope == "" else scope,
                status=204 if hints["return"] is type(None) else status,
                summary=summary.rstrip("."),
                description=description.strip(),
                body=body,
                query=hints.get("query"),
                returns=str if media else hints["return"],
                example=example,
                errors=tuple(errors),
                tenant=self._tenant if tenant is None else tenant,
                decoder=None if body is None else msgspec.json.Decoder(body),
                reads=reads or {},
                media=tuple(media),
                also=tuple(also),
            )
            self.operations.append(operation)
            return handler

        return register


# -- serving -------------------------------------------------------------------------------------------------------


async def serve(house: House, operation: Operation, request: Request[Any, Any, Any], request_id: str) -> Answer:
    """One request, from its bytes to its answer. Raises Refused and what the rooms raise."""
    raw = {name: value for name, value in request.scope["headers"] if name in _READ}
    query = read_query(request.scope["query_string"])
    if operation.scope is None:
        return await _run(operation, house, _numbers(operation, request), query, b"")
    caller = await house.gate.caller(raw.get(b"authorization", b""))
    caller.need(operation.scope)
    whose = _whose(house, operation, caller, query)
    call = Call(house, caller, whose, request_id)
    body, reader = b"", None
    if operation.method not in ("GET", "DELETE"):
        body = await request.body()
        content_type = raw.get(b"content-type", b"")
        reader = operation.reads.get(content_type.partition(b";")[0].strip().lower().decode("latin-1"))
        if body and reader is None:
            check_media_type(content_type)
    paths = _numbers(operation, request)
    key = raw.get(b"idempotency-key") if operation.method == "POST" else None
    if key is None:
        return await _run(operation, call, paths, query, body, reader)
    address = operation.method + request.scope["path"]
    if operation.query is not None and request.scope["query_string"]:  # it says what is to be done, too
        address += "?" + request.scope["query_string"].decode("latin-1")
    told = idempotency.Told.of(call, key, address, body)
    return await idempotency.once(house.rt, told, lambda: _run(operation, call, paths, query, body, reader))


_READ = frozenset((b"authorization", b"content-type", b"idempotency-key"))


async def _run(
    operation: Operation,
    about: Call | House,
    paths: dict[str, Any],
    query: dict[str, Any],
    body: bytes,
    reader: Callable[[bytes], Any] | None = None,
) -> Answer:
    arguments: dict[str, Any] = dict(paths)
    if operation.query is not None:
        arguments["query"] = _as_query(query, operation.query)
    elif query:
        name = next(iter(query))
        raise Refused("unknown_field", f"There is no parameter {name}.", param=name)
    if reader is not None:
        arguments["body"] = reader(body)
    elif operation.decoder is not None:
        arguments["body"] = decode_body(operation.decoder, body or (b"" if operation.body_required else b"{}"))
    elif body.strip() not in (b"", b"{}"):
        raise Refused("unknown_field", "This address takes no body.")
    result = await _handled(operation, about, arguments)
    if result is None:
        return NO_CONTENT
    return result if isinstance(result, Answer) else answer(result, operation.status)


_PERHAPS_NEW = frozenset({"not_found", "connector_unknown", "invalid_value", "preview_outdated", "account_not_billed"})


async def _handled(operation: Operation, about: Call | House, arguments: Mapping[str, Any]) -> Any:
    """What is refused since something is not known here is tried again if another node has just made it: through a
    balancer a caller may come to this one a moment later."""
    assert operation.handler is not None
    snapshots = about.rt.snapshots
    seen = snapshots.seen
    try:
        return await operation.handler(about, **arguments)
    except Refused as refused:
        if refused.code not in _PERHAPS_NEW or not about.rt.node.fenced:
            raise
        await snapshots.latest()
        if snapshots.seen == seen:
            raise
    return await operation.handler(about, **arguments)


def _whose(house: House, operation: Operation, caller: Caller, query: dict[str, Any]) -> int:
    """The account that the call is about: the caller's own, or the one an operator names."""
    if not operation.tenant or WHOSE not in query:
        return caller.account.id
    text = query.pop(WHOSE)
    if text == ids.public("acc", caller.account.id):
        return caller.account.id
    caller.need("accounts")
    number = ids.parse("acc", text) if isinstance(text, str) else None
    if number is None or accounts.directory(house.rt).account(number) is None:
        raise Refused("not_found", "There is no such account.", param=WHOSE)
    return number


def _numbers(operation: Operation, request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The ids in the path; raises Refused not_found for what is none. A `word` stays what it is."""
    found: dict[str, Any] = {}
    for name, kind in operation.parameters:
        text = request.path_params[name]
        found[name] = text if kind in WORDS else ids.parse(kind, text)
        if found[name] is None:
            raise Refused("not_found", param=name)
    return found


def read_query(raw: bytes) -> dict[str, Any]:
    """The parameters of a query string; one that comes again becomes a list. Raises Refused."""
    found: dict[str, Any] = {}
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except (ValueError, UnicodeDecodeError):
        raise Refused("invalid_value", "The query string cannot be read.") from None
    for name, value in pairs:
        check_nul(name)
        check_nul(value, name)
        if name in found:
            earlier = found[name]
            found[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            found[name] = value
    return found


def _as_query(found: dict[str, Any], kind: type[Struct]) -> Any:
    for info in msgspec.structs.fields(kind):
        repeated = getattr(info.type, "__origin__", None) is tuple or "tuple" in str(info.type)
        if repeated and isinstance(found.get(info.encode_name), str):
            found[info.encode_name] = [found[info.encode_name]]
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refusal(error, kind) from None
