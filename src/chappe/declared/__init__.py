"""Configuration as code: accounts, keys, SMPP logins, senders, connectors, routes and lookup sources in one TOML
file.

`make_plan` reads a file whole, checks it against what is stored and tells the steps; `apply_plan` takes them in one
unit; `export` writes the file of what is there. A further kind of thing is a `Section` in a file of its own and a line
in `SECTIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.declared.document import Invalid, Problem
from chappe.declared.export import export
from chappe.declared.lookups import LookupSources
from chappe.declared.people import Accounts, Keys, Logins
from chappe.declared.plan import Plan, Step, apply_plan, make_plan
from chappe.declared.routes import AccountGroups, Routes
from chappe.declared.secrets import SecretRef, Secrets
from chappe.declared.section import Item, Key, Section, World
from chappe.declared.senders import ProtectedSenders, SenderDefaults, SenderPools
from chappe.declared.supply import Connectors, Senders
from chappe.declared.throttles import Throttles
from chappe.declared.webhooks import Webhooks

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SECTIONS: tuple[Section, ...] = (
    Accounts(),
    Connectors(),
    Keys(),
    Logins(),
    Senders(),
    SenderPools(),
    SenderDefaults(),
    ProtectedSenders(),
    Webhooks(),
    AccountGroups(),
    Routes(),
    Throttles(),
    LookupSources(),
)
"""In the order in which they can refer to each other."""


async def start(rt: Runtime) -> None:
    """Load the configuration of every section."""
    for section in SECTIONS:
        await section.start(rt)


__all__ = [
    "SECTIONS",
    "Invalid",
    "Item",
    "Key",
    "Plan",
    "Problem",
    "SecretRef",
    "Secrets",
    "Section",
    "Step",
    "World",
    "apply_plan",
    "export",
    "make_plan",
    "start",
]
