"""Look-ups: what is known of a number, from one's own data, ENUM and suppliers, asked in turn and remembered.

`start(rt)` gives the `Chain` that looks numbers up; `chain(rt)` finds it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.lookups import on, retention
from chappe.lookups.chain import MOST_AT_ONCE, Chain, Estimate
from chappe.lookups.costs import DayCost, costs_by_day, decimal
from chappe.lookups.imports import import_ranges, remove_ranges, tell_nodes
from chappe.lookups.jobs import (
    MOST_NUMBERS,
    Job,
    cancel_job,
    check_numbers,
    costs_of,
    create_job,
    job_of,
    jobs_of,
    results,
)
from chappe.lookups.kinds import credentials_of
from chappe.lookups.model import Absent, Findings, Told
from chappe.lookups.owndata import operator_name, portability_folder
from chappe.lookups.rangetables import RangeTable
from chappe.lookups.report import FIELDS, Asked, CacheTimes, Evidence, Fault, Field, Report
from chappe.lookups.retention import days_kept
from chappe.lookups.room import chain, invalidate, load, range_tables
from chappe.lookups.sources import KIND_NAMES, Kind, Source
from chappe.lookups.store import RANGES, ROOM, SOURCES
from chappe.lookups.upload import numbers_of_csv
from chappe.lookups.verbs import (
    check_name,
    create_source,
    delete_source,
    found_source,
    new_source,
    update_source,
    with_changes,
)

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def start(rt: Runtime) -> Chain:
    """Read the sources and register the chores, before `rt.jobs.start`; close what it gives at the end."""
    made = await load(rt)
    await made.data.open()
    retention.register(rt)
    on.register(rt, made.cache)
    return made


__all__ = [
    "FIELDS",
    "KIND_NAMES",
    "MOST_AT_ONCE",
    "MOST_NUMBERS",
    "RANGES",
    "ROOM",
    "SOURCES",
    "Absent",
    "Asked",
    "CacheTimes",
    "Chain",
    "DayCost",
    "Estimate",
    "Evidence",
    "Fault",
    "Field",
    "Findings",
    "Job",
    "Kind",
    "RangeTable",
    "Report",
    "Source",
    "Told",
    "cancel_job",
    "chain",
    "check_name",
    "check_numbers",
    "costs_by_day",
    "costs_of",
    "create_job",
    "create_source",
    "credentials_of",
    "days_kept",
    "decimal",
    "delete_source",
    "found_source",
    "import_ranges",
    "invalidate",
    "job_of",
    "jobs_of",
    "load",
    "new_source",
    "numbers_of_csv",
    "operator_name",
    "portability_folder",
    "range_tables",
    "remove_ranges",
    "results",
    "start",
    "tell_nodes",
    "update_source",
    "with_changes",
]
