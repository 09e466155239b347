"""`chappe apply FILE`: bring the configuration in line with a file, in one unit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from chappe import declared
from chappe.cli.runtime import ConfigOption, actor, run
from chappe.cli.terminal import fail, out
from chappe.declared import Invalid, Plan, Secrets, Step
from chappe.runtime import Runtime

_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}


def command(
    file: Annotated[Path, typer.Argument(help="The TOML file.", exists=True, dir_okay=False, readable=True)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, change nothing.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also remove what the file does not name: the file is the whole truth.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    config: ConfigOption = None,
) -> None:
    """Bring accounts, keys, SMPP logins, senders, connectors and routes in line with FILE.

    The file is checked as a whole; what is wrong is told with its line. Then everything is changed or nothing.
    """

    async def work(rt: Runtime) -> None:
        secrets = Secrets(os.environ, file.parent)
        try:
            text = file.read_text("utf-8")
            plan = declared.make_plan(rt, declared.SECTIONS, text, str(file), secrets, prune=prune)
        except UnicodeDecodeError as error:
            fail(f"{file}: byte {error.start} is not UTF-8.")
        except Invalid as error:
            fail(str(error))
        _show(plan)
        if not plan or dry_run:
            return
        if plan.losses and not yes and not typer.confirm(f"Remove {len(plan.losses)} as shown?"):
            fail("Nothing was changed.")
        await declared.apply_plan(rt, plan, actor())
        out.print(f"Done: {_count(plan)}.")

    run(work, config)


def _show(plan: Plan) -> None:
    for note in plan.notes:
        out.print(f"[yellow]![/] {escape(note)}")
    for step in plan.steps:
        _show_step(step)
    if not plan:
        out.print("Nothing to change.")


def _show_step(step: Step) -> None:
    kind = "delete" if step.action in ("suspend", "revoke") else step.kind
    sign, colour = _SIGNS[kind]
    what = step.section.records.kind.replace("_", " ")
    action = f" ({step.action})" if step.action != step.kind else ""
    out.print(f"[{colour}]{sign} {what} {escape(' / '.join(step.key))}{action}[/]")
    for field, before, after in step.changes:
        out.print(f"    {escape(field)}: {escape(_value(before))} -> {escape(_value(after))}")


def _value(value: object) -> str:
    return "(default)" if value is None else str(value)


def _count(plan: Plan) -> str:
    kinds = [step.kind for step in plan.steps]
    return ", ".join(f"{kinds.count(kind)} {kind}d" for kind in _SIGNS if kind in kinds)
