"""Makes docs/reference/cli.md and docs/reference/settings.md from the commands and the settings themselves.

`python -m chappe.cli.reference docs/reference`
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import typer

from chappe.cli import COMMANDS, build
from chappe.settings import describe

MADE = "<!-- Made by `python -m chappe.cli.reference docs/reference`; change the source, not this page. -->"

_CLI = f"""\
# Commands

{MADE}

`chappe COMMAND --help` shows the same. Commands that look at the database take the settings file by `--config` or
`CHAPPE_CONFIG`, and settings from the environment; see [settings](settings.md). `send`, `messages` and `lookups` talk
to a running Chappe through its API. The exit status is 0, or 1 with a message on stderr; 2 is a command line that
cannot be read.
"""

_SETTINGS = f"""\
# Settings

{MADE}

Settings are what an operator chooses before the start: a TOML file, named by `--config` or `CHAPPE_CONFIG`, and
environment variables, which win. `http.port` is `port` below `[http]` in the file and `CHAPPE_HTTP__PORT` in the
environment. A name that is no setting is an error, told with its line. What customers and operators change later
(accounts, keys, connectors, routes) is in the database: see [the configuration file](configuration-file.md).
`CHAPPE_API_URL` and `CHAPPE_API_KEY` are no settings: `chappe send` and `chappe messages` read them.
"""


def cli_page() -> str:
    """docs/reference/cli.md"""
    return _CLI + "".join(_command(name) for name in COMMANDS)


def settings_page() -> str:
    """docs/reference/settings.md"""
    pieces = [_SETTINGS]
    for section, rows in groupby(describe(), key=lambda row: row.name.rpartition(".")[0]):
        heading = f"\n## {section}\n" if section else ""
        pieces.append(f"{heading}\n| setting | type | default | meaning | variable |\n|---|---|---|---|---|\n")
        for row in rows:
            shown = f"`{row.default}`" if row.default else ""
            kind = row.type.replace("|", "\\|")
            pieces.append(f"| `{row.name}` | {kind} | {shown} | {row.help} | `{row.variable}` |\n")
    return "".join(pieces)


def _command(name: str) -> str:
    root: Any = typer.main.get_command(build([name]))
    command = root.commands[name]
    return "".join(_described(f"chappe {name}", command, f"## {name}"))


def _described(path: str, command: Any, heading: str) -> Iterator[str]:
    """A command and those below it, each with its usage and its options."""
    below = getattr(command, "commands", {})
    usage = [
        path,
        *(_named(parameter) for parameter in command.params if parameter.param_type_name == "argument"),
    ]
    yield f"\n{heading}\n\n{_paragraphs(command.help)}\n"
    if not below or command.invoke_without_command:
        yield f"\n```\n{' '.join(usage)} [OPTIONS]\n```\n"
        yield from _options([parameter for parameter in command.params if parameter.name != "help"])
    for name, found in below.items():
        yield from _described(f"{path} {name}", found, f"#{heading.split()[0]} {path.removeprefix('chappe ')} {name}")


def _options(parameters: list[Any]) -> Iterator[str]:
    if parameters:
        yield "\n| option | default | meaning |\n|---|---|---|\n"
    for parameter in parameters:
        option = parameter.param_type_name == "option"
        name = ", ".join(f"`{spelt}`" for spelt in parameter.opts) if option else f"`{_named(parameter)}`"
        variable = f" Variable: `{parameter.envvar}`." if getattr(parameter, "envvar", None) else ""
        yield f"| {name} | {_default(parameter)} | {parameter.help or ''}{variable} |\n"


def _named(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(getattr(parameter, "show_default", None), str):
        return str(parameter.show_default)
    default = parameter.default
    return "" if default in (None, False, ()) or callable(default) else f"`{default}`"


def _paragraphs(text: str | None) -> str:
    """The help as prose, its line breaks within a paragraph kept."""
    return "\n".join(line.strip() for line in (text or "").strip().splitlines())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "cli.md").write_text(cli_page(), "utf-8")
    (folder / "settings.md").write_text(settings_page(), "utf-8")
