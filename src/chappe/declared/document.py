"""A file as written: its TOML, its elements by section, and everything wrong with its form, each with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from chappe.declared.lines import Path, line_of, places
from chappe.declared.section import Item, Key, Section
from chappe.errors import Refused
from chappe.flaws import flaw, spell


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """`acme.toml:12: routes[0].connector: There is no connector oragne. There are: orange.`"""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key + ': ' if self.key else ''}{self.message}"


class Invalid(Exception):
    """The file cannot be applied; `problems` in the order of their lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Document:
    """The elements of a text; `problems` collects what is wrong while they are looked at."""

    def __init__(self, text: str, file: str, sections: Sequence[Section]) -> None:
        """Raises Invalid for a text that is no TOML."""
        self._file = file
        self._sections = {section.name: section for section in sections}
        self.problems: list[Problem] = []
        self.items: list[Item] = []
        self.broken: set[tuple[str, Key]] = set()
        self._seen: dict[tuple[str, Key], Path] = {}
        try:
            tree = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Invalid([_syntax(file, text, error)]) from None
        self._places = places(text)
        top = {name: section for name, section in self._sections.items() if not section.nested}
        for name in tree:
            if name not in top:
                self.complain((name,), f"There is no section {name}.", f"The sections are: {', '.join(top)}.")
        for name, section in top.items():
            self._read(section, tree.get(name, []), (name,), ())

    def complain(self, path: Path, message: str, action: str | None = None) -> None:
        words = f"{message} {action}" if action else message
        self.problems.append(Problem(self._file, line_of(self._places, path), spell(path), words))

    def complain_of(self, item: Item, error: Refused) -> None:
        """A room refused the item."""
        self.broken.add((item.section.name, item.key))
        self.complain((*item.path, *_steps(error.param or "")), error.message, error.action)

    def check(self) -> None:
        """Raises Invalid if there is anything to complain about."""
        if self.problems:
            raise Invalid(self.problems)

    def _read(self, section: Section, elements: Any, path: Path, above: Key) -> None:
        if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
            headers = ".".join(step for step in path if isinstance(step, str))
            self.complain(path, f"{section.name} is a list of tables.", f"Write [[{headers}]] above each.")
            return
        for index, element in enumerate(elements):
            self._element(section, element, (*path, index), index, above)

    def _element(self, section: Section, element: dict[str, Any], path: Path, index: int, above: Key) -> None:
        nested = {} if section.nested or section.name != "accounts" else self._nested()
        below = {name: element.pop(name) for name in nested if name in element}
        try:
            declared = msgspec.convert(element, section.shape)
        except msgspec.ValidationError as error:
            found = flaw(error, section.shape)
            self.complain((*path, *found.path), found.message, found.action)
            label = element.get(section.label)
            key = (*above, label if isinstance(label, str) else f"#{index}")
            self.broken.add((section.name, key))
        else:
            key = (*above, section.name_of(declared))
            self._add(Item(section, key, path, index, declared))
        for name, elements in below.items():
            self._read(nested[name], elements, (*path, name), key)

    def _add(self, item: Item) -> None:
        first = self._seen.setdefault((item.section.name, item.key), item.path)
        if first != item.path:
            line = line_of(self._places, first)
            self.complain((*item.path, item.section.label), f"{item.key[-1]} stands in line {line} already.")
        else:
            self.items.append(item)

    def _nested(self) -> dict[str, Section]:
        return {name: section for name, section in self._sections.items() if section.nested}


def _steps(param: str) -> Path:
    """`settings.tlvs[2]` as a path."""
    found = re.findall(r"([^.\[\]]+)|\[(\d+)\]", param)
    return tuple(int(index) if index else name for name, index in found)


def _syntax(file: str, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    match = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    message = str(error)[: match.start()] if match else str(error)
    line = int(match[1]) if match and match[1] else text.count("\n") + 1
    return Problem(file, line, "", f"{message}. This is not valid TOML.")
