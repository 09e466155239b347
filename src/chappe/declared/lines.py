"""Where each key and element of a TOML text stands: tomllib tells the values, but not their lines."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'[ \t]*("(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+)[ \t]*')
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def places(text: str) -> dict[Path, int]:
    """The line, from 1, of every table, key and array element: `("routes", 0, "prefix")`. Valid TOML only."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


def line_of(found: Mapping[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self._elements: dict[Path, int] = {}  # how many [[tables]] there are so far
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def document(self) -> None:
        table: Path = ()
        while self._skip():
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._assignment(table)

    def _header(self) -> Path:
        start, many = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        keys = self._keys()
        self.at += 2 if many else 1
        path = self._inside(keys[:-1])
        path = (*path, keys[-1])
        self._mark(path, start)
        if many:
            self._elements[path] = self._elements.get(path, 0) + 1
        path = self._inside_last(path)
        self._mark(path, start)
        return path

    def _assignment(self, table: Path) -> None:
        start = self.at
        path = table
        for name in self._keys():
            path = (*path, name)
            self._mark(path, start)
        self.at += 1  # =
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        opening = self.text[self.at]
        if opening == "[":
            self.at += 1
            index = 0
            while self._next() != "]":
                self._mark((*path, index), self.at)
                self._value((*path, index))
                index += 1
            self.at += 1
        elif opening == "{":
            self.at += 1
            while self._next() != "}":
                self._assignment(path)
            self.at += 1
        else:
            match = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            assert match is not None
            self.at = match.end()

    def _next(self) -> str:
        """The next character of an array or inline table, past blanks and commas."""
        self._skip()
        while self.text[self.at] == ",":
            self.at += 1
            self._skip()
        return self.text[self.at]

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while match := _KEY.match(self.text, self.at):
            word = match[1]
            keys.append(tomllib.loads(f"x = {word}")["x"] if word[0] in "\"'" else word)
            self.at = match.end()
            if self.text[self.at] != ".":
                break
            self.at += 1
        return keys

    def _skip(self) -> bool:
        """Past blanks and comments; False at the end."""
        match = _BLANK.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return self.at < len(self.text)

    def _inside(self, keys: list[str]) -> Path:
        path: Path = ()
        for name in keys:
            path = self._inside_last((*path, name))
        return path

    def _inside_last(self, path: Path) -> Path:
        """A table that is an array of tables means its last element."""
        return (*path, self._elements[path] - 1) if path in self._elements else path

    def _mark(self, path: Path, at: int) -> None:
        self.found.setdefault(path, bisect_right(self._ends, at - 1) + 1)
