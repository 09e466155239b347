"""`chappe serve`: the whole of Chappe in one process, or some of its roles."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from chappe import logs, service
from chappe.cli.runtime import ConfigOption
from chappe.cli.terminal import fail
from chappe.settings import SettingsError, load
from chappe.storage import Unavailable
from chappe.storage.exclusive import AlreadyServed


def command(
    config: ConfigOption = None,
    roles: Annotated[
        str | None,
        typer.Option(help="What this process does: any of api,smsc,dispatch,jobs. Default: the setting."),
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="File to write the ports to, as JSON, once everything is up.")
    ] = None,
) -> None:
    """Serve the API, the SMPP server, the connectors and the webhooks until SIGTERM."""
    try:
        settings = load(config, os.environ, roles=roles)
        logs.configure(settings.log)
        uvloop.run(service.serve(settings, lambda ports: _tell(ready_file, ports)))
    except SettingsError as error:
        fail("\n".join(error.problems))
    except AlreadyServed as error:
        fail(f"{error}. Stop it first, or choose another data_dir.")
    except Unavailable as error:
        fail(f"The database does not answer: {error.reason}. `chappe doctor` looks closer.")
    except OSError as error:
        fail(f"{error.strerror or error}. `chappe doctor` looks closer.")


def _tell(ready_file: Path | None, ports: dict[str, int]) -> None:
    if ready_file is not None:
        partial = ready_file.with_suffix(".part")
        partial.write_text(json.dumps(ports))
        partial.rename(ready_file)  # whoever waits for the file never reads half of it
