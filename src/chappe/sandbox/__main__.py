"""`python -m chappe.sandbox`: the sandbox operator as a process of its own."""

import typer

from chappe.sandbox.main import command

typer.run(command)
