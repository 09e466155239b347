"""`python -m bench [speed|rating|routing|history|lookups|portability|templates|firewall|soak|kannel] ...`: each has
--help; without a word it is the speed table."""

from __future__ import annotations

import importlib
import signal
import sys

from bench.kit import Failed

COMMANDS = (
    "speed",
    "rating",
    "routing",
    "consent",
    "history",
    "lookups",
    "portability",
    "templates",
    "firewall",
    "soak",
    "kannel",
)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started and wrote is put away
    words = sys.argv[1:]
    name = words.pop(0) if words and words[0] in COMMANDS else "speed"
    try:
        status: int = importlib.import_module(f"bench.{name}").main(words)
        return status
    except Failed as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
