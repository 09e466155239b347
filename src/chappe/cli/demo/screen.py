"""What the demo shows: a table of what is on its way, above it the timeline of each message that is through."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.rule import Rule
from rich.table import Column, Table
from rich.text import Text

from chappe.cli.messages import timed
from chappe.cli.timeline import COLOURS, tone_of

if TYPE_CHECKING:
    from chappe.cli.demo.customer import Heard
    from chappe.cli.demo.play import Run
    from chappe.cli.demo.stage import Ready

WIDEST: Final = 110
_PIPED: Final = 100


class Screen:
    def __init__(self) -> None:
        width = min(Console().width, WIDEST) if sys.stdout.isatty() else _PIPED
        self._console = Console(highlight=False, width=width)
        self._runs: list[Run] = []
        self._live: Live | None = None

    def welcome(self, ready: Ready) -> None:
        self._console.print(Rule("[bold]Chappe[/]", style="cyan"))
        self._say("Chappe", f"{ready.api_url} (HTTP) and {ready.smpp.host}:{ready.smpp.port} (SMPP)")
        self._say("operator", f"{ready.operator_smpp}, a sandbox in a process of its own, {ready.operator}")
        self._say("files", _short(ready.data_dir))
        self._console.print()

    @contextmanager
    def following(self, runs: Sequence[Run]) -> Iterator[None]:
        """Show what is on its way as long as the block lasts; on a terminal only."""
        self._runs = list(runs)
        if not self._console.is_terminal:
            yield
            return
        with Live(get_renderable=self._on_the_way, console=self._console, refresh_per_second=8, transient=True) as live:
            self._live = live
            yield
        self._live = None

    def _on_the_way(self) -> Table:
        table = Table(
            Column("on its way", no_wrap=True, width=43),
            Column("by", no_wrap=True, width=4),
            Column("state", no_wrap=True, width=11),
            Column("last", no_wrap=True, overflow="ellipsis", ratio=1),
            box=None,
            header_style="dim",
            width=self._console.width,
        )
        for run in self._runs:
            last = f"{run.lines[-1].what} {run.lines[-1].about}" if run.lines else ""
            state = run.status if run.told else ""
            table.add_row(run.scene.title, run.scene.door, Text(state, COLOURS[tone_of(state)]), last)
        return table

    def done(self, run: Run) -> None:
        """A message is through: its timeline stays on the screen."""
        self._runs.remove(run)
        scene, good = run.scene, not run.problems
        head = Text("✓ " if good else "✗ ", "bold green" if good else "bold red")
        head.append(f"{scene.title:<44}", "bold default")
        head.append(f"{scene.door}  {scene.sender} → {scene.to}  {run.id}", "not bold dim default")
        block = [head, *(Text("  ").append_text(timed(line, run.started_at)) for line in run.lines)]
        block += [Text(f"               {problem}", "red") for problem in run.problems]
        for line in block:
            line.no_wrap, line.overflow = True, "ellipsis"
        self._console.print(Group(*block, Text()))

    def summary(self, runs: Sequence[Run], forged: int) -> bool:
        """Whether every message reached the state that it must reach."""
        wrong = [run for run in runs if run.problems]
        if not wrong and not forged:
            self._console.print(f"[bold green]All {len(runs)} messages ended as they must.[/]")
            return True
        self._console.print(f"[bold red]{len(wrong)} of {len(runs)} messages did not end as they must:[/]")
        for run in wrong:
            self._console.print(Text(f"  {run.scene.title}: {'; '.join(run.problems)}", "red"))
        if forged:
            self._console.print(Text(f"  {forged} webhooks came with a wrong signature.", "red"))
        return False

    def invite(self, ready: Ready) -> None:
        """Where things are, and what to try."""
        chappe, folder = _short(sys.argv[0]), _short(ready.data_dir)
        console = self._console
        console.print()
        console.print(Rule("[bold]It stays up: look around[/]", style="cyan"))
        self._say("API", f"{ready.docs_url}")
        self._say("API key", ready.api_key)
        self._say("SMPP", f"{ready.smpp.host}:{ready.smpp.port}, {ready.smpp.system_id} / {ready.smpp.password}")
        self._say("operator", f"{ready.operator}, and numbers that end in 5550NN: docs/reference/sandbox.md")
        console.print()
        for line in (
            f'export CHAPPE_API_URL={ready.api_url} CHAPPE_API_KEY="$(cat {folder}/api.key)"',
            f'{chappe} send +33612345678 "Hello" --wait',
            f"{chappe} messages list",
            f"{chappe} messages explain MSG_ID",
            'curl -s $CHAPPE_API_URL/v1/messages -H "Authorization: Bearer $CHAPPE_API_KEY" \\',
            '     -H "Content-Type: application/json" -d \'{"to": "+33612345678", "text": "Hello"}\'',
            f'curl -s {ready.operator}/mo -d \'{{"system_id": "{ready.operator_system_id}", "from": "+33612345678",',
            f'     "to": "{ready.number}", "text": "Hi, this is a phone."}}\'',
        ):
            console.print(Text("  " + line), soft_wrap=True)
        console.print()
        console.print("Ctrl-C stops all of it. Until then, what your webhook endpoint hears:")

    def heard(self, heard: Heard) -> None:
        """A webhook that came while it stays up."""
        if heard.by != "webhook":
            return
        data = heard.data
        line = Text(f"  {data['occurred_at'][11:23]}  {heard.about}  ")
        line.append(f"{heard.what:<20} ", COLOURS[tone_of(data["status"])])
        line.append(f"{data['from']} → {data['to']}  ")
        line.append(f"“{' '.join((data['text'] or '').split())}”", "dim")
        self._line(line)

    def _say(self, name: str, about: str) -> None:
        self._console.print(Text.assemble((f"  {name:<10} ", "dim"), about), soft_wrap=True)

    def _line(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ellipsis", crop=True)


def _short(path: str) -> str:
    """Relative to where we are, if that is shorter."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(Path(path))
