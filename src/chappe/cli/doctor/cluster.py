"""The nodes on a shared database: who serves, and who has which binds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from chappe import connectors
from chappe.cli.doctor.finding import Finding, ok, warn
from chappe.cli.doctor.running import link
from chappe.nodes import NodeInfo, listing
from chappe.runtime import Runtime
from chappe.settings import ROLES

_LAG_MS: Final = 500


async def look(rt: Runtime) -> AsyncIterator[Finding]:
    """Nothing where no node serves."""
    nodes = [node for node in await listing(rt.store) if node.roles]
    for node in nodes:
        yield _node(node)
    if not nodes:
        return
    for role in ROLES:
        if not any(role in node.roles and not node.late for node in nodes):
            yield warn("roles", f"no node has the role {role}", f"chappe serve --roles {role}")
    leases = connectors.Leases(rt)
    await leases.look()
    for connector in connectors.book(rt):
        if connector.active:
            status = leases.status(connector)
            names = sorted({str(bind["node"]) for bind in status.binds if bind["node"]})
            binds = f"{status.binds_up} of {status.binds_wanted} binds"
            yield link(connector.name, status.state, f"{binds} on {', '.join(names)}" if names else binds)


def _node(node: NodeInfo) -> Finding:
    subject, words = f"node {node.name}", f"{', '.join(node.roles)}, version {node.version}"
    if node.late:
        return warn(subject, f"{words}; its lease is over", "It has died, or does not reach the database.")
    lag = float(node.stats.get("loop_lag_ms", 0))
    if lag >= _LAG_MS:
        return warn(subject, f"{words}; it stood still for {lag:.0f} ms", "Give it more CPU, or add a node.")
    return ok(subject, words)
