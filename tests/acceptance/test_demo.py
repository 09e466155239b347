"""`chappe demo` as its user starts it: a real process, which ends without leaving another behind."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import aiohttp
import psutil
from rich.cells import cell_len

from chappe.cli.demo.scenes import SCENES
from tests.support.eventually import eventually
from tests.support.processes import CHAPPE, Process, clean_environment, run


def demo(folder: Path, data: Path) -> Process:
    return Process("demo", [CHAPPE, "demo", "--serve", "--data", str(data), "--port", "0"], folder)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_the_demo_ends_with_0_when_every_message_ended_as_it_must_and_so_does_a_second_run(tmp_path: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            [CHAPPE, "demo", "--exit", "--data", str(tmp_path / "demo"), "--port", "0"],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"All {len(SCENES)} messages ended as they must." in done.stdout
        assert all(f"✓ {scene.title}" in done.stdout for scene in SCENES)
        assert done.stderr == ""
        timelines = [line for line in done.stdout.splitlines() if line.startswith(("✓", "   "))]
        assert len(timelines) > 5 * len(SCENES) and max(map(cell_len, timelines)) <= 100


async def test_what_is_served_can_be_used_and_nothing_is_left_at_sigterm(tmp_path: Path) -> None:
    process = demo(tmp_path, tmp_path / "demo")
    await process.start()
    ready = process.ready
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert len(family) == 3  # Chappe, what writes its store, and the operator
    headers = {"Authorization": f"Bearer {ready['api_key']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        body = {"to": "+33612345678", "from": "Chappe", "text": "Hello"}
        async with session.post(ready["api_url"] + "/v1/messages", json=body) as response:
            assert response.status == 202
            id = (await response.json())["id"]

        async def delivered() -> bool:
            async with session.get(f"{ready['api_url']}/v1/messages/{id}") as response:
                return bool((await response.json())["status"] == "delivered")

        await eventually(delivered)
        test_key = {"Authorization": f"Bearer {ready['api_test_key']}"}
        async with session.post(ready["api_url"] + "/v1/messages", json=body, headers=test_key) as response:
            assert (await response.json())["connector"] == "sandbox-test"
        async with session.get(ready["operator"] + "/state") as response:
            assert ready["operator_system_id"] in (await response.json())["customers"]
        async with session.get(ready["docs_url"]) as response:
            assert response.status == 200
    assert ready["smpp"].keys() == {"host", "port", "system_id", "password"}
    assert await process.stop() == 0, process.tail
    assert not alive(family)


async def test_a_killed_demo_leaves_nothing_running(tmp_path: Path) -> None:
    process = demo(tmp_path, tmp_path / "demo")
    await process.start()
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.kill()
    await eventually(lambda: not alive(family))


async def test_two_demos_run_side_by_side_but_not_in_one_folder(tmp_path: Path) -> None:
    first = demo(tmp_path, tmp_path / "demo")
    await first.start()
    settings = (tmp_path / "demo" / "chappe.toml").read_text()
    second = run({}, "demo", "--exit", "--data", str(tmp_path / "demo"))
    assert second.returncode == 1
    assert "another process serves" in second.stderr and "--data" in second.stderr
    assert (tmp_path / "demo" / "chappe.toml").read_text() == settings  # the running one was not disturbed
    assert await first.stop() == 0


async def test_a_signal_ends_a_demo_that_is_still_sending(tmp_path: Path) -> None:
    command = [CHAPPE, "demo", "--exit", "--data", str(tmp_path / "demo"), "--port", "0"]
    process = Process("demo", command, tmp_path)
    await process.start()
    family = psutil.Process(process.pid).children(recursive=True)
    psutil.Process(process.pid).send_signal(signal.SIGINT)
    assert await process.stop() == 1, process.tail
    assert not alive(family)
    assert json.loads((tmp_path / "demo.json").read_text())["api_url"] == process.ready["api_url"]
