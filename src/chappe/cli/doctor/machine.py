"""The machine under Chappe: files and their modes, disk, clock, limits of the process, ports."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import stat
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chappe.cli.doctor.finding import Finding, fail, ok, warn
from chappe.settings import Settings

MB: Final = 1024 * 1024
DISK_FAIL, DISK_WARN = 256 * MB, 2048 * MB
FILES_WARN: Final = 4096
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_EARLIEST: Final = 1_767_225_600  # 2026-01-01: this version is not older
_NAP_S: Final = 0.05


def folder(settings: Settings) -> Iterator[Finding]:
    """The data folder and the secret key in it."""
    place = settings.data_dir
    if not place.exists():
        yield ok("data folder", f"{place} will be made at the first start")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield fail("data folder", f"{place} cannot be written", f"Give it to the user who runs Chappe: chown {place}")
    elif place.stat().st_mode & OTHERS:
        yield warn("data folder", f"{place} is open to other users", f"chmod 700 {place}")
    else:
        yield ok("data folder", str(place))
    yield secret_key(settings)


def secret_key(settings: Settings) -> Finding:
    """The key that opens what is encrypted at rest."""
    if settings.secret_key is not None:
        return ok("secret key", "from the settings")
    path = settings.secret_key_file or settings.data_dir / "secret.key"
    if not path.exists():
        if settings.secret_key_file is None:
            return ok("secret key", f"{path} will be made at the first start")
        return fail("secret key", f"{path} is not there", "Put the key back that the secrets were encrypted with.")
    mode = path.stat().st_mode
    if mode & OTHERS:
        return fail("secret key", f"{path} can be read by other users ({stat.filemode(mode)})", f"chmod 600 {path}")
    if not os.access(path, os.R_OK):
        return fail("secret key", f"{path} cannot be read", "Give it to the user who runs Chappe.")
    return ok("secret key", f"{path}; back it up apart from the database, without it passwords are lost")


def disk(place: Path) -> Finding:
    """Free space where the data lies."""
    while not place.exists() and place != place.parent:
        place = place.parent
    free, total = shutil.disk_usage(place)[2], shutil.disk_usage(place)[0]
    words = f"{free / MB / 1024:.1f} of {total / MB / 1024:.1f} GB free at {place}"
    if free < DISK_FAIL:
        return fail("disk", words, "Make room now: messages are refused when the disk is full.")
    if free < DISK_WARN:
        return warn("disk", words, "Make room, or shorten the retention settings.")
    return ok("disk", words)


def clock() -> Finding:
    """Wall and monotonic clock go on together, and the date is not before this version was made."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(_NAP_S)
    passed, went = time.time() - wall, time.monotonic() - steady
    if wall < _EARLIEST:
        today = time.strftime("%Y-%m-%d", time.gmtime(wall))
        return fail("clock", f"it is {today} here", "Set the clock, and keep it with NTP.")
    if went < _NAP_S / 2 or abs(passed - went) > 1:
        words = f"the wall clock went {passed:.3f} s while the monotonic one went {went:.3f} s"
        return warn("clock", words, "Something sets the clock in steps: let NTP slew it.")
    return ok("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall)))


def interpreter() -> Finding:
    """Whether this Python was built with profile-guided optimisation, as distributions build theirs."""
    words = f"Python {sys.version.split()[0]} at {sys.base_prefix}"
    if sys.base_prefix == "/usr" or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""):
        return ok("interpreter", words)
    how = "Use the system's own Python, or build this one with --enable-optimizations: it is a third quicker."
    return warn("interpreter", f"{words} was built without optimisations", how)


def files() -> Finding:
    """How many files and sockets the process may have open; each bind and each webhook is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    if soft != resource.RLIM_INFINITY and soft < FILES_WARN:
        how = f"ulimit -n {FILES_WARN}, or LimitNOFILE={4 * FILES_WARN} in the systemd unit."
        return warn("open files", f"{soft} (at most {most})", how)
    return ok("open files", f"{soft} (at most {most})")


def free(subject: str, host: str, port: int) -> Finding:
    """Whether `chappe serve` could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if port == 0:
        return ok(subject, "any free port")
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            how = f"Stop what listens there (ss -ltnp 'sport = :{port}'), or choose another port."
            return fail(subject, f"{host}:{port}: {error.strerror}", how)
    return ok(subject, f"{host}:{port} is free")
