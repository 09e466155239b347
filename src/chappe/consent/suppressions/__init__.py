"""Suppressions beside what persons say themselves: added, listed, lifted, imported as lists, ended in time."""

from __future__ import annotations

from chappe.consent.suppressions.adding import Whose, add
from chappe.consent.suppressions.exporting import export_csv
from chappe.consent.suppressions.jobs import start_suppressions
from chappe.consent.suppressions.lifting import found_suppression, lift, search
from chappe.consent.suppressions.model import (
    COVERED,
    MOST_AT_ONCE,
    MOST_ROWS,
    Added,
    Gone,
    Imported,
    SuppressionList,
    Wanted,
    check_scope,
)
from chappe.consent.suppressions.named import (
    create_list,
    delete_list,
    found_list,
    import_rows,
    list_named,
    lists,
    of_list,
    size,
)
from chappe.consent.suppressions.reading import COLUMNS, NAMES, Defaults, Rows, expiry

__all__ = [
    "COLUMNS",
    "COVERED",
    "MOST_AT_ONCE",
    "MOST_ROWS",
    "NAMES",
    "Added",
    "Defaults",
    "Gone",
    "Imported",
    "Rows",
    "SuppressionList",
    "Wanted",
    "Whose",
    "add",
    "check_scope",
    "create_list",
    "delete_list",
    "expiry",
    "export_csv",
    "found_list",
    "found_suppression",
    "import_rows",
    "lift",
    "list_named",
    "lists",
    "of_list",
    "search",
    "size",
    "start_suppressions",
]
