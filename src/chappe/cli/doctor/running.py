"""The running service, if there is one: is it ready, are its links up, does anything lag."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from chappe.cli.client import Api, ApiError, NotThere
from chappe.cli.doctor.finding import Finding, fail, ok, warn
from chappe.cli.doctor.machine import free
from chappe.settings import Settings
from chappe.smpp import commands
from chappe.smpp.commands import RESPONSE
from chappe.storage import sqlite_path

LATE_S: Final = 60.0  # overdue for longer than this, something is stuck
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_PATIENCE_S: Final = 3.0
_LATE = {
    "chappe_queue_oldest_seconds": ("queue", "messages wait for {connector} ({lane})"),
    "chappe_webhook_lag_seconds": ("webhooks", "deliveries are overdue"),
    "chappe_events_lag_seconds": ("events", "{reaction} lags behind"),
}


async def look(settings: Settings) -> AsyncIterator[Finding]:
    """The service at the ports of the settings; where there is none, whether the ports are free."""
    http, smpp = settings.http, settings.smpp
    url = f"http://{_bracketed(_ANYWHERE.get(http.host, http.host))}:{http.port}"
    alive = http.port != 0 and await _alive(url)
    if not alive:
        yield ok("service", f"none answers at {url}")
        yield free("HTTP port", http.host, http.port)
        yield free("SMPP port", smpp.host, smpp.port)
        if smpp.tls_port is not None:
            yield free("SMPP TLS port", smpp.host, smpp.tls_port)
        return
    yield ok("HTTP port", f"{http.host}:{http.port} is served by Chappe")
    yield await _smpp_port(_ANYWHERE.get(smpp.host, smpp.host), smpp.port)
    async with Api(url, None) as api:
        try:
            yield await _readiness(api)
            # on a shared database the binds of one node say little: see `cluster`
            alone = sqlite_path(settings.database) is not None
            for finding in metrics_findings(await api.text("/metrics"), links=alone):
                yield finding
        except (ApiError, NotThere) as error:
            yield warn("service", str(error), "It was there a moment ago: look at its log.")


async def _alive(url: str) -> bool:
    async with Api(url, None) as api:
        try:
            return bool((await api.get("/healthz")).get("status") == "ok")
        except (ApiError, NotThere, AttributeError):
            return False


async def _readiness(api: Api) -> Finding:
    try:
        told = await api.get("/readyz")
        reasons = told["reasons"]
    except ApiError as error:
        reasons = [str(error)]
    if reasons:
        return fail("service", "it is not ready: " + " ".join(reasons), "Until then it refuses messages.")
    return ok("service", f"ready at {api.url}")


async def _smpp_port(host: str, port: int) -> Finding:
    """An SMPP server answers an enquire_link even before the bind, at the least with generic_nack (SMPP 3.4, 4.3)."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(struct.pack(">4L", 16, commands.ENQUIRE_LINK, 0, 1))
            _, command, _, _ = struct.unpack(">4L", await reader.readexactly(16))
            writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        words = f"{host}:{port} does not speak SMPP: {error or type(error).__name__}"
        return fail("SMPP port", words, "The service runs, so something else has this port: look at its log.")
    if command not in (commands.ENQUIRE_LINK | RESPONSE, commands.GENERIC_NACK):
        return fail("SMPP port", f"{host}:{port} does not speak SMPP", "Another program has this port.")
    return ok("SMPP port", f"{host}:{port} speaks SMPP")


def metrics_findings(page: str, *, links: bool = True) -> Iterator[Finding]:
    """Links and lags from what /metrics tells."""
    families = {family.name: family for family in text_string_to_metric_families(page)}
    binds: dict[str, dict[str, float]] = {"chappe_link_binds_up": {}, "chappe_link_binds_wanted": {}}
    for name, found in binds.items():
        if name in families:
            found.update({sample.labels["connector"]: sample.value for sample in families[name].samples})
    for sample in families["chappe_link_state"].samples if links and "chappe_link_state" in families else ():
        connector, state = sample.labels["connector"], sample.labels["state"]
        if sample.value:
            up, wanted = (int(found.get(connector, 0)) for found in binds.values())
            yield link(connector, state, f"{up} of {wanted} binds")
    for name, (subject, words) in _LATE.items():
        for sample in families[name].samples if name in families else ():
            if sample.value > LATE_S:
                late = words.format(**sample.labels)
                yield warn(subject, f"{late}, the oldest for {sample.value:.0f} s", "Look at the log of the service.")


def link(connector: str, state: str, binds: str) -> Finding:
    """What a link's state means for whoever looks after it."""
    subject = f"link {connector}"
    if state in ("up", "stopped"):
        return ok(subject, state if state == "stopped" else f"up, {binds}")
    if state == "refused":
        return fail(subject, "the operator refuses the bind", "Check system_id, password and your address with it.")
    if state in ("starting", "degraded"):
        return warn(subject, f"{state}, {binds}", "If it stays so, `GET /v1/connectors` says why.")
    return fail(subject, f"{state}, {binds}", "`GET /v1/connectors` says why; messages wait or leave by a fallback.")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
