"""`chappe lint`: a folder checked for people and for machines, with and without a server."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from typer.testing import CliRunner

from chappe.cli import build
from tests.api.conftest import World, world
from tests.cli.conftest import Command

__all__ = ["world"]

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "docs" / "examples" / "templates"

SOUND = """
sender = "Acme"
countries = ["FR"]
bodies.default = "Hi {{ name }}"

[variables.name]
example = "Ada"
alphabet = "gsm7"
"""


def test_the_sample_folder_is_checked(command: Command) -> None:
    told = command("lint", str(SAMPLES))
    assert told.code == 1, told.stderr
    assert "4 templates: 5 errors, 10 warnings" in told.stdout
    sale = SAMPLES / "summer-sale.toml"
    body = sale.read_text("utf-8").splitlines()
    place = re.search(r"summer-sale\.toml:(\d+):(\d+): warning: '’'", told.stdout)
    assert place is not None
    assert body[int(place[1]) - 1][int(place[2]) - 1] == "’"  # the place is that of the file
    codes = set(re.findall(r"\((\w+)\)$", told.stdout, re.MULTILINE))
    assert codes >= {"locale_missing", "variable_unused", "segments_overflow", "opt_out_missing", "ucs2_forced"}
    assert codes >= {"link_shortener", "text_mixed_scripts", "template_not_registered", "variable_too_long"}


def test_exit_codes_tell_clean_errors_and_warnings(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "hello.toml"
    file.write_text(SOUND)
    assert command("lint", str(tmp_path), "--strict").code == 0
    file.write_text(SOUND.replace("[variables.name]", '[variables.rest]\nexample = "x"\n[variables.name]'))
    assert command("lint", str(file)).code == 0
    assert command("lint", str(file), "--strict").code == 2
    file.write_text(SOUND.replace("{{ name }}", "{{ nmae }}"))
    told = command("lint", str(file), "--strict")
    assert told.code == 1
    assert f"{file}:4: error: The variable nmae is not declared." in told.stdout
    (tmp_path / "empty").mkdir()
    assert command("lint", str(tmp_path / "empty")).code == 1


def test_a_file_that_is_none_is_told_at_its_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("x = \n")
    (tmp_path / "b.toml").write_text(SOUND + "length = 5\n")
    (tmp_path / "c.toml").write_text(SOUND.replace("countries", "contries"))
    (tmp_path / "d.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "e.toml").write_text('name = "Bad Name"\n' + SOUND)
    (tmp_path / "f.toml").write_text('name = "g"\n' + SOUND)
    (tmp_path / "g.toml").write_text(SOUND)
    told = command("lint", str(tmp_path), "-q")
    assert told.code == 1
    lines = told.stdout.splitlines()
    for name, line, words in (
        ("a", 1, "no TOML"),
        ("b", 9, "There is no field length"),
        ("c", 3, "There is no field contries"),
        ("d", 1, "cannot be read"),
        ("e", 1, "name"),
        ("g", 1, "has the name g, too"),
    ):
        [one] = [one for one in lines if one.startswith(f"{tmp_path}/{name}.toml")]
        assert one.startswith(f"{tmp_path}/{name}.toml:{line}") and words in one, one
    assert "Did you mean countries?" in told.stdout


def test_machines_read_json_sarif_and_annotations(command: Command) -> None:
    plain = json.loads(command("lint", str(SAMPLES), "--format", "json").stdout)
    assert (plain["templates"], plain["errors"], plain["warnings"]) == (4, 5, 10)
    forced = next(one for one in plain["findings"] if one["code"] == "ucs2_forced")
    assert forced["file"].endswith("summer-sale.toml") and (forced["line"], forced["locale"]) == (11, "fr")

    sarif = json.loads(command("lint", str(SAMPLES), "--format", "sarif").stdout)
    run = sarif["runs"][0]
    assert (sarif["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "chappe lint")
    assert {one["ruleId"] for one in run["results"]} == {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {one["level"] for one in run["results"]} == {"error", "warning", "note"}
    assert all(one["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1 for one in run["results"])

    lines = command("lint", str(SAMPLES), "--format", "github", "-q").stdout.splitlines()
    assert len(lines) == 15
    assert all(
        re.match(r"::(error|warning) file=\S+(summer-sale|parcel)\.toml,line=\d+(,col=\d+)?,title=\w+::\S", one)
        for one in lines
    )


def test_the_pre_commit_hook_runs_this_command() -> None:
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    entry = re.search(r"entry: chappe (\S+) (\S+)", hook)
    assert entry is not None
    told = CliRunner().invoke(build([entry[1]]), [entry[1], entry[2], str(SAMPLES / "login-code.toml")])
    assert told.exit_code == 0, told.output


async def test_a_server_knows_the_words_that_the_account_forbids(world: World, tmp_path: Path) -> None:
    rule = {"kind": "word", "value": "casino", "country": "FR"}
    assert (await world.acme.post("/v1/rule_adjustments", rule)).status == 201
    (tmp_path / "hello.toml").write_text(SOUND.replace("Hi {{ name }}", "Hi {{ name }}, see our casino"))
    for account, code in (("acme", 1), ("rival", 0)):
        arguments = ["lint", str(tmp_path), "--server", world.base, "--key", world.keys[account], "--format", "json"]
        text = (tmp_path / "hello.toml").read_text()
        (tmp_path / "hello.toml").write_text(text.replace("Acme", account.title()))
        told = await asyncio.to_thread(CliRunner().invoke, build(arguments), arguments)
        assert told.exit_code == code, told.output
        errors = [one["code"] for one in json.loads(told.stdout)["findings"] if one["severity"] == "error"]
        assert errors == ["word_forbidden"] * code


async def test_a_server_adds_prices_and_senders(world: World, tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(SOUND)
    (tmp_path / "bad.toml").write_text(SOUND.replace("Acme", "Stranger"))
    arguments = ["lint", str(tmp_path), "--url", world.base, "--key", world.keys["acme"]]
    told = await asyncio.to_thread(CliRunner().invoke, build(arguments), arguments)
    assert told.exit_code == 1, told.output
    assert "bad.toml:1: error: FR: Stranger is not a sender of this account." in told.output
    assert "To FR: no price is known." in told.output
    offline = await asyncio.to_thread(CliRunner().invoke, build(arguments), [*arguments, "--offline"])
    assert offline.exit_code == 0, "a sender that nobody knows is no matter"
    arguments[-1] = "ck_live_wrong"
    refused = await asyncio.to_thread(CliRunner().invoke, build(arguments), arguments)
    assert refused.exit_code == 1
