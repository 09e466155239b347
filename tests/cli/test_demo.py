"""The demo's own judgement: it must not call good what is not."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from chappe.cli.demo.customer import Customer
from chappe.cli.demo.play import Play
from chappe.cli.demo.scenes import FAMILY, SCENES, Scene
from chappe.cli.demo.screen import Screen
from chappe.cli.demo.stage import HOST, Stage, free_port
from chappe.text import Options, encode

WRONG = (
    (Scene(title="good", to="+33639980001", text="Hello"), ""),
    (Scene(title="state", to="+33639980002", text="Hello", final="undelivered"), "must be undelivered"),
    (Scene(title="text", to="+33639980003", text="Hello", reads="Goodbye"), "shows 'Hello'"),
    (Scene(title="parts", to="+33639980004", text="Hello", parts=2), "not 2 x gsm7"),
    (Scene(title="encoding", to="+33639980005", text="Hello", encoding="ucs2"), "not 1 x ucs2"),
    (Scene(title="receipt", to="+33612555002", text="Hello", door="SMPP"), "was told ['UNDELIV']"),
    (Scene(title="refused", to="+1", text="Hello"), "number"),
)


async def test_a_scene_that_ends_otherwise_is_a_problem_in_words(tmp_path: Path) -> None:
    customer, screen = Customer(), Screen()
    async with Stage(tmp_path / "demo", 0, "error") as stage:
        try:
            runs = await Play(stage.ready, customer, screen).run([scene for scene, _ in WRONG])
        finally:
            await customer.leave()
    for run, (scene, words) in zip(runs, WRONG, strict=True):
        assert bool(run.problems) is bool(words), (scene.title, run.problems)
        assert words in "; ".join(run.problems)
    assert not screen.summary(runs, forged=0)
    assert screen.summary(runs[:1], forged=0) and not screen.summary(runs[:1], forged=1)


def test_the_scenes_are_what_their_titles_say() -> None:
    for scene in SCENES:
        options = Options(smart=bool(scene.options.get("smart_encoding")), encoding="ucs2" if scene.ucs2 else "auto")
        encoded = encode(scene.text, options, 1)
        assert (encoded.encoding, len(encoded.parts)) == (scene.encoding, scene.parts), scene.title
        assert encoded.text == (scene.reads or scene.text)
    [family] = [scene for scene in SCENES if FAMILY in scene.text]
    start = len(family.text.split(FAMILY)[0].encode("utf-16-be")) // 2
    assert start < 67 < start + len(FAMILY.encode("utf-16-be")) // 2  # a careless cut would go through it
    assert {scene.door for scene in SCENES} == {"HTTP", "SMPP"}
    assert len({scene.to for scene in SCENES}) == len(SCENES)  # what a phone has is one scene's


def test_the_next_free_port_is_taken() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        assert taken < free_port(taken, []) < taken + 50
    assert free_port(taken, [taken]) != taken


async def test_the_secrets_of_a_demo_stay_and_are_its_owners(tmp_path: Path) -> None:
    async with Stage(tmp_path / "demo", 0, "error") as stage:
        first = stage.ready
    async with Stage(tmp_path / "demo", 0, "error") as stage:
        second = stage.ready
    assert first.api_key == second.api_key and first.smpp.password == second.smpp.password
    assert msgspec.to_builtins(first).keys() >= {"api_url", "api_key", "smpp", "operator", "data_dir"}
    for name in ("api.key", "api-test.key", "smpp.password", "operator.password", "secret.key"):
        assert (tmp_path / "demo" / name).stat().st_mode & 0o077 == 0, name
