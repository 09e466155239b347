"""`chappe send` with a template, against the API."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner, Result

from chappe.cli import build
from tests.api.conftest import World, world
from tests.api.test_sending import approved, stored
from tests.cli.conftest import Command

__all__ = ["world"]


async def sent(world: World, *words: str) -> Result:
    arguments = ["send", "+33612345678", *words, "--url", world.base, "--key", world.keys["acme"]]
    return await asyncio.to_thread(CliRunner().invoke, build(arguments), arguments)


async def test_a_template_is_sent_by_name_and_by_id(world: World) -> None:
    made = await approved(world)
    values = ("--var", "name=Ada", "--var", "order=A-1=")
    wrong = await sent(world, "--template", "order-shipped", *values)
    assert wrong.exit_code == 1, "a value may hold the sign, a code may not"
    for template in ("order-shipped", made):
        done = await sent(world, "--template", template, "--locale", "fr", "--var", "name=Ada", "--var", "order=A-1")
        assert done.exit_code == 0, done.output
    [first, second] = (await world.acme.get("/v1/messages")).json["data"]
    assert first["text"] == second["text"] == "Ada, A-1 est parti."
    assert await stored(world) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "either a TEXT or --template"),
        (("Hello", "--template", "x"), "either a TEXT or --template"),
        (("Hello", "--var", "a=b"), "go with --template"),
        (("--template", "x", "--var", "name"), "write --var name=value"),
        (("--template", "x", "--var", "=value"), "write --var name=value"),
    ],
)
def test_words_that_do_not_fit_together_are_told_before_anybody_is_asked(
    command: Command, words: tuple[str, ...], told: str
) -> None:
    done = command("send", "+33612345678", *words, "--key", "ck_live_x", "--url", "http://127.0.0.1:1")
    assert done.code == 1
    assert told in done.stderr
