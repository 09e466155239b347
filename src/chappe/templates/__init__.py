"""Templates: texts with variables, in several languages, versioned and approved.

`render` makes a text; it is safe for what strangers wrote (`language.py`) and never longer than `worst` says.
`book(rt)` answers from memory; verbs write and audit. `faults` says what keeps a content from being taken.
"""

from __future__ import annotations

from chappe.templates.faults import Fault
from chappe.templates.measure import UNICODE, Extent, extent_of, level_of, segments
from chappe.templates.model import (
    DEFAULT,
    LONGEST_LINK,
    MAX_VALUE,
    OPT_OUT_LINK,
    Content,
    Registered,
    Status,
    Template,
    Variable,
    Version,
    fallbacks,
    localised,
    misnamed,
    read_content,
)
from chappe.templates.rendering import Rendered, examples, faults, render
from chappe.templates.room import Book, book, found_template, start
from chappe.templates.store import ROOM
from chappe.templates.values import fit, fitted
from chappe.templates.verbs import (
    check,
    create_template,
    delete_template,
    step,
    update_template,
    versions_of,
)
from chappe.templates.worst import Worst, worst

__all__ = [
    "DEFAULT",
    "LONGEST_LINK",
    "MAX_VALUE",
    "OPT_OUT_LINK",
    "ROOM",
    "UNICODE",
    "Book",
    "Content",
    "Extent",
    "Fault",
    "Registered",
    "Rendered",
    "Status",
    "Template",
    "Variable",
    "Version",
    "Worst",
    "book",
    "check",
    "create_template",
    "delete_template",
    "examples",
    "extent_of",
    "fallbacks",
    "faults",
    "fit",
    "fitted",
    "found_template",
    "level_of",
    "localised",
    "misnamed",
    "read_content",
    "render",
    "segments",
    "start",
    "step",
    "update_template",
    "versions_of",
    "worst",
]
