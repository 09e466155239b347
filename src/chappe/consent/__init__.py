"""Consent: who agreed to be written to, who refused, and the proof of both.

`may_send` answers for whole batches and is asked on every path; `record` writes down what a person said, in the unit of
whoever heard it, and `announce` is called after its commit.
"""

from __future__ import annotations

from chappe.consent.asking import Found, decide, look, may_send
from chappe.consent.model import (
    BASES,
    CHANNELS,
    COVERS,
    EVERYONES,
    OWN_WISH,
    REASONS,
    SCOPES,
    SOURCES,
    Basis,
    Channel,
    Cover,
    Entry,
    No,
    Proof,
    Purpose,
    Question,
    Reason,
    Scope,
    Source,
    Suppression,
    covers,
)
from chappe.consent.persons import Persons
from chappe.consent.recording import Forbidden, Recorded, announce, record, suppress
from chappe.consent.room import ROOM, TOPIC, persons, start, stops
from chappe.consent.stops import Stops

__all__ = [
    "BASES",
    "CHANNELS",
    "COVERS",
    "EVERYONES",
    "OWN_WISH",
    "REASONS",
    "ROOM",
    "SCOPES",
    "SOURCES",
    "TOPIC",
    "Basis",
    "Channel",
    "Cover",
    "Entry",
    "Forbidden",
    "Found",
    "No",
    "Persons",
    "Proof",
    "Purpose",
    "Question",
    "Reason",
    "Recorded",
    "Scope",
    "Source",
    "Stops",
    "Suppression",
    "announce",
    "covers",
    "decide",
    "look",
    "may_send",
    "persons",
    "record",
    "start",
    "stops",
    "suppress",
]
