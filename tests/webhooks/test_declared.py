from __future__ import annotations

from pathlib import Path

import pytest

from chappe import webhooks
from chappe.declared import Invalid, Secrets, Section, apply_plan, export, make_plan
from chappe.declared.people import Accounts
from chappe.declared.webhooks import Webhooks
from tests.webhooks.conftest import World, until

SECTIONS: tuple[Section, ...] = (Accounts(), Webhooks())
ENVIRON = {"HOOK": webhooks.new_secret(), "OTHER": webhooks.new_secret(), "BAD": "whsec_short"}
FILE = """
[[accounts]]
slug = "acme"
name = "Acme"

[[accounts.webhooks]]
url = "https://hooks.example.com/chappe"
events = ["message.delivered", "message.failed"]
secret = { env = "HOOK" }
"""
OTHERS = '\n[[accounts]]\nslug = "other"\nname = "Other"\n'


async def apply(world: World, text: str, *, prune: bool = False) -> list[str]:
    """Apply a file; the steps taken."""
    plan = make_plan(world.rt, SECTIONS, text, "test.toml", Secrets(ENVIRON, Path()), prune=prune)
    await apply_plan(world.rt, plan, "test")
    return [f"{step.kind} {step.key[-1]}" for step in plan.steps]


async def test_endpoints_are_declared_once_and_then_there_is_nothing_to_change(lite: World) -> None:
    assert await apply(lite, FILE) == ["create https://hooks.example.com/chappe"]
    assert await apply(lite, FILE) == []
    [endpoint] = webhooks.endpoints(lite.rt, lite.account_id)
    assert (endpoint.events, endpoint.mode) == (("message.delivered", "message.failed"), "both")
    assert await apply(lite, FILE.replace('"message.delivered", ', "")) == ["update https://hooks.example.com/chappe"]
    assert await apply(lite, FILE.split("[[accounts.webhooks]]")[0] + OTHERS, prune=True) == [
        "delete https://hooks.example.com/chappe"
    ]
    assert webhooks.endpoints(lite.rt, lite.account_id) == ()


async def test_another_secret_is_a_rotation_and_both_sign_for_a_day(lite: World) -> None:
    customer = await lite.customer()
    text = FILE.replace("https://hooks.example.com/chappe", customer.url)
    await apply(lite, text)
    assert await apply(lite, text.replace("HOOK", "OTHER")) == [f"update {customer.url}"]
    assert await apply(lite, text.replace("HOOK", "OTHER")) == []
    await lite.deliver()
    await until(lambda: customer.requests)
    [request] = customer.requests
    for secret in (ENVIRON["HOOK"], ENVIRON["OTHER"]):
        webhooks.verify(secret, request.headers, request.body, lite.clock.now() / 1000)


async def test_what_is_exported_changes_nothing_and_tells_no_secret(lite: World) -> None:
    await apply(lite, FILE)
    [endpoint] = webhooks.endpoints(lite.rt, lite.account_id)
    await webhooks.pause_endpoint(lite.rt, "test", lite.account_id, endpoint.id)
    text = export(lite.rt, SECTIONS)
    assert ENVIRON["HOOK"] not in text
    assert "[[accounts.webhooks]]" in text
    assert await apply(lite, text) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("message.failed", "message.lost", 8, "accounts[0].webhooks[0].events[1]"),
        ("https://hooks", "ftp://hooks", 7, "accounts[0].webhooks[0].url"),
        ('{ env = "HOOK" }', '{ env = "BAD" }', 9, "accounts[0].webhooks[0].secret"),
        ('{ env = "HOOK" }', '{ env = "UNSET" }', 9, "accounts[0].webhooks[0].secret"),
        (
            '{ env = "HOOK" }',
            '"whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="',
            9,
            "accounts[0].webhooks[0].secret",
        ),
    ],
)
async def test_mistakes_are_told_with_their_line(lite: World, old: str, new: str, line: int, key: str) -> None:
    with pytest.raises(Invalid) as invalid:
        await apply(lite, FILE.replace(old, new))
    [problem] = invalid.value.problems
    assert (problem.line, problem.key) == (line, key)


async def test_a_private_address_is_refused_unless_the_operator_allows_it(strict: World) -> None:
    with pytest.raises(Invalid, match="private network"):
        await apply(strict, FILE.replace("hooks.example.com", "192.168.1.7"))
