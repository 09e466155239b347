"""The command line. `COMMANDS` is the whole list; a command's module is imported when it is called, so that
`chappe --help` answers at once.

A module offers `command`, a function, or `app`, a typer.Typer with commands of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import typer

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("chappe.cli.serve", "Serve the API, the SMPP server, the connectors and the webhooks."),
    "demo": ("chappe.cli.demo", "Start everything with a simulated operator and watch messages arrive."),
    "send": ("chappe.cli.send", "Send a message through a running Chappe."),
    "messages": ("chappe.cli.messages", "List, show, follow and explain messages."),
    "lint": ("chappe.cli.lint", "Check a folder of templates: segments, prices, law and slips of the pen."),
    "lookups": ("chappe.cli.lookups", "Look numbers up: one, or a file of them."),
    "portability": ("chappe.cli.portability", "Put files of ported numbers in force."),
    "ranges": ("chappe.cli.ranges", "Put a regulator's number ranges in force."),
    "routes": ("chappe.cli.routes", "See, draft, publish and undo which way messages go, and explain it."),
    "throttles": ("chappe.cli.throttles", "Limit how many messages go through."),
    "opt-outs": ("chappe.cli.opt_outs", "See, add, import and lift who is not to be written to."),
    "reviews": ("chappe.cli.reviews", "See which texts wait for a decision, approve and reject them."),
    "rules": ("chappe.cli.rules", "Show what countries ask of messages, and when one may go."),
    "consent": ("chappe.cli.consent", "Prove, export and import the ledger of consents."),
    "quality": ("chappe.cli.quality", "See how routes do, who is demoted, and whose receipts lie."),
    "apply": ("chappe.cli.apply", "Bring accounts, keys, connectors and routes in line with a file."),
    "export": ("chappe.cli.export", "Write what is configured as the file that makes it."),
    "invoices": ("chappe.cli.invoices", "List, show and download invoices; close a month."),
    "ledger": ("chappe.cli.ledger", "Prove that the books balance, and read what was booked."),
    "rates": ("chappe.cli.rates", "Look at, import and export prices; import rates of exchange."),
    "privacy": ("chappe.cli.privacy", "Export or erase what is held of a person, and see who looked."),
    "keys": ("chappe.cli.keys", "Create, list and revoke API keys."),
    "top": ("chappe.cli.top", "Watch nodes, lanes, rates, connectors, lags and alarms."),
    "doctor": ("chappe.cli.doctor", "Look whether everything is as it must be, and say what to do."),
    "migrate": ("chappe.cli.migrate", "Bring the database to this version's schema."),
    "backup": ("chappe.cli.backup", "Copy the embedded store to a file, also while it is served."),
    "sandbox": ("chappe.cli.sandbox", "Run a simulated operator to send to."),
}


def main() -> None:
    build(sys.argv[1:])(prog_name="chappe")


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application for one call: the command that is meant for real, the others by name and help only."""
    meant = next((argument for argument in arguments if not argument.startswith("-")), None)
    app = typer.Typer(
        help="Chappe, an open-source A2P messaging platform.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # plain help costs half the time of a coloured one
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name, (module, help_) in COMMANDS.items():
        if name != meant:
            app.command(name, help=help_)(_elsewhere)
            continue
        found = import_module(module)
        command: Callable[..., None] | None = getattr(found, "command", None)
        if command is not None:
            app.command(name)(command)
        else:
            app.add_typer(found.app, name=name, help=help_)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from chappe import __version__

        typer.echo(f"chappe {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True, callback=_show_version),
) -> None:
    """What stands before a command."""


def _elsewhere() -> None:
    """Stands for a command that was not meant; it is only ever listed."""
