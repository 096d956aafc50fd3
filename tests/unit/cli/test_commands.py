"""The commands as operators call them, on moto in this process: what they print, refuse and never lose."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import main
from cli.target import Target
from tests.unit.cli.conftest import Run, failure
from usher.schema.ids import object_digest
from usher.store.ingested_objects import IngestedObject

RATINGS = b"userId,movieId,rating,timestamp\n1,2,3.5,964982703\n1,3,4.0,964982703\n"

TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Landing": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "landing"}},
        "Lake": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "lake"}},
    },
    "Outputs": {
        name: {"Value": value}
        for name, value in {
            "LandingBucket": "landing",
            "LakeBucket": "lake",
            "Database": "usher",
            "StateTable": "state",
            "Workgroup": "primary",
        }.items()
    },
}


@pytest.fixture
def target(stack: Target) -> Target:
    """The stack with its buckets; the landing bucket keeps versions."""
    stack.client("cloudformation").create_stack(StackName="usher", TemplateBody=json.dumps(TEMPLATE))
    stack.client("s3").put_bucket_versioning(Bucket="landing", VersioningConfiguration={"Status": "Enabled"})
    return stack


def write(folder: Path, body: bytes, name: str = "ratings.csv") -> Path:
    path = folder / name
    path.write_bytes(body)
    return path


def landed(target: Target) -> dict[str, bytes]:
    """Every object of the landing bucket."""
    s3 = target.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="landing").get("Contents", [])]
    return {key: s3.get_object(Bucket="landing", Key=key)["Body"].read() for key in keys}


# The command line


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["fly"], 2, "usher: No such command 'fly'. (see `usher --help`)"),
        (["upload"], 2, "usher upload: Missing argument"),
        (["upload", "--fly", "x"], 2, "usher upload: No such option: --fly"),
        (["upload", "/nowhere/at/all.csv"], 1, "usher: /nowhere/at/all.csv: file not found"),
        (["query", "most_ratd"], 1, "usher: query most_ratd not found: did you mean most_rated?"),
        (
            ["query", "most_rated", "--param", "a=1"],
            1,
            "usher: query most_rated has no parameter a (its parameters: none)",
        ),
        (["query", "user_history"], 1, "usher: query user_history needs --param user_id=VALUE"),
        (["query", "SELECT 1", "--json", "--csv"], 1, "usher: --json and --csv exclude each other"),
        (["quarantine", "replay", "a", "--map", "x=y"], 1, "usher: --map x=y: write FIELD:OLD=NEW"),
    ],
)
def test_an_error_is_one_line_on_stderr(
    arguments: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments, debug=False) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.out + captured.err


def test_debug_shows_the_trace_wherever_it_stands() -> None:
    with pytest.raises(Exception, match="file not found"):
        main.run(["upload", "/nowhere/at/all.csv", "--debug"], debug=True)


def test_a_defect_says_how_to_see_where(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("cli.commands.upload.read_headers", broken)
    assert main.run(["upload", "x"], debug=False) == 1
    assert capsys.readouterr().err == "usher: ZeroDivisionError: a b (repeat with --debug for the traceback)\n"


def test_ctrl_c_is_said_and_has_the_shells_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.commands.upload.read_headers", interrupted)
    assert main.run(["upload", "x"], debug=False) == 130
    assert capsys.readouterr().err == "usher: interrupted\n"


def test_the_help_of_a_command_loads_neither_boto3_nor_duckdb() -> None:
    code = (
        "import sys; from cli import main; main.run(['query', '--help'], debug=False); "
        "heavy = {'boto3', 'botocore', 'duckdb', 'numpy', 'pyarrow', 'moto'} & sys.modules.keys(); "
        "sys.exit(' '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipe_that_closes_early_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("cli.commands.upload.read_headers", closed)
    monkeypatch.setattr(sys, "stderr", open("/dev/null", "w"))  # noqa: PTH123, SIM115 - closed by the command
    assert main.run(["upload", "x"], debug=False) == 0


# upload


def test_nothing_is_sent_when_one_of_the_files_does_not_fit(run: Run, target: Target, tmp_path: Path) -> None:
    good, bad = write(tmp_path, RATINGS), write(tmp_path, b"x,y\n", "bad.csv")
    assert "bad.csv" in failure(run("upload", good, bad))
    assert landed(target) == {}


def test_a_folder_without_files_to_send_is_an_error(run: Run, tmp_path: Path) -> None:
    write(tmp_path, b"hello", "README.txt")
    assert "no file to upload" in failure(run("upload", tmp_path))


def test_a_missing_stack_is_said_before_anything_is_sent(run: Run, target: Target, tmp_path: Path) -> None:
    target.client("cloudformation").delete_stack(StackName="usher")
    assert "stack usher not found" in failure(run("upload", write(tmp_path, RATINGS)))


def test_waiting_for_an_object_that_never_arrives_is_an_error(run: Run, tmp_path: Path) -> None:
    text = failure(run("upload", write(tmp_path, RATINGS), "--wait", "--timeout", "1"))
    assert "1 of 1 objects are not in the lake" in text
    assert "not read yet" in text


@pytest.mark.parametrize(
    ("status", "rows_ok", "words"),
    [
        ("parsed", 2, "parsed, not committed yet"),
        ("gone", 2, "deleted before it was read"),
        ("committed", 1, "2 rows in"),
    ],
)
def test_what_does_not_add_up_is_an_error(  # noqa: PLR0917 - fixtures and parameters
    run: Run, target: Target, tmp_path: Path, status: Any, rows_ok: int, words: str
) -> None:
    path = write(tmp_path, RATINGS)
    run("upload", path)
    record(target, status=status, rows_in=2, rows_ok=rows_ok, rows_bad=0)
    assert words in failure(run("upload", path, "--wait", "--timeout", "1"))


def record(target: Target, **fields: Any) -> IngestedObject:
    """Write the item of the only landing object, as ingest does."""
    version = target.client("s3").list_object_versions(Bucket="landing")["Versions"][0]
    digest = object_digest("landing", version["Key"], version["VersionId"])
    entry = IngestedObject(digest=digest, dataset="ratings", bucket="landing", key=version["Key"], **fields)
    target.ingested_objects().record(entry)
    return entry


def test_a_folder_is_sent_file_by_file_to_where_each_belongs(run: Run, target: Target, tmp_path: Path) -> None:
    write(tmp_path, RATINGS)
    write(tmp_path, b"movieId,title,genres\n1,Heat (1995),Action\n", "movies.csv")
    write(tmp_path, gzip.compress(b"userId,movieId,tag,timestamp\n1,2,good,1\n"), "tags.csv.gz")
    write(tmp_path, b"read me", "SOURCE.md")
    result = run("upload", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    sent = json.loads(result.stdout)
    assert [item["dataset"] for item in sent] == ["items", "ratings", "tags"]
    assert "Skipped: SOURCE.md" in result.stderr
    assert sorted(key.split("/")[0] for key in landed(target)) == ["items", "ratings", "tags"]
    assert RATINGS in landed(target).values()


def test_the_same_content_is_sent_once_and_again_only_when_asked(run: Run, target: Target, tmp_path: Path) -> None:
    path = write(tmp_path, RATINGS)
    digests = [json.loads(run("upload", path, "--json", *more).stdout)[0]["digest"] for more in ((), (), ("--again",))]
    assert digests[0] == digests[1] != digests[2]
    assert len(landed(target)) == 1


def test_waiting_shows_what_became_of_the_rows(run: Run, target: Target, tmp_path: Path) -> None:
    path = write(tmp_path, RATINGS)
    run("upload", path)
    record(target, status="committed", rows_in=2, rows_ok=1, rows_bad=1, snapshot_id=7)
    result = run("upload", path, "--wait", "--json")
    assert result.exit_code == 0, result.output
    (item,) = json.loads(result.stdout)
    assert (item["rows_in"], item["rows_ok"], item["rows_bad"], item["status"]) == (2, 1, 1, "committed")


def test_a_large_file_goes_in_parts_and_arrives_whole(run: Run, target: Target, tmp_path: Path) -> None:
    body = RATINGS + b"1,2,3.5,964982703\n" * 1_200_000
    assert run("upload", write(tmp_path, body)).exit_code == 0
    (key,) = landed(target)
    head = target.client("s3").head_object(Bucket="landing", Key=key)
    assert "-" in head["ETag"]  # of a multipart upload
    assert landed(target)[key] == body


# quarantine

NASTY = [
    b"1,2,9.5,964982703",
    b"\x1b[2J\x1b]0;owned\x07,2,3.0,1",
    b"\xff\xfe,2,3.0,1",
    b"1,2,\x00,1",
    "1,2,\u202eabc,1".encode(),
]


def refuse(
    target: Target, lines: list[tuple[int, bytes, int]], body: bytes = RATINGS, name: str = "x.csv"
) -> IngestedObject:
    """A landing object and its quarantine file, as ingest leaves them. lines: (number, raw, whole length)."""
    s3 = target.client("s3")
    s3.put_object(Bucket="landing", Key=f"ratings/upload/{name}", Body=body)
    entry = record(target, status="committed", rows_in=9, rows_ok=9 - len(lines), rows_bad=len(lines))
    records = [
        {
            "reason": "rating is out of range",
            "field": "rating",
            "line": number,
            "source": f"{entry.digest}:{number}",
            "offset": 0,
            "bytes": size,
            "raw_base64": base64.b64encode(raw).decode(),
        }
        for number, raw, size in lines
    ]
    s3.put_object(
        Bucket="lake",
        Key=f"quarantine/ratings/dt=2026-11-24/{entry.digest}.jsonl",
        Body="".join(json.dumps(item) + "\n" for item in records),
    )
    return entry


def nasty(target: Target) -> IngestedObject:
    return refuse(target, [(number, raw, len(raw)) for number, raw in enumerate(NASTY, start=2)])


def test_an_unknown_or_ambiguous_digest_is_said(run: Run, target: Target) -> None:
    nasty(target)
    target.client("s3").put_object(Bucket="lake", Key="quarantine/items/dt=2026-11-24/0.jsonl", Body=b"")
    assert "quarantine file xyz not found" in failure(run("quarantine", "show", "xyz"))
    assert "2 quarantine files begin with" in failure(run("quarantine", "show", ""))


def test_a_quarantine_file_that_is_none_is_named_with_its_line(run: Run, target: Target) -> None:
    body = b'{"reason": "a", "line": 1, "raw_base64": "aGk="}\n{"reason": "b"}\n'
    target.client("s3").put_object(Bucket="lake", Key="quarantine/items/dt=2026-11-24/0123.jsonl", Body=body)
    assert "0123.jsonl line 2 is not a quarantine record" in failure(run("quarantine", "show", "0123"))


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_refused_bytes_are_shown_without_harm_to_the_terminal(
    run: Run, target: Target, as_json: tuple[str, ...]
) -> None:
    entry = nasty(target)
    result = run("quarantine", "show", entry.digest[:8], *as_json)
    assert result.exit_code == 0, result.output
    for forbidden in "\x1b\x07\x00\u202e":
        assert forbidden not in result.stdout
    flat = "".join(result.stdout.replace("│", "").split())
    for shown in (r"\x1b[2J", r"\xff\xfe", r"\x00", r"\u202eabc"):
        assert shown in flat or shown.replace("\\", "\\\\") in flat


def test_a_long_line_is_cut_and_its_length_said(run: Run, target: Target) -> None:
    entry = refuse(target, [(2, b"a" * 4096, 10_485_760)])
    (item,) = json.loads(run("quarantine", "show", entry.digest, "--json").stdout)
    assert item["raw"].startswith("aaa")
    assert item["raw"].endswith("… (10,485,760 bytes)")
    assert len(item["raw"]) < 200


def test_replayed_lines_come_under_their_header_and_the_original_stays(run: Run, target: Target) -> None:
    entry = nasty(target)
    before = landed(target)
    result = run("quarantine", "replay", entry.digest, "--map", "rating:9.5=4.5")
    assert result.exit_code == 0, result.output
    assert "--map changed 1 of 5 lines" in result.stderr
    (key,) = landed(target).keys() - before.keys()
    assert key.startswith(f"ratings/upload/replay-{entry.digest}-")
    assert landed(target)[key] == b"\n".join([RATINGS.split(b"\n")[0], b"1,2,4.5,964982703", *NASTY[1:], b""])
    kept = f"quarantine/ratings/dt=2026-11-24/{entry.digest}.jsonl"
    tags = target.client("s3").get_object_tagging(Bucket="lake", Key=kept)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags}["usher-replayed-as"] == key


def test_a_second_replay_is_refused_unless_forced(run: Run, target: Target) -> None:
    entry = nasty(target)
    run("quarantine", "replay", entry.digest)
    assert "was replayed at" in failure(run("quarantine", "replay", entry.digest))
    assert len(landed(target)) == 2
    assert run("quarantine", "replay", entry.digest, "--force").exit_code == 0
    assert len(landed(target)) == 3


def test_a_crash_before_the_mark_does_not_count_the_rows_twice(
    run: Run, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = nasty(target)
    s3 = target.client("s3")

    def crash(**_: object) -> None:
        raise ConnectionError("the network went")

    with monkeypatch.context() as patch:
        patch.setattr(s3, "put_object_tagging", crash)
        run("quarantine", "replay", entry.digest)
    versions = s3.list_object_versions(Bucket="landing", Prefix="ratings/upload/replay-")["Versions"]
    assert run("quarantine", "replay", entry.digest).exit_code == 0
    assert s3.list_object_versions(Bucket="landing", Prefix="ratings/upload/replay-")["Versions"] == versions


def test_lines_of_which_only_the_head_is_kept_are_left_and_said(run: Run, target: Target) -> None:
    entry = refuse(target, [(2, NASTY[0], len(NASTY[0])), (3, b"a" * 4096, 10_485_760)])
    result = run("quarantine", "replay", entry.digest, "--dry-run")
    assert "1 lines are skipped" in result.stderr
    assert "aaaa" not in result.stdout
    only_heads = refuse(target, [(3, b"a" * 4096, 10_485_760)], name="y.csv")
    assert "only the beginning" in failure(run("quarantine", "replay", only_heads.digest))


def test_an_object_refused_for_its_header_needs_the_right_one(run: Run, target: Target) -> None:
    body = b"user;film;stars\n1,2,3.5,1\n"
    lines = [(number, raw, len(raw)) for number, raw in enumerate(body.split(b"\n")[:2], start=1)]
    entry = refuse(target, lines, body)
    assert "give the correct one with --header" in failure(run("quarantine", "replay", entry.digest))
    right = "userId,movieId,rating,timestamp"
    result = run("quarantine", "replay", entry.digest, "--header", right, "--dry-run")
    assert result.stdout.split("\n")[:2] == [right, "1,2,3.5,1"]
    kept = run("quarantine", "replay", entry.digest, "--header", right, "--first-is-row", "--dry-run")
    assert "user;film;stars" in kept.stdout


def test_the_version_that_was_read_gives_the_header(run: Run, target: Target) -> None:
    entry = nasty(target)
    target.client("s3").put_object(Bucket="landing", Key="ratings/upload/x.csv", Body=b"another,header\n")
    assert run("quarantine", "replay", entry.digest, "--dry-run").stdout.startswith("userId,movieId,rating,timestamp")


def test_json_lines_are_corrected_by_field(run: Run, target: Target) -> None:
    line = b'{"user_id": "1", "item_id": "2", "rating": 9, "rated_at": 1}'
    entry = refuse(target, [(1, line, len(line))], line + b"\n", "x.jsonl.gz")
    result = run("quarantine", "replay", entry.digest, "--map", "rating:9=4.5", "--dry-run")
    assert json.loads(result.stdout)["rating"] == "4.5"


def test_an_editor_corrects_the_lines_and_its_failure_sends_nothing(
    run: Run, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = nasty(target)
    for editor, words in (
        ("false", "ended with code 1"),
        ("/no/such/editor", "cannot be started"),
        ("truncate -s0", "no line"),
    ):
        monkeypatch.setenv("VISUAL", editor)
        assert words in failure(run("quarantine", "replay", entry.digest, "--edit"))
    assert len(landed(target)) == 1
    monkeypatch.setenv("VISUAL", "sed -i 's/9.5/4.5/'")
    assert run("quarantine", "replay", entry.digest, "--edit").exit_code == 0
    assert any(b"1,2,4.5,964982703\n" in body for body in landed(target).values())
