"""Logging: structlog, one line an event, secrets hidden; JSON for machines, colours for a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from chappe.secrets import redact
from chappe.settings import Log


def configure(settings: Log) -> None:
    """Set up the logging of the process; lines go to stderr."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    # not the default formatter, which shows local variables: secrets are among them
    colours = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = colours if console else structlog.processors.JSONRenderer()
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if not console else _as_it_is,
            _hide_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _as_it_is(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return event


def _hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    hidden: MutableMapping[str, Any] = redact(event)
    return hidden
