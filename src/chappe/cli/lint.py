"""`chappe lint DIR`: check a folder of templates, for people, for CI and before a commit.

Without a server it checks texts, variables, links and the law of the countries they go to; with --key it asks a
running Chappe, which also knows the account's prices, senders, domains and rules of its own.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote as quoted

import msgspec
import typer

from chappe.cli.client import URL, Api, ApiError, talk
from chappe.cli.terminal import err, fail, out
from chappe.flaws import flaw, spell
from chappe.messages.lint import Finding, lint
from chappe.messages.lint_checks import pure_checks
from chappe.templates import Content

Format = Literal["text", "json", "sarif", "github"]

_COLOUR = {"error": "red", "warning": "yellow", "info": "dim"}
_SARIF = {"error": "error", "warning": "warning", "info": "note"}
_MOST_BYTES = 1_000_000  # of a file
_KEY = re.compile(r"""^\s*(?:bodies\.)?["']?([A-Za-z0-9-]+)["']?\s*=\s*("{3}|'{3}|"|')(.*)$""")


class File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What stands in a file beside the fields of Content."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class Read(NamedTuple):
    """A file: its template, or what keeps it from being one. `lines` is where the body of each locale begins, and
    whether its own lines follow those of the file."""

    path: Path
    name: str
    content: Content | None
    fault: Finding | None
    lines: dict[str, tuple[int, bool]]


class Told(NamedTuple):
    """A finding and its place in a file."""

    path: Path
    line: int
    column: int | None
    finding: Finding


def command(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders, or files *.toml.", exists=True)],
    locale: Annotated[
        list[str] | None, typer.Option("--locale", help="A language that every template should have; may be repeated.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to tell it.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="End with 2 if there are warnings.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Errors and warnings only.")] = False,
    domain: Annotated[
        list[str] | None, typer.Option("--domain", help="A domain of your own; links to others are told. Repeatable.")
    ] = None,
    max_parts: Annotated[int, typer.Option(min=1, max=255, help="Segments that a message may have.")] = 10,
    url: Annotated[
        str, typer.Option("--url", "--server", envvar="CHAPPE_API_URL", help="With --key: where Chappe's API is.")
    ] = URL,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            envvar="CHAPPE_API_KEY",
            help="An API key (ck_...): ask its account's senders, rules, domains and prices.",
            show_default=False,
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server, although CHAPPE_API_KEY is set.")] = False,
) -> None:
    """Check templates; ends with 0 when they are clean, 1 with errors, 2 with --strict and warnings."""
    files = [read(path) for path in every(paths)]
    if not files:
        fail("There are no *.toml files here.")
    locales = tuple(dict.fromkeys([*(locale or ()), *_common(files)]))
    now = time.time_ns() // 1_000_000
    found = list(_told(files, now, locales=locales, domains=tuple(domain or ()), max_parts=max_parts))
    if key and not offline:
        found = _with_server(files, found, locales, url, key)
    if quiet:
        found = [one for one in found if one.finding.severity != "info"]
    {"text": _text, "json": _json, "sarif": _sarif, "github": _github}[format_](found, len(files))
    severities = {one.finding.severity for one in found}
    if "error" in severities:
        raise typer.Exit(1)
    if strict and "warning" in severities:
        raise typer.Exit(2)


# -- reading -------------------------------------------------------------------------------------------------------


def every(paths: Iterable[Path]) -> list[Path]:
    """The files, each once, in order."""
    found: dict[Path, None] = {}
    for path in paths:
        found |= dict.fromkeys(sorted(path.rglob("*.toml")) if path.is_dir() else [path])
    return list(found)


def read(path: Path) -> Read:
    """A file, which may be anything."""
    try:
        raw = path.read_bytes()
        if len(raw) > _MOST_BYTES:
            return _unread(path, f"The file is larger than {_MOST_BYTES} bytes.")
        source = raw.decode()
        value = tomllib.loads(source.replace("\r\n", "\n"))
    except (OSError, UnicodeDecodeError) as error:
        return _unread(path, f"The file cannot be read: {error}.")
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (1, None)
        return _unread(path, f"The file is no TOML: {error}.", line, column)
    except RecursionError:
        return _unread(path, "The file is nested too deeply.")
    name = value.pop("name", path.stem)
    try:
        msgspec.convert({"name": name}, File)
        content = msgspec.convert(value, Content)
    except msgspec.ValidationError as error:
        found = flaw(error, Content)
        field = spell(found.path) or "name"
        line = _line_of(source, str(found.path[-1]) if found.path else "name")
        return _unread(path, f"{field}: {found.message}", line, suggestion=found.action)
    return Read(path, name, content, None, _body_lines(source))


def _unread(path: Path, message: str, line: int = 1, column: int | None = None, suggestion: str | None = None) -> Read:
    fault = Finding(
        code="file_invalid", severity="error", message=message, suggestion=suggestion, line=line, column=column
    )
    return Read(path, path.stem, None, fault, {})


def _body_lines(source: str) -> dict[str, tuple[int, bool]]:
    """Where the body of each locale begins: 1-based, and whether it is written line by line as it will be."""
    found: dict[str, tuple[int, bool]] = {}
    within = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("["):
            within = line.split("#")[0].strip() == "[bodies]"
        match = _KEY.match(line)
        if match is not None and (within or line.lstrip().startswith("bodies.")):
            block = len(match[2]) == 3
            below = block and not match[3]  # a line break right after the quotes is no part of the text
            found.setdefault(match[1], (number + below, block))
    return found


def _line_of(source: str, word: str) -> int:
    lines = source.splitlines()
    pattern = re.compile(rf"""^\s*\[?[\w.]*\b{re.escape(word)}\b""")
    return next((number for number, line in enumerate(lines, 1) if pattern.match(line)), 1)


def _common(files: Iterable[Read]) -> list[str]:
    """The languages that any of the templates has: the others should have them, too."""
    return [locale for one in files if one.content is not None for locale in one.content.bodies if locale != "default"]


# -- checking ------------------------------------------------------------------------------------------------------


def _told(
    files: Iterable[Read], now: int, *, locales: tuple[str, ...], domains: tuple[str, ...], max_parts: int
) -> Iterator[Told]:
    names: dict[str, Path] = {}
    for file in files:
        if file.fault is not None:
            yield Told(file.path, file.fault.line or 1, file.fault.column, file.fault)
        if file.content is None:
            continue
        if file.name in names:
            words = f"{names[file.name]} has the name {file.name}, too."
            yield Told(file.path, 1, None, Finding(code="name_taken", severity="error", message=words))
        names[file.name] = file.path
        checks = pure_checks(file.content, now, domains=domains)
        checks = dataclasses.replace(checks, locales=locales, max_parts=max_parts)
        for finding in lint(file.content, checks):
            yield _placed(file, finding)


def _placed(file: Read, finding: Finding) -> Told:
    start, block = file.lines.get(finding.locale or "", (1, False))
    if finding.line is None or not block:
        return Told(file.path, start, None, finding)
    return Told(file.path, start + finding.line - 1, finding.column, finding)


def _with_server(files: list[Read], found: list[Told], locales: tuple[str, ...], url: str, key: str) -> list[Told]:
    """The server's findings in place of ours, for the files that it can read."""

    async def work(api: Api) -> dict[Path, list[Finding]]:
        told = {}
        for file in files:
            if file.content is None:
                continue
            body = msgspec.to_builtins(file.content) | {"locales": list(locales)}
            try:
                answer = await api.post("/v1/lint", body)
            except ApiError as error:
                err.print(f"{file.path}: {error}", style="red", markup=False)
                raise
            told[file.path] = [msgspec.convert(one, Finding) for one in answer["findings"]]
        return told

    asked = talk(work, url, key)
    kept = [one for one in found if one.path not in asked or one.finding.code == "name_taken"]
    for file in files:
        kept += [_placed(file, finding) for finding in asked.get(file.path, ())]
    return kept


# -- telling -------------------------------------------------------------------------------------------------------


def _text(found: list[Told], files: int) -> None:
    for path, line, column, one in found:
        where = f"{path}:{line}" + (f":{column}" if column else "")
        locale = f" [{one.locale}]" if one.locale else ""
        words = f"{where}: {one.severity}: {one.message}{locale} ({one.code})"
        out.print(words, style=_COLOUR[one.severity], markup=False)
        if one.suggestion:
            out.print(f"    {one.suggestion}", style="dim", markup=False)
    counts = [f"{_count(found, kind)} {kind}s" for kind in ("error", "warning")]
    out.print(f"{files} {'template' if files == 1 else 'templates'}: {', '.join(counts)}", markup=False)


def _count(found: list[Told], severity: str) -> int:
    return sum(one.finding.severity == severity for one in found)


def _json(found: list[Told], files: int) -> None:
    findings = [
        msgspec.structs.asdict(one.finding) | {"file": str(one.path), "line": one.line, "column": one.column}
        for one in found
    ]
    _write(
        {
            "templates": files,
            "errors": _count(found, "error"),
            "warnings": _count(found, "warning"),
            "findings": findings,
        }
    )


def _sarif(found: list[Told], _files: int) -> None:
    """SARIF 2.1.0 (OASIS), which code hosts show beside the lines."""
    from chappe import __version__

    rules = [{"id": code} for code in sorted({one.finding.code for one in found})]
    driver = {"name": "chappe lint", "version": __version__, "rules": rules}
    results = [_result(one) for one in found]
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    _write({"$schema": schema, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]})


def _result(told: Told) -> dict[str, Any]:
    one = told.finding
    words = " ".join(filter(None, (one.message, one.suggestion)))
    region = {"startLine": told.line} | ({"startColumn": told.column} if told.column else {})
    place = {"artifactLocation": {"uri": quoted(told.path.as_posix())}, "region": region}
    return {
        "ruleId": one.code,
        "level": _SARIF[one.severity],
        "message": {"text": words},
        "locations": [{"physicalLocation": place}],
    }


def _github(found: list[Told], _files: int) -> None:
    """Workflow commands of GitHub Actions."""
    kinds = {"error": "error", "warning": "warning", "info": "notice"}
    for path, line, column, one in found:
        place = f"file={_escaped(str(path), ',:')},line={line}" + (f",col={column}" if column else "")
        words = _escaped(" ".join(filter(None, (one.message, one.suggestion))))
        sys.stdout.write(f"::{kinds[one.severity]} {place},title={one.code}::{words}\n")


def _escaped(text: str, also: str = "") -> str:
    for sign in "%\r\n" + also:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def _write(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
