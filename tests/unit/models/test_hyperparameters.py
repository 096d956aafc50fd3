"""Hyperparameters: strings in, values out, every fault named at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import SHARED_PARAMETERS
from usher.algorithms.documentation import with_algorithms
from usher_models.container import find_algorithm, parse, read_hyperparameters
from usher_models.errors import HyperparameterError

FM = ALGORITHMS["fm"]
DOCUMENT = Path(__file__).parents[3] / "docs/models.md"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_factor": "8"}, "unknown hyperparameter 'num_factor'; did you mean 'num_factors'?"),
        ({"Epochs": "8"}, "did you mean 'epochs'?"),
        ({"zzz": "8"}, "known are epochs"),
        ({"num_factors": "0"}, "num_factors is '0': it must lie from 1 to 256"),
        ({"num_factors": "1e9"}, "must be a whole number from 1 to 256"),
        ({"num_factors": "8.5"}, "must be a whole number"),
        ({"num_factors": ""}, "must be a whole number"),
        ({"init_sigma": "nan"}, "must lie from 0.001 to 10"),
        ({"init_sigma": "inf"}, "must lie from 0.001 to 10"),
        ({"predictor_type": "regresor"}, "did you mean 'regressor'?"),
        ({"seed": "-1"}, "must lie from 0"),
    ],
)
def test_a_bad_hyperparameter_is_named_with_what_is_meant(given: dict[str, str], message: str) -> None:
    with pytest.raises(HyperparameterError, match=re.escape(message)):
        parse(given, FM)


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(HyperparameterError, match=r"num_factor'.*; epochs is 'x'"):
        parse({"num_factor": "8", "epochs": "x"}, FM)


@pytest.mark.parametrize(("name", "meant"), [("fmm", "fm"), ("k-nn", "knn"), ("rank", "ranker")])
def test_an_unknown_algorithm_names_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(HyperparameterError, match=f"did you mean '{meant}'"):
        find_algorithm({"algorithm": name})


def test_what_sagemaker_adds_is_accepted_and_ignored() -> None:
    values = parse({"_tuning_objective_metric": "validation:rmse", "sagemaker_program": "x", "epochs": " 7 "}, FM)
    assert values["epochs"] == 7
    assert not any(name.startswith(("_", "sagemaker")) for name in values)


@pytest.mark.parametrize("text", ["{", "[]", '{"epochs": 7}'])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hyperparameters.json"
    path.write_text(text)
    with pytest.raises(HyperparameterError):
        read_hyperparameters(path)


def test_the_quotes_of_the_sdk_are_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.json"
    path.write_text('{"predictor_type": "\\"regressor\\"", "epochs": "7"}')
    assert read_hyperparameters(path) == {"predictor_type": "regressor", "epochs": "7"}
    assert read_hyperparameters(tmp_path / "none.json") == {}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_default_is_within_its_own_bounds(name: str) -> None:
    for parameter in [*ALGORITHMS[name].parameters, *SHARED_PARAMETERS]:
        assert parameter.read(str(parameter.default)) == parameter.default


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_tuned_bound_and_default_is_one_that_the_container_accepts(name: str) -> None:
    algorithm = ALGORITHMS[name]
    assert algorithm.tuned
    assert set(algorithm.defaults) == algorithm.tuned_names
    for end in ("MinValue", "MaxValue"):
        tuned = {one.name: one.range_request()[end] for one in algorithm.tuned}
        parse({**algorithm.fixed, "fit_rows": "train", **tuned}, algorithm)
    parse({**algorithm.fixed, "fit_rows": "train_and_validation", **algorithm.defaults}, algorithm)


def test_the_document_is_generated_from_the_definitions() -> None:
    page = DOCUMENT.read_text()
    assert with_algorithms(page) == page
    for name in ALGORITHMS:
        for parameter in ALGORITHMS[name].parameters:
            assert f"\n| `{parameter.name}` | {parameter.default} |" in page


def test_a_page_without_the_generated_section_is_refused() -> None:
    with pytest.raises(ValueError, match="restore the two lines"):
        with_algorithms("# Models\n")
