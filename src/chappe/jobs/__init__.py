"""Work for later: `jobs.enqueue` in the caller's unit, handlers that rooms register, and work that comes round.

A job is claimed with a lease on the database's clock, so that a crash only delays it. Its handler may run twice: what
it does outside the store has to bear that. The ops it returns commit together with the end of the job, exactly once.
"""

from __future__ import annotations

from chappe.jobs.queue import TOPIC, Backoff, Dead, Handler, Jobs, exponential
from chappe.jobs.schedule import Periodic

__all__ = ["TOPIC", "Backoff", "Dead", "Handler", "Jobs", "Periodic", "exponential"]
