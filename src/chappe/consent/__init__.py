"""Consent: who agreed to be written to, who refused, and the proof of both.

`may_send` answers for whole batches and is asked on every path; `record` writes down what a person said, in the unit of
whoever heard it, and `announce` is called after its commit.
"""

from __future__ import annotations

from chappe.consent.addresses import address
from chappe.consent.asking import Found, decide, look, may_send
from chappe.consent.chain import Head
from chappe.consent.exporting import export
from chappe.consent.heeding import Heard, Heeded, Lately, heed
from chappe.consent.kept_links import (
    GONE_PREFIX,
    KeptLink,
    forget_links,
    keep_links,
    kept_link,
    key_of_gone,
    stop_by_key,
)
from chappe.consent.links import LINK_PATH, OPT_OUT_LINK, opt_out_link
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
from chappe.consent.recalling import OnRecord, Said, milder, recall
from chappe.consent.recording import Forbidden, Recorded, announce, record, suppress
from chappe.consent.room import ROOM, TOPIC, persons, start, stops
from chappe.consent.sealing import head, late, seal, seal_regularly
from chappe.consent.statements import Claim, statement
from chappe.consent.stops import Stops
from chappe.consent.storing import record_all
from chappe.consent.suppressions import Gone, start_suppressions
from chappe.consent.undoing import undo, undo_by_key
from chappe.consent.verifying import Verdict, verify, verify_export

__all__ = [
    "BASES",
    "CHANNELS",
    "COVERS",
    "EVERYONES",
    "GONE_PREFIX",
    "LINK_PATH",
    "OPT_OUT_LINK",
    "OWN_WISH",
    "REASONS",
    "ROOM",
    "SCOPES",
    "SOURCES",
    "TOPIC",
    "Basis",
    "Channel",
    "Claim",
    "Cover",
    "Entry",
    "Forbidden",
    "Found",
    "Gone",
    "Head",
    "Heard",
    "Heeded",
    "KeptLink",
    "Lately",
    "No",
    "OnRecord",
    "Persons",
    "Proof",
    "Purpose",
    "Question",
    "Reason",
    "Recorded",
    "Said",
    "Scope",
    "Source",
    "Stops",
    "Suppression",
    "Verdict",
    "address",
    "announce",
    "covers",
    "decide",
    "export",
    "forget_links",
    "head",
    "heed",
    "keep_links",
    "kept_link",
    "key_of_gone",
    "late",
    "look",
    "may_send",
    "milder",
    "opt_out_link",
    "persons",
    "recall",
    "record",
    "record_all",
    "seal",
    "seal_regularly",
    "start",
    "start_suppressions",
    "statement",
    "stop_by_key",
    "stops",
    "suppress",
    "undo",
    "undo_by_key",
    "verify",
    "verify_export",
]
