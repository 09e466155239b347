"""`chappe sandbox`: a simulated operator to send to."""

from chappe.sandbox.main import command

__all__ = ["command"]
