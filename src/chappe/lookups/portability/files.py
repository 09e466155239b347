"""The folder of indexes: a version in force for each country and the one before it, replaced under load.

    FR.json             names the index in force and the one before; replaced in one step
    FR-00000012.index   an index; never changed
    FR.lock             held by who makes a new version: one at a time, whichever process

A look-up takes the index of its country from a dictionary that is never changed, only replaced; the old index is
unmapped when the last look-up in it returns. A process that is killed while it makes a version leaves files that
nothing names; the next one sweeps them away. Other processes of the installation see a new version with `refresh`.
"""

from __future__ import annotations

import fcntl
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import msgspec
from msgspec import Struct

from chappe import numbers
from chappe.lookups.model import NOT_COVERED, Findings, Told
from chappe.lookups.portability.build import Built, build
from chappe.lookups.portability.errors import PortabilityError
from chappe.lookups.portability.index import IN_DOUBT, Index, Origin, persist
from chappe.lookups.portability.intake import Columns, Progress, Source
from chappe.numbers import Number, NumberError

LEAST_SHARE = 0.5
"""A new version with fewer numbers than this share of those in force is likely half a file."""
_NOT_PORTED = Told("answer", Findings(ported=False))
_DOUBTFUL = Told("not_covered", reason="the portability file contradicts itself about this number")
_MOBILE = ("mobile", "fixed_or_mobile")


class _Versions(Struct, frozen=True):
    """What the pointer of a country holds: names of files."""

    current: str
    previous: str | None = None


class Files:
    """The indexes of all countries in a folder. Look-ups for any thread, changes for any process.

    Opening reads each index once: damage is found then, and no look-up waits for the disk later. `troubles` says by
    country why the version in force cannot be used; then an older one serves, or none.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.troubles: dict[str, PortabilityError] = {}
        self._open: dict[str, Index] = {}
        self._seen: dict[str, str] = {}  # the name of the version that was looked at last
        self._swapping = threading.Lock()
        self.refresh()

    # looking up

    def get(self, digits: str, country: str) -> str | None:
        """MCC and MNC of the operator that a number was ported to; None when the country's file does not tell."""
        index = self._open.get(country)
        return index.get(digits) if index is not None else None

    def find(self, number: Number) -> Told:
        """What the file of its country says. A number that is not in it is not ported if the file is complete, which
        it is for mobiles only; else it is unknown."""
        index = self._open.get(number.country)
        if index is None:
            return NOT_COVERED
        code = index.code(int(number.digits))
        if code is None:
            known = index.meta.origin.complete and number.line_type in _MOBILE
            return _NOT_PORTED if known else NOT_COVERED
        if code == IN_DOUBT:
            return _DOUBTFUL
        return Told("answer", Findings(current=index.meta.operators[code], ported=True))

    async def ask(self, digits: Sequence[str]) -> list[Told]:
        """The same as a source of look-ups: E.164 digits without `+`."""
        return [self._ask(one) for one in digits]

    def _ask(self, digits: str) -> Told:
        try:
            return self.find(numbers.parse("+" + digits))
        except NumberError:
            return NOT_COVERED

    def index(self, country: str) -> Index | None:
        """The index in force: its `meta` says where the numbers come from and how many there are."""
        return self._open.get(country)

    @property
    def countries(self) -> tuple[str, ...]:
        """Those with an index in force."""
        return tuple(sorted(self._open))

    # changing

    def replace(
        self,
        country: str,
        source: Source,
        *,
        columns: Columns,
        operators_map: Mapping[str, str],
        origin: Origin,
        max_faults: int = 0,
        least_share: float = LEAST_SHARE,
        progress: Progress | None = None,
    ) -> Built:
        """Put a file of all ported numbers in force. It takes minutes for ten million rows: not on the event loop.

        Raises PortabilityError (see there), OSError, and what `progress` raises: the version in force then stays.
        """
        with self._change(country):
            held = self._in_force(country)
            target = self._next(country)
            built = build(
                source,
                target,
                country=country,
                columns=columns,
                operators_map=operators_map,
                origin=origin,
                max_faults=max_faults,
                progress=progress,
            )
            if held is not None and len(held) * least_share > built.meta.numbers:
                words = f"The file has {built.meta.numbers:,} numbers, the one in force {len(held):,}: is it whole?"
                raise PortabilityError("portability_shrunk", words)
            self._put(country, target, held)
        return built

    def amend(
        self,
        country: str,
        source: Source,
        *,
        columns: Columns,
        operators_map: Mapping[str, str],
        name: str,
        day: date,
        max_faults: int = 0,
        progress: Progress | None = None,
    ) -> Built:
        """Change the version in force by a file of changes; `columns.action` tells what is added and taken away. Twice
        the same is as good as once, but changes of a `day` before that of the version in force are refused."""
        with self._change(country):
            held = self._in_force(country)
            if held is None:
                words = f"There is no file of {country} that could be changed: import a whole one first."
                raise PortabilityError("portability_nothing_current", words)
            if day < held.meta.origin.date:
                words = f"These are changes of {day}, the version in force is of {held.meta.origin.date}."
                raise PortabilityError("portability_stale", words)
            target = self._next(country)
            built = build(
                source,
                target,
                country=country,
                columns=columns,
                operators_map=operators_map,
                origin=Origin(source=name, date=day, complete=held.meta.origin.complete),
                base=held,
                max_faults=max_faults,
                progress=progress,
            )
            self._put(country, target, held)
        return built

    def undo(self, country: str) -> Index:
        """Put the version before in force again; the one in force is kept as the one before."""
        with self._change(country):
            versions = self._versions(country)
            if versions is None or versions.previous is None:
                raise PortabilityError("portability_nothing_previous", f"There is no version of {country} before.")
            index = _opened(self.folder / versions.previous)
            self._point(country, _Versions(versions.previous, versions.current))
            self._serve(country, index)
        return index

    def remove(self, country: str) -> None:
        """Forget a country: both versions go."""
        with self._change(country):
            self._pointer(country).unlink(missing_ok=True)
            self._forget(country)

    def refresh(self) -> tuple[str, ...]:
        """Serve what was put in force since, by whichever process; the countries that changed. Of an index that cannot
        be used `troubles` tells, and the one that is open stays; at the start the one before it serves."""
        named = {pointer.stem for pointer in self.folder.glob("*.json")}
        gone = sorted({*self._seen, *self.troubles} - named)
        for country in gone:
            self._forget(country)
        return (*gone, *(country for country in sorted(named) if self._follow(country)))

    def _follow(self, country: str) -> bool:
        """Serve the version that the pointer of a country names, if it was not looked at before."""
        try:
            versions = self._versions(country)
            if versions is None or versions.current == self._seen.get(country):
                return False
            self._seen[country] = versions.current
            self._serve(country, _opened(self.folder / versions.current))
            return True
        except PortabilityError as error:
            self.troubles[country] = error
            return country not in self._open and self._fall_back(country)

    def _fall_back(self, country: str) -> bool:
        """Serve the version before the one in force."""
        with suppress(PortabilityError):
            versions = self._versions(country)
            if versions is not None and versions.previous is not None:
                self._swap(country, _opened(self.folder / versions.previous))
                return True
        return False

    def _in_force(self, country: str) -> Index | None:
        """The version that the pointer names, unless it is damaged; perhaps this process has not seen it yet."""
        versions, held = self._versions(country), self._open.get(country)
        if versions is None:
            return None
        if held is not None and held.path.name == versions.current:
            return held
        with suppress(PortabilityError):
            return _opened(self.folder / versions.current)
        return None

    def _put(self, country: str, target: Path, before: Index | None) -> None:
        """Put a new version in force. What is damaged is not worth keeping: then the version before it stays."""
        index = _opened(target)
        versions = self._versions(country)
        previous = before.path.name if before is not None else versions.previous if versions is not None else None
        self._point(country, _Versions(target.name, previous))
        self._serve(country, index)

    def _serve(self, country: str, index: Index) -> None:
        self._seen[country] = index.path.name
        self.troubles.pop(country, None)
        self._swap(country, index)

    def _forget(self, country: str) -> None:
        self._seen.pop(country, None)
        self.troubles.pop(country, None)
        self._swap(country, None)

    def _swap(self, country: str, index: Index | None) -> None:
        with self._swapping:
            others = {other: held for other, held in self._open.items() if other != country}
            self._open = others if index is None else others | {country: index}

    @contextmanager
    def _change(self, country: str) -> Iterator[None]:
        """Alone with a country's files, for all processes; then sweep away what nothing names."""
        if numbers.country(country) is None or country != country.upper():
            raise PortabilityError("portability_country", f"{country} is no country: give an ISO 3166 code such as FR.")
        with (self.folder / f"{country}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                words = f"Another import for {country} is running: wait until it is done."
                raise PortabilityError("portability_busy", words) from None
            try:
                yield
            finally:
                self._sweep(country)

    def _sweep(self, country: str) -> None:
        with suppress(PortabilityError):  # a damaged pointer: then all are kept
            versions = self._versions(country)
            named = (versions.current, versions.previous) if versions is not None else ()
            for path in (*self.folder.glob(f"{country}-*.index"), *self.folder.glob(f".{country}*")):
                if path.name not in named:
                    path.unlink(missing_ok=True)

    def _next(self, country: str) -> Path:
        """A name that no version has."""
        numbered = [path.stem.rpartition("-")[2] for path in self.folder.glob(f"{country}-*.index")]
        last = max((int(one) for one in numbered if one.isdigit()), default=0)
        return self.folder / f"{country}-{last + 1:08d}.index"

    def _versions(self, country: str) -> _Versions | None:
        pointer = self._pointer(country)
        try:
            return msgspec.json.decode(pointer.read_bytes(), type=_Versions)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            words = f"{pointer.name} cannot be read ({error}): remove {country} and import it again."
            raise PortabilityError("portability_corrupt", words) from error

    def _point(self, country: str, versions: _Versions) -> None:
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=f".{country}.", delete=False) as file:
            file.write(msgspec.json.encode(versions))
            persist(file, self._pointer(country))

    def _pointer(self, country: str) -> Path:
        return self.folder / f"{country}.json"


def _opened(path: Path) -> Index:
    """A whole index. Raises PortabilityError alone."""
    try:
        return Index.open(path, verify=True)
    except OSError as error:
        raise PortabilityError("portability_corrupt", f"{path.name} cannot be read: {error.strerror}.") from error
