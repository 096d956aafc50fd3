"""AWS's SageMaker Python SDK drives our container on the twin: the text of the document."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from demo.generator.files import generate
from demo.generator.world import Size
from tests import roles

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / "build/sagemaker"
DOCUMENT = ROOT / "docs/sagemaker-sdk.md"
BUCKET = "sdk-by-hand"
TIMEOUT_SECONDS = 540

EPILOGUE = """
with open(os.environ["RESULT"], "w") as result:
    json.dump(
        {
            "trials": trials[["TrainingJobName", "k", "index_metric", "FinalObjectiveValue"]].to_dict("records"),
            "best": tuner.best_training_job(),
            "curve": curve.to_dict("records"),
            "artifact": artifact,
            "final": final._latest_training_job.training_job_name,
            "recommended": recommended,
        },
        result,
    )
"""


def _block(language: str) -> str:
    """The document's only code block in that language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The interpreter of the SDK's own environment; `make test-all` makes it, alone this file asks make for it."""
    if not (ENVIRONMENT / ".ready").exists():
        made = subprocess.run(["make", "build/sagemaker/.ready"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
    return ENVIRONMENT / "bin/python"


@pytest.fixture(scope="module")
def driven(sdk: Path, twin: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the document's example leaves behind when it is run against the twin."""
    folder = tmp_path_factory.mktemp("sdk")
    generate(folder / "data", Size(300, 400, 20_000), 7, lambda _: None)
    s3 = twin.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": twin.running.region})
    s3.upload_file(str(folder / "data/ratings.csv"), BUCKET, "by-hand/ratings/ratings.csv")
    s3.upload_file(str(folder / "data/movies.csv"), BUCKET, "by-hand/items/movies.csv")
    role = twin.client("iam").create_role(RoleName="sdk", AssumeRolePolicyDocument=roles.document(roles.trust()))
    everything = roles.document(roles.EVERYTHING)
    twin.client("iam").put_role_policy(RoleName="sdk", PolicyName="everything", PolicyDocument=everything)
    (folder / "config.yaml").write_text(_block("yaml"))
    (folder / "example.py").write_text(_block("python") + EPILOGUE)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    environment = {
        **clean,
        **twin.environment,
        "BUCKET": BUCKET,
        "IMAGE": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/usher-recommender:latest",
        "ROLE": role["Role"]["Arn"],
        "SAGEMAKER_VALIDATE_ROLE": "false",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(folder / "config.yaml"),
        "RESULT": str(folder / "result.json"),
        "HOME": str(folder),
        # Nothing but the twin is needed: whatever else it would call is not there.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    ran = subprocess.run(
        [sdk, folder / "example.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def test_the_sdk_tunes_and_its_analytics_read_the_trials(driven: dict[str, Any], twin: Any) -> None:
    trials = driven["trials"]
    assert len(trials) == 4
    best = max(trials, key=lambda trial: float(trial["FinalObjectiveValue"]))
    assert driven["best"] == best["TrainingJobName"]
    assert all(0 < trial["FinalObjectiveValue"] < 1 for trial in trials)
    (point,) = driven["curve"]
    assert (point["metric_name"], round(point["value"], 6)) == ("ndcg", round(best["FinalObjectiveValue"], 6))
    described = twin.client("sagemaker").describe_training_job(TrainingJobName=driven["best"])
    assert int(described["HyperParameters"]["k"]) == int(best["k"])
    assert described["HyperParameters"]["_tuning_objective_metric"] == "ndcg"


def test_the_sdk_trains_with_the_best_hyperparameters(driven: dict[str, Any], twin: Any) -> None:
    described = twin.client("sagemaker").describe_training_job(TrainingJobName=driven["final"])
    best = next(trial for trial in driven["trials"] if trial["TrainingJobName"] == driven["best"])
    assert described["TrainingJobStatus"] == "Completed"
    assert described["HyperParameters"]["fit_rows"] == "train_and_validation"
    assert int(described["HyperParameters"]["k"]) == int(best["k"])
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == driven["artifact"]


def test_the_sdk_deploys_and_gets_recommendations_for_somebody_new(driven: dict[str, Any]) -> None:
    recommended = driven["recommended"]
    assert recommended["level"] == "fold_in"
    items = [item["item_id"] for item in recommended["items"]]
    assert len(items) == len(set(items)) == 5
    assert "1" not in items  # what was rated does not come back


def test_the_example_leaves_no_endpoint_behind(driven: dict[str, Any], twin: Any) -> None:
    sagemaker = twin.client("sagemaker")
    listed = [endpoint["EndpointStatus"] for endpoint in sagemaker.list_endpoints()["Endpoints"]]
    assert [status for status in listed if status != "Deleting"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == sagemaker.list_models()["Models"] == []
