"""Ported numbers of whole countries, from the files that portability bodies give to operators and their partners.

`Files` is what a node looks numbers up in and replaces under load; `build` makes one index; `Index` searches it.
"""

from chappe.lookups.portability.build import Built, build
from chappe.lookups.portability.errors import Faulty, PortabilityError
from chappe.lookups.portability.files import Files
from chappe.lookups.portability.index import Index, Meta, Origin
from chappe.lookups.portability.intake import Columns

__all__ = [
    "Built",
    "Columns",
    "Faulty",
    "Files",
    "Index",
    "Meta",
    "Origin",
    "PortabilityError",
    "build",
]
