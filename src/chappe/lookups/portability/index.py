"""The index: one country's ported numbers in an immutable file that is mapped into memory and searched in place.

The file, in the byte order of the machine that wrote it; N numbers in B buckets:

    header      32 octets, little-endian: magic `CHAPPENP`, version u32, length of meta u32, place of meta u64,
                CRC-32 of meta u32, CRC-32 of the directory (buckets and starts) u32
    lows        N x u16: the low 16 bits of each number (E.164 digits as an integer), ascending in a bucket
    operators   N x u8, or N x u16 when there are more than 256: a place in the list `operators` of meta
    padding     zeros up to a multiple of 8
    buckets     B x u64: number >> 16, ascending
    starts      (B+1) x u32: where a bucket's numbers begin
    meta        JSON, see Meta

Three octets a number, and a look-up is a binary search among buckets and one within (FR: 3,000 buckets for all
mobiles). Only the directory is copied into the process (12 octets a bucket); the rest is the page cache's. A file is
never changed, so that readers need no lock; it is replaced by another one and vanishes with its last reader.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import sys
import tempfile
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import IO, Literal, NamedTuple

import msgspec
from msgspec import Struct

from chappe.lookups.portability.errors import PortabilityError

MAGIC = b"CHAPPENP"
VERSION = 1
IN_DOUBT = 0
"""The operator of a number that is listed without a clear answer; `operators[0]` is empty."""
_HEADER = struct.Struct("<8sIIQII")
_LOW_BITS = 16
_LOW = (1 << _LOW_BITS) - 1
_BLOCK = 32_768  # numbers in the hand while writing
_READ = 1 << 20


class Origin(Struct, frozen=True, kw_only=True):
    """Where the numbers come from: the file or supplier, the day it tells of, and whether it is `complete`: a mobile
    number that is not in it is not ported."""

    source: str
    date: date
    complete: bool = False


class Meta(Struct, frozen=True, kw_only=True):
    """`numbers` are in the index, `in_doubt` of them without an operator. Of the file: `rows` read, `faults` among
    them by code; `sha256` is of all octets between the header and meta."""

    country: str
    origin: Origin
    operators: tuple[str, ...]
    numbers: int
    in_doubt: int
    rows: int
    faults: dict[str, int]
    buckets: int
    sha256: str
    byte_order: str = sys.byteorder


class _Places(NamedTuple):
    """Where the sections begin, and where the last one ends."""

    operators: int
    padding: int
    buckets: int
    starts: int
    meta: int

    @classmethod
    def of(cls, numbers: int, buckets: int, typecode: Literal["B", "H"]) -> _Places:
        operators = _HEADER.size + 2 * numbers
        width = 1 if typecode == "B" else 2
        padding = operators + width * numbers
        directory = padding + -padding % 8
        starts = directory + 8 * buckets
        return cls(operators, padding, directory, starts, starts + 4 * (buckets + 1))


class Index:
    """An open index file, for any number of threads.

    It has no `close`: the file is unmapped when the last reference goes, which is when its last reader is done.
    """

    def __init__(self, path: Path, meta: Meta, mapped: mmap.mmap) -> None:
        self.path = path
        self.meta = meta
        typecode = _typecode(meta.operators)
        places = _Places.of(meta.numbers, meta.buckets, typecode)
        view = memoryview(mapped)
        self._lows = view[_HEADER.size : places.operators].cast("H")
        self._codes = view[places.operators : places.padding].cast(typecode)
        self._buckets = array("Q", bytes(view[places.buckets : places.starts]))
        self._starts = array("I", bytes(view[places.starts : places.meta]))
        self._operators = meta.operators

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> Index:
        """Map a file after checking its size, meta and directory; `verify` reads all of it (1 GB/s) for its checksum.

        Raises PortabilityError (`portability_corrupt`, `portability_version`), and OSError when it cannot be read.
        """
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _HEADER.size:
                raise _corrupt(path, "it is too short")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            meta, end = _checked(path, mapped)
            if verify and _sha256(file.fileno(), end) != meta.sha256:
                raise _corrupt(path, "its checksum is wrong")
        return cls(path, meta, mapped)

    def __len__(self) -> int:
        return self.meta.numbers

    def get(self, digits: str) -> str | None:
        """The operator (MCC and MNC as text) that has a number, E.164 digits without `+`; None when it is not listed,
        or in doubt."""
        code = self.code(int(digits))
        return (self._operators[code] or None) if code is not None else None

    def get_many(self, digits: Sequence[str]) -> list[str | None]:
        """`get` of each."""
        return [self.get(one) for one in digits]

    def code(self, number: int) -> int | None:
        """The place of its operator in `meta.operators`, IN_DOUBT, or None when the number is not listed."""
        buckets = self._buckets
        bucket = number >> _LOW_BITS
        at = bisect_left(buckets, bucket)
        if at == len(buckets) or buckets[at] != bucket:
            return None
        low, end = number & _LOW, self._starts[at + 1]
        place = bisect_left(self._lows, low, self._starts[at], end)
        return self._codes[place] if place < end and self._lows[place] == low else None

    def items(self) -> Iterator[tuple[int, int]]:
        """Each number and the place of its operator, numbers ascending."""
        for at, bucket in enumerate(self._buckets):
            high = bucket << _LOW_BITS
            start, end = self._starts[at], self._starts[at + 1]
            for low, code in zip(self._lows[start:end], self._codes[start:end], strict=True):
                yield high | low, code


class Contents(Struct, frozen=True, kw_only=True):
    """What the writer is told beside the numbers; see Meta."""

    country: str
    origin: Origin
    operators: tuple[str, ...]
    rows: int
    faults: dict[str, int]


def write(target: Path, numbers: Iterable[tuple[int, int]], contents: Callable[[int], Contents]) -> Meta:
    """Make an index of numbers, ascending and each once, with the places of their operators.

    `contents` is asked after the last number, and told how many came (one at least). Whatever it or `numbers` raises
    leaves no file. The file is on the disk under its name when this returns, and never there in part.
    """
    folder = target.parent
    with (
        tempfile.NamedTemporaryFile(dir=folder, prefix=f".{target.name}.", delete=False) as file,
        tempfile.TemporaryFile(dir=folder) as codes,
    ):
        try:
            file.write(bytes(_HEADER.size))
            columns = _columns(numbers, file, codes)
            meta = _completed(file, codes, columns, contents(columns.numbers))
            persist(file, target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return meta


def persist(file: IO[bytes], target: Path) -> None:
    """Put a written temporary file in the place of `target`, so that a crash leaves the one or the other."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(file.name, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _Columns(NamedTuple):
    """The directory, and how many numbers went into the two columns."""

    buckets: array[int]
    starts: array[int]
    numbers: int
    in_doubt: int


def _columns(numbers: Iterable[tuple[int, int]], lows: IO[bytes], codes: IO[bytes]) -> _Columns:
    """Write each column to its own file. There may be more than 256 operators until the last number is seen: the codes
    are two octets for now."""
    buckets, starts = array("Q"), array("I")
    count = in_doubt = 0
    last = -1
    for block in _blocks(numbers):
        for at, (number, _) in enumerate(block, count):
            if number >> _LOW_BITS != last:
                last = number >> _LOW_BITS
                buckets.append(last)
                starts.append(at)
        lows.write(array("H", [number & _LOW for number, _ in block]))
        told = array("H", [code for _, code in block])
        codes.write(told)
        in_doubt += told.count(IN_DOUBT)
        count += len(block)
    starts.append(count)
    return _Columns(buckets, starts, count, in_doubt)


def _blocks(numbers: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    source = iter(numbers)
    while block := list(islice(source, _BLOCK)):
        yield block


def _completed(file: IO[bytes], codes: IO[bytes], columns: _Columns, contents: Contents) -> Meta:
    """Write what follows the first column, and the header."""
    typecode = _typecode(contents.operators)
    codes.seek(0)
    while block := codes.read(2 * _BLOCK):
        file.write(array(typecode, array("H", block)))
    places = _Places.of(columns.numbers, len(columns.buckets), typecode)
    file.write(bytes(places.buckets - places.padding))
    directory = columns.buckets.tobytes() + columns.starts.tobytes()
    file.write(directory)
    file.flush()
    meta = Meta(
        country=contents.country,
        origin=contents.origin,
        operators=contents.operators,
        numbers=columns.numbers,
        in_doubt=columns.in_doubt,
        rows=contents.rows,
        faults=contents.faults,
        buckets=len(columns.buckets),
        sha256=_sha256(file.fileno(), places.meta),
    )
    told = msgspec.json.encode(meta)
    file.write(told)
    file.seek(0)
    file.write(_HEADER.pack(MAGIC, VERSION, len(told), places.meta, zlib.crc32(told), zlib.crc32(directory)))
    return meta


def _checked(path: Path, mapped: mmap.mmap) -> tuple[Meta, int]:
    """Meta, and where it begins, of a file that is whole as far as a glance tells."""
    magic, version, length, place, meta_crc, directory_crc = _HEADER.unpack_from(mapped)
    if magic != MAGIC:
        raise _corrupt(path, "it does not begin like one")
    if version != VERSION:
        raise PortabilityError(
            "portability_version", f"{path.name} has version {version}, not {VERSION}: import again."
        )
    if place + length != len(mapped):
        raise _corrupt(path, f"it has {len(mapped):,} octets instead of {place + length:,}")
    told = mapped[place:]
    if zlib.crc32(told) != meta_crc:
        raise _corrupt(path, "its description is damaged")
    try:
        meta = msgspec.json.decode(told, type=Meta)
    except msgspec.MsgspecError as error:
        raise _corrupt(path, f"its description cannot be read ({error})") from error
    if meta.byte_order != sys.byteorder:
        words = f"{path.name} was written on a machine with another byte order: import again."
        raise PortabilityError("portability_version", words)
    places = _Places.of(meta.numbers, meta.buckets, _typecode(meta.operators))
    if places.meta != place or zlib.crc32(mapped[places.buckets : place]) != directory_crc:
        raise _corrupt(path, "its directory is damaged")
    return meta, place


def _sha256(descriptor: int, end: int) -> str:
    """Of all octets of a file between the header and `end`. They are read, not mapped: mapped pages would count as
    the memory of this process."""
    checksum = hashlib.sha256()
    at = _HEADER.size
    while at < end and (block := os.pread(descriptor, min(_READ, end - at), at)):
        checksum.update(block)
        at += len(block)
    return checksum.hexdigest()


def _typecode(operators: Sequence[str]) -> Literal["B", "H"]:
    return "B" if len(operators) <= 256 else "H"


def _corrupt(path: Path, why: str) -> PortabilityError:
    words = f"{path.name} is damaged or no index of ported numbers: {why}. Import the file again."
    return PortabilityError("portability_corrupt", words)
