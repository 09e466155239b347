"""`chappe export`: what is configured, as the file that `apply` understands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chappe import declared
from chappe.cli.runtime import ConfigOption, run
from chappe.runtime import Runtime


def command(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.", dir_okay=False)] = None,
    config: ConfigOption = None,
) -> None:
    """Write the configuration as TOML. Secrets are references to environment variables, API keys their hashes."""

    async def work(rt: Runtime) -> str:
        return declared.export(rt, declared.SECTIONS)

    text = run(work, config)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")
