"""Settings: defaults that run, and complaints that say where and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from chappe.settings import Settings, SettingsError, describe, load, toml_lines


def problems(path: Path | None, environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load(path, environ)
    return refused.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chappe.toml"


def test_the_defaults_need_nothing() -> None:
    settings = load(None, {"PATH": "/bin"})
    assert settings.database == "sqlite:///data/chappe.db"
    assert (settings.http.port, settings.smpp.port, settings.webhooks.allow_private) == (8080, 2775, False)
    assert (settings.in_doubt.otp, settings.in_doubt.transactional) == ("hold", "resend")
    assert (settings.validity_s.otp, settings.validity_s.marketing) == (600, 86_400)


def test_the_database_follows_the_data_dir() -> None:
    assert load(None, {"CHAPPE_DATA_DIR": "/srv/x"}).database == "sqlite:////srv/x/chappe.db"
    assert load(None, {"CHAPPE_DATABASE": "postgresql://u@h/d"}).database == "postgresql://u@h/d"


def test_the_environment_wins_over_the_file(file: Path) -> None:
    file.write_text('max_parts = 3\n[http]\nport = 1\nhost = "0.0.0.0"\n[smpp]\ntls_cert = "c.pem"\n')
    settings = load(file, {"CHAPPE_HTTP__PORT": "9", "CHAPPE_HTTP__DOCS": "off", "CHAPPE_LOG__LEVEL": "debug"})
    assert (settings.max_parts, settings.http.port, settings.http.host) == (3, 9, "0.0.0.0")
    assert (settings.http.docs, settings.log.level, settings.smpp.tls_cert) == (False, "debug", Path("c.pem"))


def test_every_problem_is_named_with_its_line(file: Path) -> None:
    file.write_text(
        '# mine\nmax_partz = 3\n\n[http]\nprt = 1\nhost = 7\n\n[in_doubt]\notp = "maybe"\n\n[htp]\nport = 1\n'
    )
    found = problems(file, {"CHAPPE_SMPP__PORT": "many", "CHAPPE_SMPPP__PORT": "1"})
    assert [problem.removeprefix(f"{file}, ") for problem in found] == [
        "environment variable CHAPPE_SMPPP__PORT: unknown setting; did you mean smpp.port?",
        "environment variable CHAPPE_SMPP__PORT: smpp.port: expected int, got str",
        "line 2: unknown setting max_partz; did you mean max_parts?",
        "line 5: unknown setting http.prt; did you mean port?",
        "line 11: unknown setting htp; did you mean http?",
        "line 6: http.host: expected str, got int",
        "line 9: in_doubt.otp: invalid enum value 'maybe'",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[http]\nport = 70000\n", "line 2: http.port: expected int <= 65535"),
        ("[http]\nport = '1'\n", "line 2: http.port: expected int, got str"),
        ("http = 1\n", "line 1: http is a table: write [http] and its settings below"),
        ("http.port = true\n", "line 1: http.port: expected int, got bool"),
        ("[validity_s]\notp = 5\n", "line 2: validity_s.otp: expected int >= 30"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    assert problems(file, {}) == [f"{file}, {complaint}"]


def test_files_that_cannot_be_read_are_explained(file: Path) -> None:
    assert "No such file" in problems(file, {})[0]
    file.write_text("[http\nport = 1\n")
    assert "line 1" in problems(file, {})[0]
    file.write_bytes(b"\xff\xfe")
    assert "UTF-8" in problems(file, {})[0]


def test_settings_that_contradict_each_other_are_refused() -> None:
    assert "tls_cert" in problems(None, {"CHAPPE_SMPP__TLS_PORT": "3550"})[0]
    assert "keep one" in problems(None, {"CHAPPE_SECRET_KEY": "a", "CHAPPE_SECRET_KEY_FILE": "b"})[0]
    assert "sqlite:///" in problems(None, {"CHAPPE_DATABASE": "mysql://x"})[0]


def test_roles_are_chosen_in_the_file_in_the_environment_or_at_the_command(tmp_path: Path) -> None:
    path = tmp_path / "chappe.toml"
    path.write_text('roles = "jobs"\ndatabase = "postgresql://u@h/d"\n')
    assert load(None, {}).all_roles == ("api", "smsc", "dispatch", "jobs")
    assert load(path, {}).all_roles == ("jobs",)
    assert load(path, {"CHAPPE_ROLES": "smsc, api"}).all_roles == ("api", "smsc")
    assert load(path, {"CHAPPE_ROLES": "api"}, roles="dispatch").all_roles == ("dispatch",)


def test_a_role_that_does_not_exist_and_one_that_would_be_missing_are_named() -> None:
    postgres = {"CHAPPE_DATABASE": "postgresql://u@h/d"}
    [unknown] = problems(None, postgres | {"CHAPPE_ROLES": "api,dispach"})
    assert "no role 'dispach'" in unknown and "did you mean dispatch" in unknown and "api, smsc" in unknown
    [missing] = problems(None, {"CHAPPE_ROLES": "api,smsc"})
    assert "dispatch, jobs would be missing" in missing and "PostgreSQL" in missing


def test_lines_are_found_in_all_ways_of_writing_toml() -> None:
    text = 'a.b = 1\n[c]\n"d" = """\nx = 1\n"""\ne = 2 # f = 3\n[ g . h ]\ni = [\n  1,\n]\nj = 1\n'
    lines = toml_lines(text)
    assert lines == {("a", "b"): 1, ("c",): 2, ("c", "d"): 3, ("c", "e"): 6, ("g", "h"): 7, ("g", "h", "i"): 8,
                     ("g", "h", "j"): 11}  # fmt: skip


def test_the_master_key_comes_from_the_setting_a_file_or_the_first_start(tmp_path: Path) -> None:
    assert Settings(secret_key="k").master_key() == b"k"
    (tmp_path / "key").write_text("f\n")
    assert Settings(secret_key_file=tmp_path / "key").master_key() == b"f"
    made = Settings(data_dir=tmp_path).master_key()
    assert len(made) > 32 and Settings(data_dir=tmp_path).master_key() == made
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingsError, match="secret_key_file"):
        Settings(secret_key_file=tmp_path / "none").master_key()


def test_a_printed_settings_object_shows_no_secret() -> None:
    assert "hunter2" not in repr(Settings(secret_key="hunter2", database="postgresql://u:hunter2@h/d"))


def test_each_setting_is_described_and_can_be_set_by_its_variable() -> None:
    rows = describe()
    assert len({row.name for row in rows}) == len(rows) > 25
    for row in rows:
        assert row.help and row.type and row.variable.startswith("CHAPPE_")
        if row.default and row.name not in ("database", "secret_key_file"):
            load(None, {row.variable: row.default})
