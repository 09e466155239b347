"""Every example of these pages works as it stands: shell, Python, TOML and the JSON that is promised.

The shell blocks of a page run one after the other in one shell, in an empty folder, against `chappe demo --serve`. A
TOML or Python block whose first line is `# name.toml` is first written to that file. The JSON block after a shell block
has the shape of what it answers. A block that cannot run says why in a comment right below it: `<!-- not run: ... -->`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from chappe.cli.reference import cli_page, settings_page
from tests.support.processes import CHAPPE, Process, clean_environment

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (
    "README.md",
    "docs/tutorial/README.md",
    "docs/how-to/install.md",
    "docs/how-to/connect-an-operator.md",
    "docs/how-to/customers-by-smpp.md",
    "docs/how-to/watch.md",
    "docs/how-to/look-up-numbers.md",
    "docs/how-to/route-messages.md",
    "docs/how-to/limit-rates.md",
    "docs/how-to/prices.md",
    "docs/how-to/money.md",
    "docs/how-to/law.md",
    "docs/how-to/opt-out.md",
    "docs/how-to/consents.md",
    "docs/how-to/suppression-lists.md",
    "docs/how-to/opt-out-links.md",
    "docs/how-to/privacy.md",
    "docs/how-to/content.md",
    "docs/how-to/firewall.md",
    "docs/how-to/templates.md",
    "docs/how-to/lint.md",
    "docs/how-to/back-up-and-restore.md",
    "docs/how-to/run-on-postgresql.md",
    "docs/how-to/move-to-postgresql.md",
)
NOT_CODE = ("ini", "sql", "yaml")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$(?:\n<!-- not run: (.+?) -->)?", re.MULTILINE | re.DOTALL)
_MARK = "---- end of block ----"


class Block(NamedTuple):
    """A fenced example; `reason` why it is not run, if it is not."""

    language: str
    text: str
    reason: str

    @property
    def file(self) -> str | None:
        """The file that it says it is."""
        first = self.text.partition("\n")[0]
        named = re.fullmatch(r"# ([\w-]+\.(?:toml|py))", first)
        return named[1] if named else None


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall((ROOT / page).read_text("utf-8"))]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("docs")
    process = Process("demo", [CHAPPE, "demo", "--serve", "--data", str(folder / "data"), "--port", "0"], folder)
    asyncio.run(process.start())
    yield process
    assert asyncio.run(process.stop()) == 0, process.tail


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def here(text: str, ready: dict[str, Any], more: dict[str, str]) -> str:
    """The example with the addresses of this run."""
    changes = {
        "http://127.0.0.1:8080": ready["api_url"],
        "http://127.0.0.1:8081": ready["operator"],
        '"127.0.0.1", 2775': f'"127.0.0.1", {ready["smpp"]["port"]}',
        "port = 2776": f"port = {ready['operator_smpp'].rpartition(':')[2]}",
        "port = 8090": "port = 0",
        "port = 2795": "port = 0",
        "data/demo": ready["data_dir"],
        ".venv/bin/chappe": "chappe",
    }
    for said, meant in (changes | more).items():
        text = text.replace(said, meant)
    return text


def run_page(page: str, demo: Process, folder: Path, **more: str) -> None:
    ready = demo.ready
    changes = {"9000": str(free_port()), **more}
    examples = [Block(one.language, here(one.text, ready, changes), one.reason) for one in blocks(page)]
    environment = clean_environment() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CHAPPE_CONFIG": ready["config"],
        "CHAPPE_API_URL": ready["api_url"],
        "CHAPPE_API_KEY": ready["api_key"],
    }
    for block in examples:
        if block.file is not None:
            (folder / block.file).write_text(block.text)
    for block in examples:
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "python" and block.file is None:
            done = ran([sys.executable, "-c", block.text], folder, environment)
            assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
    shell = [block for block in examples if block.language == "sh" and not block.reason]
    if not shell:
        return
    script = "set -euo pipefail\n" + "\n".join(f"{block.text}\necho; echo '{_MARK}'" for block in shell)
    done = ran(["bash", "-c", script], folder, environment)
    assert done.returncode == 0, f"{page}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    answers = dict(zip(map(id, shell), done.stdout.split(_MARK), strict=False))
    for block, following in pairwise(examples):
        if following.language == "json" and id(block) in answers:
            same_shape(json.loads(following.text), json.loads(answers[id(block)].strip().splitlines()[-1]))


def ran(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90
    )


def same_shape(promised: Any, real: Any, place: str = "$") -> None:
    """Every key that is promised is there with a value of that kind; of lists, one item has to be like the first."""
    if promised is None or real is None:
        assert promised is real, place
    elif isinstance(promised, dict):
        for key, value in promised.items():
            assert key in real, f"{place}.{key}"
            same_shape(value, real[key], f"{place}.{key}")
    elif isinstance(promised, list):
        names = [item.get("name") for item in real if isinstance(item, dict)]
        for item in promised:
            at = names.index(item["name"]) if isinstance(item, dict) and "name" in item else 0
            same_shape(item, real[at], f"{place}[{at}]")
    else:
        assert type(promised) is type(real), place


@pytest.mark.parametrize("page", [page for page in PAGES if "postgresql" not in page])
def test_the_examples_of_a_page_work(page: str, demo: Process, tmp_path: Path) -> None:
    run_page(page, demo, tmp_path)


@pytest.mark.usefixtures("syncing_postgres")  # `chappe doctor` looks
@pytest.mark.parametrize("page", [page for page in PAGES if "postgresql" in page])
def test_the_examples_for_postgresql_work(page: str, demo: Process, tmp_path: Path, postgres_dsn: str) -> None:
    run_page(page, demo, tmp_path, **{"postgresql://chappe:secret@127.0.0.1/chappe": postgres_dsn})


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page: str) -> None:
    for block in blocks(page):
        known = ("sh", "python", "toml", "json", *NOT_CODE)
        assert block.language in known, f"{page}: {block.language or 'no language'}: {block.text[:40]}"
        if block.reason:
            assert len(block.reason) > 15, f"{page}: {block.reason}"
    assert not re.search(r"<!-- not run(?!: .+? -->)", (ROOT / page).read_text("utf-8")), page


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if not re.match(r"https?://", target):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_files_that_the_flow_names_exist() -> None:
    text = (DOCS / "flow.md").read_text("utf-8")
    named = set(re.findall(r"`((?:\w+/)+\w*\.?\w*|\w+\.py)`", text))
    assert len(named) > 25
    rooms = [path for path in (ROOT / "src" / "chappe").rglob("*.py")]
    for name in named:
        found = (ROOT / "src" / "chappe" / name).exists() or any(path.name == name for path in rooms)
        assert found or (ROOT / name).exists(), name


@pytest.mark.parametrize(("name", "made"), [("cli.md", cli_page), ("settings.md", settings_page)])
def test_the_references_say_what_the_code_says(name: str, made: Any) -> None:
    written = (DOCS / "reference" / name).read_text("utf-8")
    assert written == made(), f"run `python -m chappe.cli.reference docs/reference` for {name}"
