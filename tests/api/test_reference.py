"""The pages in docs/reference say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from chappe.api import reference

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(("name", "page"), [("errors.md", reference.errors_page), ("api.md", reference.api_page)])
def test_the_page_is_up_to_date(name: str, page: object) -> None:
    assert callable(page)
    written = (DOCS / name).read_text("utf-8")
    assert written == page(), f"run `python -m chappe.api.reference docs/reference` for {name}"
