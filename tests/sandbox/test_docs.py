"""docs/reference/sandbox.md: complete, and its examples work as they stand."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import typer

from chappe.cli.sandbox import command
from chappe.sandbox.behaviour import TABLE, Behaviour
from chappe.sandbox.control import Mo
from chappe.sandbox.scenario import Event, Rule, Scenario, parse
from chappe.smpp.aio import BindFailed
from tests.sandbox.conftest import FAST, Customer, Operator, start, stop

PAGE = (Path(__file__).parents[2] / "docs/reference/sandbox.md").read_text()


class Block(NamedTuple):
    """A fenced example."""

    language: str
    text: str


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def test_the_table_of_magic_numbers_is_the_programs():
    rows = re.findall(r"^\| `5550(\d\d)` \| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert [(int(number), name, meaning) for number, name, meaning in rows] == [
        (row.number, row.name, row.meaning) for row in TABLE
    ]


@pytest.mark.parametrize("struct", [Scenario, Rule, Behaviour, Event, Mo])
def test_every_key_is_documented(struct: Any):
    for key in struct.__struct_encode_fields__:
        assert f"`{key}`" in PAGE, key


def test_every_option_is_documented_with_its_default():
    app = typer.Typer(add_completion=False)
    app.command()(command)
    for option in typer.main.get_command(app).params:
        name = option.opts[0]
        row = re.search(rf"^\|.*`{name}[ `].*$", PAGE, re.MULTILINE)
        assert row or name == "--help", name
        if row and option.default not in (None, False):
            assert f"| {option.default} |" in row[0], name


def test_every_route_is_documented(process: Operator):
    for path in ("/messages", "/submits", "/submits/counts", "/mo", "/throttle", "/refuse_binds", "/drop", "/away"):
        assert any(path in block.text for block in BLOCKS if block.language == "sh"), path


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "toml"])
def test_example_scenarios_are_valid(block: Block):
    assert parse(block.text) != Scenario()


def test_the_python_example_runs(process: Operator, tmp_path: Path):
    (block,) = (block for block in BLOCKS if block.language == "python")
    script = block.text.replace("2776", str(process.port))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"accepted as \d+\nUNDELIVERABLE\n", done.stdout)


def curls() -> Iterator[tuple[list[str], Any]]:
    """Each curl of the page with the JSON that is promised right after it, or None."""
    for block, following in zip(BLOCKS, [*BLOCKS[1:], Block("", "")], strict=True):
        if block.language == "sh" and block.text.startswith("curl"):
            yield shlex.split(block.text), json.loads(following.text) if following.language == "json" else None


def same_shape(promised: Any, real: Any, place: str = "$") -> None:
    """Every key that is promised is there, with a value of that kind; lists are compared by their first items."""
    if promised is None or real is None:
        return
    kinds = (int, float) if isinstance(promised, (int, float)) else type(promised)
    assert isinstance(real, kinds), place
    if isinstance(promised, dict):
        for key, value in promised.items():
            assert key in real, f"{place}.{key}"
            same_shape(value, real[key], f"{place}.{key}")
    elif isinstance(promised, list) and promised:
        assert real, f"{place} is empty"
        same_shape(promised[0], real[0], place)


async def test_the_curl_examples_work_in_order_and_answer_as_promised(tmp_path: Path):
    operator = start(tmp_path)
    customer = Customer(operator)
    customer.system_id = "acme"
    try:
        await operator.post("/scenario", FAST)
        await customer.bind()
        await customer.send("33612000001", b"Your code is 4711")
        await customer.until(lambda: customer.receipts)
        count = 0
        async with aiohttp.ClientSession() as session:
            for (_, _, url, *rest), promised in curls():
                url = url.replace("http://127.0.0.1:8081", operator.url)
                data = rest[1] if rest else None
                async with session.request("POST" if data else "GET", url, data=data) as response:
                    body = await response.text()
                    assert response.status == 200, f"{url}: {body}"
                if promised is not None:
                    same_shape(promised, json.loads(body))
                if "away" in url or "drop" in url:
                    await customer.until(lambda: customer.lost)
                    customer.lost.clear()
                    await rebind(customer)
                count += 1
        assert count >= 10
        await customer.leave()
    finally:
        assert stop(operator) == 0


async def rebind(customer: Customer) -> None:
    for _ in range(100):
        try:
            await customer.bind()
            return
        except (OSError, BindFailed):  # still away, or in the mood to refuse
            await asyncio.sleep(0.05)
    raise AssertionError("no bind")
