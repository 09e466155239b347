"""A subselect that PostgreSQL runs once and first, whatever it believes of the table's size.

A queue is mostly empty, and is analysed so. When it fills, the planner takes its few rows for granted and joins: it
walks over the whole queue and runs the subselect again for each row of it: over ten seconds for a queue of 30,000. An
array is made first, and then looked up in the index.
"""

from __future__ import annotations

import re
from dataclasses import replace

from chappe.storage.statements import Statement, sql

_ONCE = re.compile(r"in once\((.*)\)once", re.DOTALL)


def sql_once(text: str, *, name: str) -> Statement:
    """`sql`, of whose text a part says `column in once(select ...)once`."""
    lite = sql(_ONCE.sub(r"in (\1)", text), name=name)
    return replace(lite, postgres=sql(_ONCE.sub(r"= any(array(\1))", text)).postgres)
