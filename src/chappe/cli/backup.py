"""`chappe backup`: a copy of the embedded store, also while it is served."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from chappe.cli.progress import Bars
from chappe.cli.runtime import ConfigOption
from chappe.cli.terminal import fail, out
from chappe.settings import Settings, SettingsError, load
from chappe.storage import StoreError, sqlite_path
from chappe.storage.backup import Phase, backup


def command(
    file: Annotated[Path, typer.Argument(help="The new file; an existing one is never written over.", dir_okay=False)],
    key: Annotated[
        Path | None, typer.Option(help="Write the secret key to this new file; keep it apart from the backup.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Copy the embedded store to a file while Chappe goes on, and verify the copy.

    PostgreSQL has programs of its own: pg_dump and pg_basebackup.
    """
    try:
        settings = load(config, os.environ)
        path = sqlite_path(settings.database)
        if path is None:
            fail("This database is on PostgreSQL: back it up with pg_dump or pg_basebackup.")
        with Bars("pages") as bars:
            size = backup(path, file, lambda phase, done, total: _show(bars, phase, done, total))
        out.print(f"{file}: {size / (1 << 20):,.1f} MiB, complete and without a fault.")
        _keep_key(settings, key)
    except SettingsError as error:
        fail("\n".join(error.problems))
    except (StoreError, OSError) as error:
        fail(f"No backup: {error}.")


def _show(bars: Bars, phase: Phase, done: int, total: int) -> None:
    bars.show("copying" if phase == "copy" else "verifying", done, total)


def _keep_key(settings: Settings, key: Path | None) -> None:
    """The key opens the passwords in the backup: it is written only where the operator says, for him alone."""
    if key is None:
        where = settings.secret_key_file or ("the setting secret_key" if settings.secret_key else None)
        out.print(
            f"The secret key is not in it ({where or settings.data_dir / 'secret.key'}): without it no password of a "
            "connector and no secret of a webhook can be read. Keep a copy of it, in another place."
        )
        return
    handle = os.open(key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(settings.master_key())
        file.flush()
        os.fsync(handle)
    out.print(f"{key}: the secret key. Whoever has it and the backup can bind to your operators: keep them apart.")
