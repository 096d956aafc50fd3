"""The report of a smoke test: what was seen of each promise, also of one that failed or was interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.smoke.report import Promise, Report


def failing() -> str:
    raise CommandError("Athena counts 9")


def interrupted() -> str:
    raise KeyboardInterrupt


def test_a_check_records_what_it_saw_and_raises_what_was_raised() -> None:
    promises = [Promise("first"), Promise("second"), Promise("third"), Promise("fourth")]
    promises[0].check(lambda: "10 rows")
    with pytest.raises(CommandError):
        promises[1].check(failing)
    with pytest.raises(KeyboardInterrupt):
        promises[2].check(interrupted)
    assert [(one.state, one.seen) for one in promises] == [
        ("passed", "10 rows"),
        ("failed", "Athena counts 9"),
        ("unchecked", "interrupted"),
        ("unchecked", ""),
    ]


def test_an_unexpected_error_is_recorded_with_its_class() -> None:
    promise = Promise("first")
    with pytest.raises(ZeroDivisionError):
        promise.check(lambda: str(1 / 0))
    assert (promise.state, promise.seen) == ("failed", "ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("state", "removed", "passed"), [("passed", True, True), ("unchecked", True, False), ("passed", False, False)]
)
def test_a_test_passes_when_every_promise_holds_and_nothing_is_left(
    state: str, removed: bool, passed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report("usher-smoke-1", "the twin", 1.5, [Promise("first", "passed", "x", 1.0)], removed=removed)
    report.promises.append(Promise("second", state))  # type: ignore[arg-type]
    report.write(tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())
    assert (written["passed"], written["stack"], written["usd"]) == (passed, "usher-smoke-1", 1.5)
    assert written["promises"][0] == {"promise": "first", "state": "passed", "seen": "x", "seconds": 1.0}
    report.show()
    assert "of 2 promises hold" in capsys.readouterr().out


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="name another file with --report"):
        Report("usher-smoke-1", "the twin", 1.5).write(tmp_path / "absent" / "report.json")
