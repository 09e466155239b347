"""Alembic's folder: `env.py`, and one file a migration in `versions`. `chappe.storage.migrate` runs them."""
