"""Secrets by reference: a file of configuration names them, it never holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from chappe.errors import Refused


class SecretRef(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`{ env = "NAME" }` or `{ file = "path" }`; a path is relative to the file that names it."""

    env: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError('a secret is { env = "NAME" } or { file = "PATH" }')

    def __str__(self) -> str:
        return f"environment variable {self.env}" if self.env is not None else f"file {self.file}"


class Secrets:
    """Reads what references name."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder

    def read(self, reference: SecretRef | str, param: str) -> str | None:
        """The secret; None if the variable or file does not exist. Raises Refused for a secret written out."""
        if isinstance(reference, str):
            raise Refused(
                "invalid_value",
                "A secret must not be written into this file.",
                param=param,
                action=f'Write {param} = {{ env = "NAME" }} or {param} = {{ file = "PATH" }}.',
            )
        if reference.env is not None:
            return self._environ.get(reference.env) or None
        try:
            text = (self._folder / str(reference.file)).read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise Refused("invalid_value", f"The file {reference.file} cannot be read: {error}.", param=param) from None
        return text.rstrip("\r\n") or None
