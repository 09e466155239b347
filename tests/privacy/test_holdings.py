"""Nothing that may be personal is forgotten: every such column is a holding's, or somebody has said why not."""

from __future__ import annotations

from chappe.privacy.elsewhere import ELSEWHERE, SUSPICIOUS
from chappe.privacy.holdings import HOLDINGS
from chappe.storage.migrations import autogenerate


def _columns() -> set[str]:
    declared = autogenerate.import_rooms()
    return {f"{table.name}.{column.name}" for table in declared.tables.values() for column in table.columns}


def test_every_column_that_may_hold_personal_data_is_held_or_has_a_reason() -> None:
    held = {column for holding in HOLDINGS for column in holding.columns}
    suspicious = {column for column in _columns() if column.partition(".")[2] in SUSPICIOUS}
    unknown = sorted(suspicious - held - set(ELSEWHERE))
    assert not unknown, f"say in privacy/holdings or privacy/elsewhere.py what is in them: {unknown}"


def test_what_is_held_and_what_is_not_is_there_and_is_one_of_the_two() -> None:
    held = [column for holding in HOLDINGS for column in holding.columns]
    assert len(held) == len(set(held))
    assert not set(held) & set(ELSEWHERE)
    assert not set(held) - _columns()
    assert not set(ELSEWHERE) - _columns()
    assert all(reason for reason in ELSEWHERE.values())


def test_kinds_have_names_of_their_own() -> None:
    kinds = [holding.kind for holding in HOLDINGS]
    assert len(kinds) == len(set(kinds))
