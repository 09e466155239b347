"""The documentation of the configuration file is true: its example applies, and every field is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chappe import declared
from chappe.channels.settings import ReceiptSettings, SmppSettings
from chappe.declared import Secrets
from chappe.runtime import Runtime

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference" / "configuration-file.md"
ENV = {
    "ACME_KEY": "ck_live_" + "k" * 43,
    "ACME_SMPP_PASSWORD": "secret",
    "ACME_WEBHOOK_SECRET": "whsec_" + "a" * 43 + "=",
    "ORANGE_PASSWORD": "pw",
    "AGGREGATOR_PASSWORD": "pw",
}


async def test_the_example_applies_and_changes_nothing_the_second_time(rt: Runtime) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    plan = declared.make_plan(rt, declared.SECTIONS, example, PAGE.name, Secrets(ENV, DOCS))
    assert plan.steps
    await declared.apply_plan(rt, plan, "test")
    assert not declared.make_plan(rt, declared.SECTIONS, example, PAGE.name, Secrets(ENV, DOCS))


@pytest.mark.parametrize("kind", [SmppSettings, ReceiptSettings])
def test_every_setting_of_a_supplier_is_documented(kind: type[SmppSettings] | type[ReceiptSettings]) -> None:
    text = (DOCS / "channels" / "smpp.md").read_text()
    assert [name for name in kind.__struct_fields__ if f"`{name}`" not in text] == []


def test_every_field_of_the_file_is_documented() -> None:
    text = PAGE.read_text()
    named = {name for section in declared.SECTIONS for name in section.shape.__struct_fields__}
    missing = [
        name for name in named if f"`{name}`" not in text and f"`{name}." not in text and f"{name} = " not in text
    ]
    assert missing == []
