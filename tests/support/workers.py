"""How the tests are shared out when several workers run them (pytest-xdist): one by one, except those below."""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadScopeScheduling

# Each of these has processes or a large store made for all of its tests, which one worker therefore runs.
# (The marks of `--dist loadgroup` would say so in place, but pytest-xdist 3.8 loses them under pytest 9.2.)
TOGETHER: Final = (
    "tests/acceptance/test_nodes.py",
    "tests/acceptance/test_operator_and_customers.py",
    "tests/cli/",
    "tests/docs/",
    "tests/messages/test_search.py",
    "tests/sandbox/",
)


class Sharing(LoadScopeScheduling):
    """A worker that is free takes the next unit of work, large ones first."""

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in TOGETHER if nodeid.startswith(place)), nodeid)
