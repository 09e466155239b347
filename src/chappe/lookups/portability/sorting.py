"""Sorting more records than memory should hold: sorted runs on the disk, then a merge."""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

CHUNK = 200_000  # records in memory: 15 MB of short ones
_BUFFERS = 8 << 20  # octets that all runs of a merge may read ahead together


def ordered(records: Iterable[bytes], width: int, folder: Path, chunk: int = CHUNK) -> Iterator[bytes]:
    """The records, each of `width` octets, in ascending order; all are read before the first is given.

    What is on the disk lies in an unnamed file in `folder`, which a crash leaves to nobody. A chunk that continues
    the run before it makes it longer, so that a file which is sorted already is one run and costs no merge.
    """
    source = iter(records)
    with tempfile.TemporaryFile(dir=folder) as file:
        runs: list[tuple[int, int]] = []
        last = b""
        end = 0
        while block := sorted(islice(source, chunk)):
            start = runs.pop()[0] if runs and last <= block[0] else end
            end += file.write(b"".join(block))
            runs.append((start, end))
            last = block[-1]
            block.clear()  # before the next one is read: there is memory for one
        file.flush()
        ahead = max(1, _BUFFERS // (width * max(1, len(runs))))
        yield from heapq.merge(*(_run(file.fileno(), start, end, width, ahead) for start, end in runs))


def _run(descriptor: int, start: int, end: int, width: int, ahead: int) -> Iterator[bytes]:
    """The records between two places of a file, read `ahead` at a time."""
    while start < end:
        block = os.pread(descriptor, min(ahead * width, end - start), start)
        yield from (block[at : at + width] for at in range(0, len(block), width))
        start += len(block)
