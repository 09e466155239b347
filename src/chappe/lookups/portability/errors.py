"""What is wrong with a portability file as a whole."""

from __future__ import annotations

from chappe.tabular import Fault, Faults

ENDING = {
    *("not_text", "empty", "encoding_unknown", "encoding_broken", "delimiter_unknown", "quoting_broken"),
    *("line_too_long", "too_many_rows", "too_many_bytes", "column_unknown", "column_missing", "column_ambiguous"),
}
"""Faults after which rows may not have been read: they are never allowed."""


class PortabilityError(Exception):
    """A file cannot be used, and the version in force stays. `code` is stable, `message` says what to do.

    `portability_country`, `portability_operators`, `portability_faults`, `portability_empty`, `portability_shrunk`,
    `portability_stale`, `portability_busy`, `portability_nothing_current`, `portability_nothing_previous` and, of index
    files, `portability_corrupt`, `portability_version`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Faulty(PortabilityError):
    """Too many lines are broken. `faults` are the first hundred by line, `counts` all of them by code.

    The codes are those of `tabular.Table`, and `number_not_e164`, `number_impossible`, `number_wrong_country`,
    `operator_unknown`, `date_invalid`, `action_unknown`, `rows_contradict`. Numbers are personal: their column is never
    quoted.
    """

    def __init__(self, faults: Faults, allowed: int) -> None:
        self.faults: tuple[Fault, ...] = by_line(faults)
        self.counts = dict(faults.counts)
        kinds = ", ".join(f"{code} {count:,}" for code, count in self.counts.items())
        first = self.faults[0]
        super().__init__(
            "portability_faults",
            f"{len(faults):,} faults ({kinds}) where {allowed:,} are allowed: nothing was applied. "
            f"The first, in line {first.line}: {first.message}",
        )


def by_line(faults: Faults) -> tuple[Fault, ...]:
    """Contradictions are found last, when all rows are sorted: here they are in their place."""
    return tuple(sorted(faults.first))


def judge(faults: Faults, allowed: int) -> None:
    """Raises Faulty when there are more than `allowed`, or one after which rows may be missing."""
    if len(faults) > allowed or not ENDING.isdisjoint(faults.counts):
        raise Faulty(faults, allowed)
