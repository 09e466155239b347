"""`python -m bench.generator load|sink|httpload|httpsink --option value ...`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from bench.generator import http_load, http_sink, smpp_load, smpp_sink

COMMANDS = {"load": smpp_load, "sink": smpp_sink, "httpload": http_load, "httpsink": http_sink}


def main() -> None:
    """`--some-name` for each option of the command, of its default's type."""
    parser = ArgumentParser(prog="python -m bench.generator")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=(module.__doc__ or "").splitlines()[0])
        for option, default in module.OPTIONS.items():
            kind = str if default is None else type(default)
            command.add_argument(f"--{option.replace('_', '-')}", type=kind, default=default)
    asked = vars(parser.parse_args())
    sys.exit(COMMANDS[asked.pop("command")].main(asked))


main()
