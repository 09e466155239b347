"""Speaking to the person at the terminal. Imports next to nothing: a command that only asks the API starts at once."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from rich.console import Console

_PIPED = 160  # columns where nobody looks: enough for a table

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPED)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(message: str) -> NoReturn:
    """End the process with a message and status 1."""
    err.print(message, style="red", markup=False)
    raise typer.Exit(1)
