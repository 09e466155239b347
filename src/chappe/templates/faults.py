"""What is wrong with a template, and where."""

from __future__ import annotations


class Fault(Exception):
    """`code` is template_invalid (the body), template_too_long or template_value (what a variable was given). `line`
    and `column` count from 1; `variable` is the one that is concerned."""

    def __init__(
        self, code: str, message: str, line: int | None = None, column: int | None = None, variable: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.line, self.column, self.variable = code, message, line, column, variable

    @property
    def words(self) -> str:
        """With the place in front, for who sees only one line."""
        return self.message if self.line is None else f"Line {self.line}, column {self.column}: {self.message}"


def place(source: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of a character."""
    return source.count("\n", 0, index) + 1, index - source.rfind("\n", 0, index)
