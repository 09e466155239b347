"""Privacy: what is held of a person is shown to who may see it, and erased; who looked is written down.

`holdings` is the list of what we hold, kind by kind; `elsewhere` says of what else looks like personal data why it is
not in it. `export` and `erase` go over the list.
"""

from __future__ import annotations

from chappe.privacy.access import counted, entries, looked
from chappe.privacy.erasing import check_reason, erase, erasure, erasures
from chappe.privacy.exporting import count, export
from chappe.privacy.model import ACTIONS, Access, Action, Erasure, Status, alias, hex_of
from chappe.privacy.persons import named, person_hash
from chappe.privacy.room import ROOM, flush, open_log, saw, start

__all__ = [
    "ACTIONS",
    "ROOM",
    "Access",
    "Action",
    "Erasure",
    "Status",
    "alias",
    "check_reason",
    "count",
    "counted",
    "entries",
    "erase",
    "erasure",
    "erasures",
    "export",
    "flush",
    "hex_of",
    "looked",
    "named",
    "open_log",
    "person_hash",
    "saw",
    "start",
]
