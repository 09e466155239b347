"""The app: the hot addresses and plain pages in front, every other resource behind them in Litestar."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from chappe import ids
from chappe.api import (
    account,
    account_groups,
    account_terms,
    alarms,
    balance,
    catalogue,
    connectors,
    consents,
    content,
    content_policy,
    content_reviews,
    credit_notes,
    docs,
    events,
    fx_rates,
    idempotency,
    inbound,
    invoices,
    keys,
    keywords,
    ledger_entries,
    lint,
    lookup_sources,
    lookups,
    margins,
    messages,
    operator,
    opt_outs,
    overview,
    people,
    preview,
    price_lists,
    protected_senders,
    route_drafts,
    route_quality,
    route_simulations,
    routes,
    rules,
    sender_pools,
    sender_registrations,
    senders,
    smpp_logins,
    suppression_lists,
    templates,
    ten_dlc,
    throttles,
    top_ups,
    usage,
    webhook_endpoints,
)
from chappe.api.access import Caller, Gate
from chappe.api.answers import Answer, Receive, Send, error_answer, refused_for, send_answer
from chappe.api.express import Door, Reply
from chappe.api.health import Readiness
from chappe.api.house import Check, House
from chappe.api.metrics import Metrics
from chappe.api.openapi import document
from chappe.api.operations import Operation, Resource, serve
from chappe.api.sending import Gone, Sending
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.messages import Pipeline
    from chappe.runtime import Runtime
    from chappe.webhooks import Webhooks

Scope = MutableMapping[str, Any]
Handler = Callable[[Scope, Receive, str], Awaitable[Answer]]

RESOURCES: tuple[Resource, ...] = (
    messages.resource,
    route_quality.conversions,
    inbound.resource,
    preview.resource,
    templates.resource,
    lint.resource,
    consents.resource,
    content.resource,
    content.allowed,
    content_policy.resource,
    content_reviews.resource,
    webhook_endpoints.resource,
    lookups.resource,
    events.resource,
    senders.resource,
    sender_pools.resource,
    sender_pools.defaults,
    sender_registrations.resource,
    ten_dlc.resource,
    rules.resource,
    rules.adjusting,
    keywords.resource,
    keywords.answering,
    opt_outs.resource,
    suppression_lists.resource,
    smpp_logins.resource,
    balance.resource,
    ledger_entries.resource,
    usage.resource,
    keys.resource,
    account.resource,
    people.resource,
    people.log,
    invoices.resource,
    credit_notes.resource,
    price_lists.own,
    account.operator,
    connectors.resource,
    routes.resource,
    route_drafts.resource,
    route_drafts.history,
    account_groups.resource,
    route_simulations.resource,
    route_quality.resource,
    route_quality.truth,
    route_quality.canaries,
    throttles.resource,
    sender_registrations.staff,
    ten_dlc.staff,
    templates.staff,
    content_policy.staff,
    content_reviews.staff,
    protected_senders.resource,
    lookup_sources.resource,
    price_lists.resource,
    price_lists.cards,
    account_terms.resource,
    fx_rates.resource,
    invoices.staff,
    top_ups.resource,
    margins.resource,
    operator.resource,
    overview.resource,
    catalogue.resource,
)
_CODE_OF = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 415: "unsupported_media_type"}
_REQUEST_ID = "chappe_request_id"
_ROUTE = "chappe_route"


def start(rt: Runtime) -> None:
    """Register the door's own chores; before `rt.jobs.start`."""
    rt.jobs.every("api.forget_idempotency_keys", idempotency.SWEEP_S, idempotency.forget)
    rt.jobs.every("api.alarms", alarms.EVERY_S, alarms.Watchman(rt).look)


def create_app(
    rt: Runtime,
    pipeline: Pipeline,
    webhooks: Webhooks,
    *,
    checks: Mapping[str, Check] | None = None,
    handlers: Sequence[Any] = (),
    probes_only: bool = False,
) -> App:
    """The ASGI app of the API. `checks` give reasons not to be ready; `handlers` are Litestar's, of other doors.

    `probes_only`: this process is no door, it only tells how it is.
    """
    house = House(rt, pipeline, webhooks, Gate(rt, rt.clock.monotonic), checks or {})
    return App(house, handlers, () if probes_only else RESOURCES)


class App:
    def __init__(self, house: House, handlers: Sequence[Any], resources: tuple[Resource, ...]) -> None:
        self._house = house
        sending, readiness = Sending(house), Readiness(house)
        self.metrics = Metrics(house)
        self._hot: dict[str, Handler] = {}
        self._pages: dict[str, Callable[[Scope], Awaitable[Answer]]] = {
            "/healthz": lambda _scope: readiness.alive(),
            "/readyz": lambda _scope: readiness.ready(),
            "/metrics": self._show_metrics,
        }
        if resources:
            self._hot |= {"/v1/messages": sending.one, "/v1/messages/batch": sending.batch}
            pages = docs.pages(house, document(resources))
            self._pages |= {path: partial(docs.page, page) for path, page in pages.items()}
        routes = [self._route(operation) for resource in resources for operation in resource.operations]
        routes += [self._behind_hot(path, handler) for path, handler in self._hot.items()]
        self.door: Door | None = None
        if resources:
            self.door = Door(sending.known, partial(self._take, sending), self.metrics.count, house.rt.ids.next)
        self._litestar = Litestar(
            route_handlers=[*routes, *handlers],
            openapi_config=None,
            logging_config=None,
            exception_handlers={HTTPException: self._http_error, Exception: self._unexpected},
            request_max_body_size=house.rt.settings.limits.body_bytes,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._litestar(scope, receive, send)  # type: ignore[arg-type]
            return
        start = perf_counter()
        request_id = ids.public("req", self._house.rt.ids.next())
        method, path = scope["method"], scope["path"]
        if method == "POST" and (handler := self._hot.get(path)) is not None:
            status = await self._answer(handler, scope, receive, send, request_id)
            self.metrics.count(path, status, perf_counter() - start)
        elif (page := self._pages.get(path)) is not None:
            await self._answer(_only_reading(page), scope, receive, send, request_id)
        else:
            await self._behind(scope, receive, send, request_id, start)

    async def _answer(self, handler: Handler, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        try:
            out = await handler(scope, receive, request_id)
        except Gone:
            return 499  # the caller hung up; nobody reads an answer
        except Exception as error:
            out = self._error(error, request_id, scope)
        await send_answer(send, out, request_id)
        return out.status

    def _take(self, sending: Sending, caller: Caller, body: bytes, request_id: str, reply: Reply) -> None:
        def done(result: Answer | BaseException) -> None:
            if isinstance(result, Exception):
                result = self._error(result, request_id, {"method": "POST", "path": "/v1/messages"})
            assert not isinstance(result, BaseException)
            reply(result)

        sending.one_now(caller, body, done)

    async def _behind(self, scope: Scope, receive: Receive, send: Send, request_id: str, start: float) -> None:
        scope[_REQUEST_ID] = request_id
        status = 500

        async def named(event: Any) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
                event["headers"] = [*event["headers"], (b"x-request-id", request_id.encode())]
            await send(event)

        await self._litestar(scope, receive, named)  # type: ignore[arg-type]
        self.metrics.count(scope.get(_ROUTE, "other"), status, perf_counter() - start)

    # -- Litestar --------------------------------------------------------------------------------------------------

    def _route(self, operation: Operation) -> HTTPRouteHandler:
        route = f"{operation.method} {operation.template}"

        async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
            scope: Any = request.scope
            scope[_ROUTE] = route
            try:
                out = await serve(self._house, operation, request, scope[_REQUEST_ID])
            except HTTPException:
                raise
            except Exception as error:
                out = self._error(error, scope[_REQUEST_ID], scope)
            return _response(out)

        methods: Any = ["GET", "HEAD"] if operation.method == "GET" else [operation.method]
        path = operation.template.replace("}", ":str}")
        return HTTPRouteHandler(path, http_method=methods, status_code=200, name=operation.name)(handle)

    def _behind_hot(self, path: str, handler: Handler) -> HTTPRouteHandler:
        """The same address for whoever writes it otherwise, and for its 405."""

        async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
            scope: Any = request.scope
            scope[_ROUTE] = path
            try:
                return _response(await handler(scope, request.receive, scope[_REQUEST_ID]))
            except Exception as error:
                return _response(self._error(error, scope[_REQUEST_ID], scope))

        return HTTPRouteHandler(path, http_method=["POST"], status_code=200)(handle)

    def _http_error(self, request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        scope: Any = request.scope
        code = _CODE_OF.get(error.status_code)
        if code is None and error.status_code < 500:
            code = "invalid_value"
        refused = Refused(code or "internal", "There is no such address." if code == "not_found" else None)
        out = error_answer(refused, scope[_REQUEST_ID])
        allow = [(b"allow", value.encode()) for name, value in (error.headers or {}).items() if name.lower() == "allow"]
        return _response(out._replace(headers=(*out.headers, *allow)))

    def _unexpected(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        scope: Any = request.scope
        return _response(self._error(error, scope[_REQUEST_ID], scope))

    def _error(self, error: Exception, request_id: str, scope: Mapping[str, Any]) -> Answer:
        refused = refused_for(error)
        if refused is None:
            self._house.rt.log.error(
                "request failed", request_id=request_id, method=scope["method"], path=scope["path"], exc_info=error
            )
            refused = Refused("internal")
        return error_answer(refused, request_id)

    # -- metrics ---------------------------------------------------------------------------------------------------

    async def _show_metrics(self, scope: Scope) -> Answer:
        """To a scraper on this machine, or to a key of the operator; numbers and names of suppliers are no news."""
        named = {name for name, _ in scope["headers"]}
        client = scope.get("client")
        local = client is not None and client[0] in ("127.0.0.1", "::1")
        if not local or named & {b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"}:
            authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            (await self._house.gate.caller(authorization)).need("connectors")
        return await self.metrics.page()


def _only_reading(page: Callable[[Scope], Awaitable[Answer]]) -> Handler:
    async def handle(scope: Scope, receive: Receive, request_id: str) -> Answer:
        if scope["method"] not in ("GET", "HEAD"):
            refused = error_answer(Refused("method_not_allowed"), request_id)
            return refused._replace(headers=(*refused.headers, (b"allow", b"GET, HEAD")))
        return await page(scope)

    return handle


def _response(out: Answer) -> Response[Any]:
    headers = {name.decode(): value.decode() for name, value in out.headers}
    media_type = headers.pop("content-type", None)
    if out.chunks is not None:
        return Stream(out.chunks, status_code=out.status, headers=headers, media_type=media_type)
    return Response(content=out.body, status_code=out.status, headers=headers, media_type=media_type)
