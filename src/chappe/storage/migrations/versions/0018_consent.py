"""Who agreed to be written to, who refused, and how it is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    _entries()
    op.create_table(
        "consents",
        sa.Column("person_key", Id, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("channel", "purpose", "brand")),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("state", "basis", "source")),
        sa.Column("at", Id, nullable=False),
        sa.Column("expires_at", Id, nullable=True),
        sa.Column("entry_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("person_key", "channel", "purpose", "brand"),
        sqlite_with_rowid=False,
    )
    op.create_index("consents_account", "consents", ["account_id", "test", "entry_id"])
    _suppressions()
    op.create_table(
        "message_touches",
        sa.Column("person_key", Id, autoincrement=False, nullable=False),
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.Column("at", Id, nullable=False),
        sa.PrimaryKeyConstraint("person_key", "message_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("message_touches_age", "message_touches", ["at"])


def _entries() -> None:
    texts = ("event", "channel", "purpose", "brand", "basis", "source")
    op.create_table(
        "consent_entries",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("person_key", Id, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("at", Id, nullable=False),
        sa.Column("expires_at", Id, nullable=True),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("sequence", Id, nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("consent_entries_person", "consent_entries", ["person_key", "id"])
    op.create_index("consent_entries_chain", "consent_entries", ["account_id", "test", "sequence"], unique=True)
    unsealed = sa.text("sequence is null")
    op.create_index(
        "consent_entries_unsealed", "consent_entries", ["id"], sqlite_where=unsealed, postgresql_where=unsealed
    )
    if op.get_context().dialect.name == "sqlite":
        for name, event in (("no_delete", "delete"), ("no_rewriting", f"update of {_FIXED}")):
            op.execute(
                f"create trigger consent_entries_{name} before {event} on consent_entries "
                "begin select raise(abort, 'consent_entries is append-only'); end"
            )
        for name, guard in _ONCE.items():
            op.execute(
                f"create trigger consent_entries_{name} before update of {name} on consent_entries when {guard} "
                "begin select raise(abort, 'consent_entries is append-only'); end"
            )
        return
    op.execute(
        "create function consent_entries_append_only() returns trigger language plpgsql as "
        "$$ begin raise exception 'consent_entries is append-only'; end $$"
    )
    does = "execute function consent_entries_append_only()"
    op.execute(f"create trigger consent_entries_no_delete before delete on consent_entries for each row {does}")
    op.execute(f"create trigger consent_entries_fixed before update of {_FIXED} on consent_entries for each row {does}")
    for name, guard in _ONCE.items():
        op.execute(
            f"create trigger consent_entries_{name} before update of {name} on consent_entries "
            f"for each row when ({guard}) {does}"
        )


_FIXED = "id, account_id, test, person_key, event, channel, purpose, brand, basis, source, at, expires_at, commitment"
# a place in the chain is given once; a proof may only be forgotten
_ONCE = {
    "sequence": "old.sequence is not null",
    "hash": "old.hash is not null",
    "salt": "new.salt is not null",
    "proof": "new.proof is not null",
}


def _suppressions() -> None:
    texts = ("channel", "scope", "value", "covers", "reason", "source", "list_name", "note")
    op.create_table(
        "suppressions",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("person_key", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("expires_at", Id, nullable=True),
        sa.Column("entry_id", Id, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    person = ["person_key", "channel", "scope", "value", "reason", "list_name"]
    op.create_index("suppressions_person", "suppressions", person, unique=True)
    op.create_index("suppressions_account", "suppressions", ["test", "account_id", "id"])
    expiring = sa.text("expires_at is not null")
    op.create_index(
        "suppressions_expiry", "suppressions", ["expires_at"], sqlite_where=expiring, postgresql_where=expiring
    )
