"""What is stored, as the file that would make it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chappe.declared.secrets import Secrets
from chappe.declared.section import Section, World, written
from chappe.declared.toml import dumps

if TYPE_CHECKING:
    from chappe.runtime import Runtime


def export(rt: Runtime, sections: Sequence[Section]) -> str:
    """TOML. Secrets are references to environment variables, API keys their hashes; revoked keys are left out."""
    stored = {section.name: section.stored(rt) for section in sections}
    world = World(rt, Secrets({}, Path()), stored=stored)
    tree: dict[str, Any] = {section.name: [] for section in sections if not section.nested}
    accounts: dict[str, dict[str, Any]] = {}
    for section in sections:
        for index, (key, value) in enumerate(stored[section.name].items()):
            plain = written(section.declare(key, value, index, world))
            if section.nested:
                accounts[key[0]].setdefault(section.name, []).append(plain)
            else:
                tree[section.name].append(plain)
            if section.name == "accounts":
                accounts[key[0]] = plain
    return dumps({name: elements for name, elements in tree.items() if elements})
