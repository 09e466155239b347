"""For developers: write the next migration from what the rooms declare.

    python -m chappe.storage.migrations.autogenerate "add budgets"    the difference to the newest migration
    python -m chappe.storage.migrations.autogenerate --initial        0001 anew, before the first release only

Read the result: a migration only expands, since yesterday's code runs beside it.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext

import chappe
from chappe.storage import migrate
from chappe.storage.partitions import mark_partitioned
from chappe.storage.schema import current_transaction, metadata

VERSIONS = Path(__file__).with_name("versions")


def import_rooms() -> sa.MetaData:
    """Import the `store` of every room, so that the metadata knows all tables."""
    importlib.import_module("chappe.runtime")  # the ground's own
    house = Path(chappe.__file__).parent
    for store in sorted(house.glob("**/store.py")):  # also of rooms within rooms
        importlib.import_module(".".join(("chappe", *store.relative_to(house).with_suffix("").parts)))
    mark_partitioned(metadata)
    return metadata


def render(url: str, *, revision: str, down_revision: str | None, message: str) -> str:
    """The source of the migration that leads from the database at `url` to what the rooms declare."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        options = {"compare_type": True, "render_item": _render_item, "target_metadata": metadata}
        context = MigrationContext.configure(connection, opts=options)
        script = produce_migrations(context, metadata)
        assert script.upgrade_ops is not None
        body = render_python_code(script.upgrade_ops, render_item=_render_item, migration_context=context)
    body = "\n".join(line for line in body.splitlines() if not line.strip().startswith("#"))
    if body.strip() == "pass":
        raise SystemExit("the newest migration already has everything that the rooms declare")
    body = body.replace("sa.BigInteger().with_variant(sa.Integer(), 'sqlite')", "Id")
    names = [name for name in ("Id", "current_transaction") if re.search(rf"\b{name}\b", body)]
    imports = [f"from chappe.storage.schema import {', '.join(names)}"] if names else []
    head = [f'"""{message}"""', "", "from __future__ import annotations", ""]
    head += ["import sqlalchemy as sa", "from alembic import op", "", "", *imports, ""]
    head += [f'revision = "{revision}"', f"down_revision = {down_revision!r}", "", "", "def upgrade() -> None:"]
    return "\n".join(head) + "\n    " + body.strip() + "\n"


def _render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    default = getattr(item, "arg", item)
    if kind == "server_default" and isinstance(default, current_transaction):
        return "current_transaction()"
    return False


def main(arguments: list[str]) -> Path:
    import_rooms()
    initial = arguments == ["--initial"]
    message = "All tables of the first version." if initial else " ".join(arguments)
    if not message or (message.startswith("-") and not initial):
        raise SystemExit(__doc__)
    number = 1 if initial else 1 + max(int(path.name[:4]) for path in VERSIONS.glob("[0-9]*.py"))
    name = "initial" if initial else re.sub(r"\W+", "_", message.lower()).strip("_")[:40]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/empty.db"
        if not initial:
            migrate.upgrade(url)
        down = None if initial else f"{number - 1:04}"
        source = render(url, revision=f"{number:04}", down_revision=down, message=message)
    path = VERSIONS / f"{number:04}_{name}.py"
    path.write_text(source)
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "format", "--quiet", str(path)], check=True)
    subprocess.run([*ruff, "check", "--fix", "--quiet", str(path)], check=True)
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1:])}\n")
