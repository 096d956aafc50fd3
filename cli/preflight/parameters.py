"""The parameters of a deployment: their constraints in the template, and rules between them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session

from cli.errors import CommandError
from cli.preflight.findings import Finding
from twin.cloudformation.template import parameter_faults
from usher.algorithms import ALGORITHMS
from usher.errors import NoPrice
from usher.experiments.stats.presets import PRESETS
from usher.runs import cost
from usher.runs.prices import price_list

CHECK = "parameters"
#: Parameter → SageMaker's shape that lists the instance types for its use.
_INSTANCES = {
    "ProcessingInstanceType": "ProcessingInstanceType",
    "TrainingInstanceType": "TrainingInstanceType",
    "HostingInstanceType": "ProductionVariantInstanceType",
}
_TOPIC = re.compile(r"arn:aws[\w-]*:sns:([a-z0-9-]+):\d{12}:[\w-]+(\.fifo)?")


def saved_overrides(path: Path) -> dict[str, str]:
    """The parameter_overrides of `sam deploy` in samconfig.toml; CommandError when the file cannot be read."""
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} is not TOML: {error}") from error
    given = read.get("default", {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", "")
    pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', given if isinstance(given, str) else " ".join(given))
    return {name: value.strip('"') for name, value in pairs}


def check_parameters(template: Mapping[str, Any], given: Mapping[str, str], region: str) -> Iterator[Finding]:
    """Faults by the template's constraints; rules between parameters only when each is right by itself."""
    faults = parameter_faults(dict(template), given)
    if faults:
        yield from (Finding(CHECK, "refused", fault, "change it in --parameter or samconfig.toml") for fault in faults)
        return
    values = {name: str(given.get(name, one.get("Default", ""))) for name, one in template["Parameters"].items()}
    found = [*_instances(values), *_experiment(values), *_runs(values), *_places(values, region)]
    yield from found
    if not any(finding.state == "refused" for finding in found):
        yield Finding(CHECK, "fine", f"{len(values)} parameters hold their constraints")


def _instances(values: Mapping[str, str]) -> Iterator[Finding]:
    model = botocore.session.get_session().get_service_model("sagemaker")
    for name, shape in _INSTANCES.items():
        types: Any = model.shape_for(shape)
        if values[name] not in types.enum:
            yield Finding(
                CHECK,
                "refused",
                f"{name} is {values[name]}, which SageMaker does not offer for this use",
                "choose a type of https://aws.amazon.com/sagemaker/ai/pricing/",
            )
    for name in ("ProcessingInstanceType", "TrainingInstanceType"):
        try:
            price_list().hour("job", values[name])
        except NoPrice as error:
            yield Finding(CHECK, "refused", f"{name}: runs would be refused, {error}", f"set another {name}")


def _experiment(values: Mapping[str, str]) -> Iterator[Finding]:
    """An experiment has to outlast its attribution window and its epochs."""
    preset = PRESETS[values["ExperimentPreset"]]
    for name in ("AttributionSeconds", "EpochSeconds"):
        hours = float(values[name]) / float(values["ExperimentHourSeconds"])
        if hours >= preset.horizon_hours:
            yield Finding(
                CHECK,
                "refused",
                f"{name} is {hours:g} hours of an experiment, and preset {preset.name} ends after "
                f"{preset.horizon_hours:g}: no experiment could decide",
                f"set {name} lower, or another ExperimentPreset",
            )


def _runs(values: Mapping[str, str]) -> Iterator[Finding]:
    settings = cost.JobSettings(
        values["ProcessingInstanceType"], values["TrainingInstanceType"], int(float(values["TuningTrials"]))
    )
    rows = cost.TrainingRows(int(float(values["MinNewRows"])))
    try:
        first = cost.estimate(rows, [one for one in ALGORITHMS.values() if one.tuned], settings).usd
    except NoPrice:
        return  # reported already
    if first > float(values["BudgetUsd"]):
        yield Finding(
            CHECK,
            "refused",
            f"the first run would cost {first:.2f} USD, and BudgetUsd is {values['BudgetUsd']}: no run would start",
            "raise BudgetUsd, or lower TuningTrials",
        )
    if float(values["ParallelTrials"]) > float(values["TuningTrials"]):
        yield Finding(
            CHECK, "warning", "ParallelTrials is above TuningTrials: only TuningTrials run at once", "lower it"
        )


def _places(values: Mapping[str, str], region: str) -> Iterator[Finding]:
    topic = values["AlarmTopicArn"]
    match = _TOPIC.fullmatch(topic)
    if topic and match is None:
        yield Finding(CHECK, "refused", f"AlarmTopicArn {topic!r} is not the ARN of an SNS topic", "correct it")
    elif match and match[1] != region:
        yield Finding(
            CHECK, "refused", f"AlarmTopicArn is in {match[1]}, alarms of {region} cannot use it", "name a topic there"
        )
    image = re.search(r"\.dkr\.ecr\.([a-z0-9-]+)\.", values["RecommenderImage"])
    if image and image[1] != region:
        yield Finding(
            CHECK, "refused", f"RecommenderImage is in {image[1]}: SageMaker pulls from {region}", "copy it there"
        )
