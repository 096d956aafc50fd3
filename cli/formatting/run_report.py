"""The evaluation report of a run as one HTML page, from evaluation.json, the gate's verdict and the tuning trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.formatting.charts import horizontal_bars, intervals
from cli.formatting.pages import document, table, text

Facts = Mapping[str, Any]

#: Metric → its meaning.
_METRICS = {
    "ndcg@10": "ranking: how early do items that users liked afterwards stand among the first ten?",
    "recall@10": "the share of items liked afterwards that the first ten contain",
    "recall@20": "the share of items liked afterwards that the first twenty contain",
    "map@10": "ranking: mean average precision",
    "rmse": "root mean squared error of predicted ratings, in stars; less is better",
    "mae": "mean absolute root mean squared error of predicted ratings, in stars; less is better",
    "coverage@10": "the share of the catalogue that is recommended to any user",
    "novelty@10": "how unpopular the recommended items are, in bits",
}
_ORDER = ("candidate", "champion", "popularity", "bias_only")
#: Colours of the models' bars.
_STYLES = {"candidate": "a", "champion": "b", "popularity": "soft", "bias_only": "soft pale"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One training job of a hyperparameter tuning. objective: None when it measured none."""

    algorithm: str
    name: str
    status: str
    objective: float | None
    hyperparameters: str


def page(evaluation: Facts, verdict: str = "", *, passed: bool = False, trials: Sequence[Trial] = ()) -> str:
    """The page of an evaluation.json. verdict: the run's status and the gate's reason; empty leaves it out.

    Raises KeyError, TypeError, ValueError or AttributeError when `evaluation` is not an evaluation of this version.
    """
    title = f"Run {evaluation['run_id']}"
    champion = evaluation["champion_model_id"] or "no champion: it is the first"
    parts = [
        f"<h1>{text(title)}</h1><p class=soft>model {text(evaluation['model_id'])}, against {text(champion)}</p>",
        f'<p class="verdict {"good" if passed else "bad"}">{text(verdict)}</p>' if verdict else "",
        _leaks(evaluation["leaks"]),
        *_data(evaluation),
        *_models(evaluation.get("algorithms", {})),
        *_left_out(evaluation.get("left_out", {})),
        *_trials(trials),
        *_differences(evaluation["intervals"]),
        *_metrics(evaluation["metrics"]),
        *_slices(evaluation["slices"]),
        *_examples(evaluation["examples"]),
    ]
    return document(f"Usher: {title.lower()}", "".join(parts))


def _trials(trials: Sequence[Trial]) -> list[str]:
    if not trials:
        return ["<h2>Trials</h2><p class=soft>Nothing was tuned: the champion's hyperparameters were fitted anew.</p>"]
    rows = [
        (
            one.algorithm,
            one.name,
            one.hyperparameters,
            one.status,
            "" if one.objective is None else f"{one.objective:.4f}",
        )
        for one in trials
    ]
    heads = ("algorithm", "trial", "hyperparameters", "status", "objective")
    return [
        "<h2>Trials</h2><p class=soft>Fitted on the training rows, scored on the validation rows.</p>",
        _table(heads, rows, 1),
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]], numbers: int) -> str:
    """A table whose last `numbers` columns are numbers."""
    return table(heads, rows, range(len(heads) - numbers, len(heads)))


def _leaks(leaks: Sequence[str]) -> str:
    found = "".join(f"<li>{text(leak)}</li>" for leak in leaks)
    return f"<p class=bad>The leakage checks found:</p><ul class=bad>{found}</ul>" if leaks else ""


def _data(facts: Facts) -> list[str]:
    window, prepared = facts["window"], facts["prepared"]
    rows = [
        ["trained until", facts["trained_until"]],
        ["users with a like, purchase or click after the split", f"{window['users']:,}"],
        ["of them new since the split", f"{window['new_users']:,}"],
        ["rows in the window to be predicted", f"{window['later_rows']:,}"],
        ["of them liked, bought or clicked", f"{window['liked_rows']:,}"],
        ["of them ratings", f"{window.get('rated_rows', window['later_rows']):,}"],
    ]
    rows += [[f"rows: {name}", f"{count:,}"] for name, count in dict(prepared.get("rows", {})).items()]
    rows += [[f"rows by kind: {name}", f"{count:,}"] for name, count in dict(prepared.get("kinds", {})).items()]
    rows += [[f"snapshot of {name}", value] for name, value in dict(prepared.get("snapshots", {})).items()]
    return [
        "<h2>Data</h2><p class=soft>Split by time: models are trained on rows before the split; the first half of "
        "each user's later rows is input at request time, the rest is predicted.</p>",
        _table(["fact", "value"], rows, 1),
    ]


def _models(parts: Mapping[str, Facts]) -> list[str]:
    rows = [
        [
            name,
            ", ".join(f"{key}={value}" for key, value in sorted(part["hyperparameters"].items())),
            ", ".join(f"{key} {_number(value)}" for key, value in sorted(part["metrics"].items())),
        ]
        for name, part in sorted(parts.items())
    ]
    return ["<h2>Models</h2>", _table(["algorithm", "hyperparameters", "metrics of training"], rows, 0)] if rows else []


def _left_out(left_out: Mapping[str, str]) -> list[str]:
    return [f"<p>Left out: {text(name)}: {text(reason)}.</p>" for name, reason in sorted(left_out.items())]


def _differences(found: Mapping[str, Mapping[str, Facts]]) -> list[str]:
    if not found:
        return []
    drawn = []
    for pair, metrics in found.items():
        other = pair.removeprefix("candidate-")
        for metric, interval in metrics.items():
            drawn.append((f"{metric} against {other}", interval, metric != "squared_error"))
    return [
        "<h2>Candidate minus the others</h2><p class=soft>The mean over users and its 95 % interval (paired "
        "bootstrap). An interval that touches 0 shows no difference.</p>",
        intervals(drawn),
    ]


def _metrics(metrics: Mapping[str, Facts]) -> list[str]:
    models = [name for name in _ORDER if name in metrics]
    names = [name for name in _METRICS if any(name in metrics[model] for model in models)]
    names += sorted({name for model in models for name in metrics[model]} - set(names))
    rows = [[name, _METRICS.get(name, ""), *(_number(metrics[model].get(name)) for model in models)] for name in names]
    chart = [
        (model, _STYLES[model], metrics[model]["ndcg@10"])
        for model in models
        if metrics[model].get("ndcg@10") is not None
    ]
    return [
        "<h2>Metrics</h2><p class=soft>The whole catalogue is ranked; nothing is sampled. NDCG@10:</p>",
        horizontal_bars(chart),
        _table(["metric", "meaning", *(model.replace("_", " ") for model in models)], rows, len(models)),
    ]


def _slices(slices: Mapping[str, Mapping[str, Mapping[str, Facts]]]) -> list[str]:
    models = [name for name in _ORDER if name in slices]
    out = ["<h2>Slices</h2><p class=soft>Groups that an average may hide.</p>"]
    for kind, metric, size in (("users", "ndcg@10", "users"), ("items", "recall@20", "rows")):
        names = list(dict.fromkeys(name for model in models for name in slices[model][kind]))
        rows = []
        for name in names:
            found = [slices[model][kind].get(name) for model in models]
            count = next((one[size] for one in found if one), 0)
            rows.append([name, f"{count:,}", *(_number(one[metric]) if one else "" for one in found)])
        out.append(_table([f"{kind}: {metric}", size, *models], rows, len(models) + 1))
    return out


def _examples(examples: Sequence[Facts]) -> list[str]:
    if not examples:
        return []
    out = ["<h2>Examples</h2><p class=soft>Randomly drawn users. Bold: the user liked it afterwards.</p>"]
    for one in examples:
        shown = "".join(f"<li{' class=hit' if i['hit'] else ''}>{text(i['title'])}</li>" for i in one["shown"])
        before, later = (
            "".join(f"<li>{text(title)}</li>" for title in one[k]) for k in ("liked_before", "liked_later")
        )
        out.append(
            f"<div class=user><h3>{text(one['user_id'])} "
            f"<span class=soft>NDCG@10 {_number(one['ndcg@10'])}</span></h3>"
            f"<div>liked<ul>{before}</ul></div><div>the candidate shows<ol>{shown}</ol></div>"
            f"<div>then liked<ul>{later}</ul></div></div>"
        )
    return out


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
