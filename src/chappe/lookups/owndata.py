"""What this machine knows of numbers without asking anybody: the number plan, files of ported numbers, ranges."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chappe.lookups.model import Findings
from chappe.lookups.portability import Files
from chappe.lookups.rangetables import RangeTable, ranges_of
from chappe.numbers import Number
from chappe.numbers.operators import operators
from chappe.numbers.ranges import Ranges, portable, published_ranges

if TYPE_CHECKING:
    from chappe.runtime import Runtime


def portability_folder(data_dir: Path) -> Path:
    """Where the indexes of ported numbers lie: of this machine, or shared by those of an installation."""
    return data_dir / "portability"


def operator_name(mccmnc: str | None) -> tuple[str | None, str | None]:
    """Brand and country (ISO) of a network code, where it is listed."""
    known = operators().get(mccmnc) if mccmnc else None
    return (None, None) if known is None else (known.brand or known.name, known.country)


class OwnData:
    """One a process. It knows the number plan from the beginning, the rest after `open`; then each look-up is a
    dictionary access or a search in mapped memory."""

    def __init__(self, rt: Runtime) -> None:
        self.files: Files | None = None
        self._folder = portability_folder(rt.settings.data_dir)
        self._log = rt.log
        self._published = Ranges()
        self._imported = Ranges()

    async def open(self) -> None:
        """Read what is there, in a thread: about 0.1 s, and a look at each index."""
        self.files = await asyncio.to_thread(Files, self._folder)
        self._published = await asyncio.to_thread(lambda: published_ranges(operators()))
        self._complain()

    async def refresh(self) -> None:
        """Serve the files that were put in force since."""
        if self.files is not None:
            await asyncio.to_thread(self.files.refresh)
            self._complain()

    async def use(self, tables: Sequence[RangeTable]) -> None:
        """The ranges that were imported; they go before the published ones."""
        self._imported = await asyncio.to_thread(lambda: Ranges(ranges_of(tables)))

    def plan(self, number: Number) -> Findings | None:
        """A range too new for the number plan is not invalid, but unknown."""
        if number.line_type == "unknown":
            return None
        return Findings(valid=True, line_type=number.line_type)

    def portability(self, number: Number) -> Findings | None:
        """The operator that a number was ported to, or that it was not."""
        return self.files.find(number).findings if self.files is not None else None

    def ranges(self, number: Number) -> Findings | None:
        """The operator that a number was first given to; where none can be ported, it is the operator for ever."""
        holder = self._imported.get(number.digits) or self._published.get(number.digits)
        if holder is None:
            return None
        return Findings(original=holder.mccmnc, ported=None if portable(number.country) else False)

    def operator(self, number: Number) -> str | None:
        """Who serves a number (MCC and MNC), as far as files and ranges say: for every message, so no more than a
        search in mapped memory and two dictionary look-ups."""
        if self.files is not None:
            found = self.files.find(number).findings
            if found is not None and found.current is not None:
                return found.current
        holder = self._imported.get(number.digits) or self._published.get(number.digits)
        return None if holder is None else holder.mccmnc

    def _complain(self) -> None:
        assert self.files is not None
        for country, trouble in self.files.troubles.items():
            self._log.error("a portability file cannot be used", country=country, reason=trouble.message)
