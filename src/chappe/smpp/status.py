"""command_status: the codes, their names and what a client does about each (SMPP 3.4, 5.1.3; SMPP 5.0, 4.7.6).

The verdict is about the message; a `BIND` verdict is about the session, and `stop` says that binding again with the
same credentials only makes the operator lock the account. `tries` bounds the retries where experience says so (None:
up to the caller).
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class Verdict(Enum):
    """What to do after a command_status."""

    OK = "ok"
    RETRY = "retry"  # later, with back-off
    THROTTLE = "throttle"  # slow the whole bind down, then send again
    PERMANENT = "permanent"  # this message will never pass here
    BIND = "bind"  # the session is at fault, not the message
    BUG = "bug"  # we built a wrong PDU: alert, do not repeat


class Status(NamedTuple):
    """One command_status. `name` is spelt as in the specification; vendor codes are `0x00000401`."""

    code: int
    name: str
    verdict: Verdict
    stop: bool = False
    tries: int | None = None


ESME_ROK: Final = 0x00
ESME_RINVMSGLEN: Final = 0x01
ESME_RINVCMDLEN: Final = 0x02
ESME_RINVCMDID: Final = 0x03
ESME_RINVBNDSTS: Final = 0x04
ESME_RALYBND: Final = 0x05
ESME_RINVPRTFLG: Final = 0x06
ESME_RINVREGDLVFLG: Final = 0x07
ESME_RSYSERR: Final = 0x08
ESME_RINVSRCADR: Final = 0x0A
ESME_RINVDSTADR: Final = 0x0B
ESME_RINVMSGID: Final = 0x0C
ESME_RBINDFAIL: Final = 0x0D
ESME_RINVPASWD: Final = 0x0E
ESME_RINVSYSID: Final = 0x0F
ESME_RCANCELFAIL: Final = 0x11
ESME_RREPLACEFAIL: Final = 0x13
ESME_RMSGQFUL: Final = 0x14
ESME_RINVSERTYP: Final = 0x15
ESME_RINVNUMDESTS: Final = 0x33
ESME_RINVDLNAME: Final = 0x34
ESME_RINVDESTFLAG: Final = 0x40
ESME_RINVSUBREP: Final = 0x42
ESME_RINVESMCLASS: Final = 0x43
ESME_RCNTSUBDL: Final = 0x44
ESME_RSUBMITFAIL: Final = 0x45
ESME_RINVSRCTON: Final = 0x48
ESME_RINVSRCNPI: Final = 0x49
ESME_RINVDSTTON: Final = 0x50
ESME_RINVDSTNPI: Final = 0x51
ESME_RINVSYSTYP: Final = 0x53
ESME_RINVREPFLAG: Final = 0x54
ESME_RINVNUMMSGS: Final = 0x55
ESME_RTHROTTLED: Final = 0x58
ESME_RINVSCHED: Final = 0x61
ESME_RINVEXPIRY: Final = 0x62
ESME_RINVDFTMSGID: Final = 0x63
ESME_RX_T_APPN: Final = 0x64
ESME_RX_P_APPN: Final = 0x65
ESME_RX_R_APPN: Final = 0x66
ESME_RQUERYFAIL: Final = 0x67
ESME_RINVOPTPARSTREAM: Final = 0xC0  # ESME_RINVTLVSTREAM in SMPP 5.0, and so on down to 0xC4
ESME_ROPTPARNOTALLWD: Final = 0xC1
ESME_RINVPARLEN: Final = 0xC2
ESME_RMISSINGOPTPARAM: Final = 0xC3
ESME_RINVOPTPARAMVAL: Final = 0xC4
ESME_RDELIVERYFAILURE: Final = 0xFE
ESME_RUNKNOWNERR: Final = 0xFF
ESME_RSERTYPUNAUTH: Final = 0x100
ESME_RPROHIBITED: Final = 0x101
ESME_RSERTYPUNAVAIL: Final = 0x102
ESME_RSERTYPDENIED: Final = 0x103
ESME_RINVDCS: Final = 0x104
ESME_RINVSRCADDRSUBUNIT: Final = 0x105
ESME_RINVDSTADDRSUBUNIT: Final = 0x106
ESME_RINVBCASTFREQINT: Final = 0x107
ESME_RINVBCASTALIAS_NAME: Final = 0x108
ESME_RINVBCASTAREAFMT: Final = 0x109
ESME_RINVNUMBCAST_AREAS: Final = 0x10A
ESME_RINVBCASTCNTTYPE: Final = 0x10B
ESME_RINVBCASTMSGCLASS: Final = 0x10C
ESME_RBCASTFAIL: Final = 0x10D
ESME_RBCASTQUERYFAIL: Final = 0x10E
ESME_RBCASTCANCELFAIL: Final = 0x10F
ESME_RINVBCAST_REP: Final = 0x110
ESME_RINVBCASTSRVGRP: Final = 0x111
ESME_RINVBCASTCHANIND: Final = 0x112

FEW_TRIES: Final = 3

_VERDICTS: Final[dict[Verdict, tuple[int, ...]]] = {
    Verdict.OK: (ESME_ROK,),
    Verdict.RETRY: (
        ESME_RSYSERR,
        ESME_RSUBMITFAIL,
        ESME_RX_T_APPN,
        ESME_RQUERYFAIL,
        ESME_RUNKNOWNERR,
        ESME_RSERTYPUNAVAIL,
        ESME_RBCASTFAIL,
        ESME_RBCASTQUERYFAIL,
    ),
    Verdict.THROTTLE: (ESME_RTHROTTLED, ESME_RMSGQFUL),
    Verdict.PERMANENT: (
        ESME_RINVSRCADR,  # the sender is not allowed here
        ESME_RINVDSTADR,
        ESME_RINVMSGID,
        ESME_RCANCELFAIL,
        ESME_RREPLACEFAIL,
        ESME_RCNTSUBDL,
        ESME_RX_P_APPN,
        ESME_RX_R_APPN,
        ESME_RDELIVERYFAILURE,
        ESME_RSERTYPUNAUTH,
        ESME_RPROHIBITED,
        ESME_RSERTYPDENIED,
        ESME_RBCASTCANCELFAIL,
    ),
    Verdict.BIND: (
        ESME_RINVBNDSTS,
        ESME_RALYBND,  # the old session has to die first
        ESME_RBINDFAIL,
        ESME_RINVPASWD,
        ESME_RINVSYSID,
        ESME_RINVSYSTYP,
    ),
}
_STOP: Final = frozenset({ESME_RINVPASWD, ESME_RINVSYSID, ESME_RINVSYSTYP})
_TRIES: Final = {
    ESME_RSYSERR: 2,
    ESME_RMSGQFUL: 2,
    ESME_RTHROTTLED: 20,
    ESME_RSUBMITFAIL: FEW_TRIES,
    ESME_RUNKNOWNERR: FEW_TRIES,
}


def _table() -> dict[int, Status]:
    verdicts = {code: verdict for verdict, codes in _VERDICTS.items() for code in codes}
    return {
        code: Status(code, key, verdicts.get(code, Verdict.BUG), code in _STOP, _TRIES.get(code))
        for key, code in globals().items()
        if key.startswith("ESME_")
    }


TABLE: Final[dict[int, Status]] = _table()


def lookup(code: int) -> Status:
    """The row of a code. Vendor codes (0x400-0x4FF) and codes nobody has defined are worth a few tries, then another
    route."""
    return TABLE.get(code) or Status(code, f"0x{code:08X}", Verdict.RETRY, tries=FEW_TRIES)


def name(code: int) -> str:
    """`ESME_RTHROTTLED`; `0x00000401` for a code that no specification names."""
    return lookup(code).name
