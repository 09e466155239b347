"""What the pages say of webhooks is true: their programs are run, their tables compared with the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chappe import webhooks
from chappe.webhooks import model, trial, verbs
from chappe.webhooks.signature import sign
from tests.webhooks.conftest import World, until

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "verify-webhooks.md").read_text()
REFERENCE = (DOCS / "reference" / "webhooks.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert found
    return found


def receiver(program: str) -> Callable[[str, dict[str, str], bytes], Any]:
    names: dict[str, Any] = {}
    exec(compile(program, "verify-webhooks.md", "exec"), names)
    receive: Callable[[str, dict[str, str], bytes], Any] = names["receive"]
    return receive


@pytest.mark.parametrize("program", blocks(HOW_TO, "python"), ids=["library", "by hand"])
async def test_the_receivers_of_the_page_take_ours_and_refuse_others(lite: World, program: str) -> None:
    receive = receiver(program)
    customer = await lite.customer()
    endpoint, old = await lite.endpoint(customer.url)
    _, new = await webhooks.rotate_secret(lite.rt, "test", lite.account_id, endpoint.id)
    await lite.deliver()
    await until(lambda: customer.requests)
    [request] = customer.requests
    for secret in (old, new):
        assert receive(secret, request.headers, request.body)["type"] == "message.delivered"
    for secret, body, headers in (
        (webhooks.new_secret(), request.body, request.headers),
        (new, request.body + b" ", request.headers),
        (new, request.body, request.headers | {"webhook-timestamp": str(int(time.time()) - 301)}),
    ):
        with pytest.raises(Exception, match=r"not signed|too old|No matching"):
            receive(secret, headers, body)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page's shell program needs openssl")
def test_the_shell_program_of_the_page_signs_alike(tmp_path: Path) -> None:
    [program] = blocks(HOW_TO, "sh")
    secret, body = webhooks.new_secret(), '{"text":"é"}'.encode()
    (tmp_path / "body.json").write_bytes(body)
    variables = {"SECRET": secret, "ID": "evt_1", "TIMESTAMP": "1800000000", "PATH": "/usr/bin:/bin:/usr/local/bin"}
    done = subprocess.run(["sh", "-c", program], cwd=tmp_path, env=variables, capture_output=True, check=True)
    assert done.stdout.decode().strip() == sign([webhooks.key_of(secret)], "evt_1", 1_800_000_000, body)


def test_the_table_of_events_is_complete() -> None:
    assert re.findall(r"^\| `(\w+\.\w+)` \|", REFERENCE, re.MULTILINE) == list(webhooks.EVENT_TYPES)


def test_the_example_has_the_fields_that_are_posted() -> None:
    [example] = map(json.loads, blocks(REFERENCE, "json"))
    told = msgspec.to_builtins(trial.sample(1, "message.undelivered", 1_800_000_000_000))
    assert list(example) == ["id", "type", "created_at", "data"]
    assert list(example["data"]) == list(told)
    error = told["error"]
    assert isinstance(error, dict)
    assert example["data"]["error"] | {"supplier": None} == error


def test_the_figures_of_the_page_are_those_of_the_code() -> None:
    assert model.DELAYS_S == (5, 30, 120, 600, 3_600, 10_800, 21_600)
    assert "5 s, 30 s, 2 min, 10 min, 1 h, 3 h, then every 6 h" in REFERENCE
    assert (model.JITTER, model.KEEP_MS, model.EXCERPT) == (0.2, 3 * 86_400_000, 1_024)
    assert (model.DEAD_AFTER_MS, model.DEAD_FAILURES) == (24 * 3_600_000, 10)
    assert f"at most {verbs.MAX_ENDPOINTS}." in REFERENCE
    assert verbs.KEEP_PREVIOUS_S == 24 * 3_600
