"""`usher preflight`: without usable credentials the checks that need no account still run; bad options are one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.main import run


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials at all."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def test_without_credentials_names_and_parameters_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["preflight", "--account", "--region", "eu-west-1", "--stack-name", "my_shop"], debug=False)
    said = capsys.readouterr().out
    assert code == 1
    assert "no AWS credentials found" in said
    assert "'my_shop' is not a stack name" in said
    assert "parameters hold their constraints" in said
    assert "2 of 3 checks would be refused." in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--parameter", "DatabaseName"), "--parameter DatabaseName: write KEY=VALUE"),
        (("--template", "absent.yaml"), "absent.yaml is missing: run this in a checkout of Usher"),
    ],
)
def test_bad_options_are_one_line(capsys: pytest.CaptureFixture[str], options: tuple[str, str], words: str) -> None:
    assert run(["preflight", "--account", *options], debug=False) == 1
    assert words in capsys.readouterr().err
