"""Suppressions as a table, as an import takes it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from chappe.clock import rfc3339
from chappe.consent.model import Suppression
from chappe.consent.suppressions.adding import Whose
from chappe.consent.suppressions.lifting import search

if TYPE_CHECKING:
    from chappe.runtime import Runtime

PAGE = 1_000
HEADER = "person,channel,scope,value,covers,reason,source,list,note,created_at,expires_at\n"


async def export_csv(rt: Runtime, whose: Whose, **filters: Any) -> AsyncIterator[bytes]:
    """The newest first, in pages; `filters` as `search` has them. Persons who were forgotten are left out: nothing is
    known of them. Raises Unavailable."""
    yield HEADER.encode()
    before = None
    while True:
        page = await search(rt, whose, **filters, before=before, limit=PAGE)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows(_cells(one) for one in page if one.person is not None)
        if out.tell():
            yield out.getvalue().encode()
        if len(page) < PAGE:
            return
        before = page[-1].id


def _cells(one: Suppression) -> tuple[object, ...]:
    what = (one.person, one.channel, one.scope, one.value, one.covers, one.reason, one.source, one.list_name)
    return (*what, one.note, rfc3339(one.created_at), rfc3339(one.expires_at))
