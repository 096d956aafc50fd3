"""The report of a run as one page: what evaluation.json says, with nothing from elsewhere.

The page is written before the gate decides and the trials are SageMaker's: two comments mark where `usher report` puts
the verdict and the trials.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from usher_models.evaluation.drawing import bars, intervals

VERDICT, TRIALS = "<!-- usher: verdict -->", "<!-- usher: trials -->"

Facts = Mapping[str, Any]

#: Metric → what it says, and whether more is better.
_METRICS = {
    "ndcg@10": "ranking: are the items that users then liked among the first ten, and early?",
    "recall@10": "the part of what users then liked that the first ten show",
    "recall@20": "the same for the first twenty",
    "map@10": "ranking, by average precision",
    "rmse": "error of predicted ratings, in stars; less is better",
    "mae": "mean absolute error of predicted ratings, in stars; less is better",
    "coverage@10": "the part of the catalogue that is shown to anybody",
    "novelty@10": "how unknown the shown items are, in bits",
}
_ORDER = ("candidate", "champion", "popularity", "bias_only")
_STYLE = """
:root{color-scheme:light dark;--text:#1d2129;--soft:#5d6673;--rule:#d9dde3;--page:#fff;--card:#f5f6f8;
--candidate:#2563eb;--champion:#d97706;--popularity:#7c8696;--bias_only:#a3a9b4;--good:#15803d;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--text:#e6e9ee;--soft:#9aa4b2;--rule:#333a45;--page:#14171c;--card:#1d222a;
--candidate:#6ea0ff;--champion:#f0a845;--popularity:#8a94a5;--bias_only:#6b7482;--good:#4ade80;--bad:#f87171}}
body{max-width:60rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 system-ui,sans-serif;color:var(--text);
background:var(--page)}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}p{margin:.3rem 0}.soft{color:var(--soft)}
.verdict{background:var(--card);padding:.6rem .9rem;border-radius:.4rem;margin:1rem 0}
.bad{color:var(--bad)}.good{color:var(--good)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;margin:.4rem 0}
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600}td.n,th.n{text-align:right}
svg{width:100%;height:auto;margin:.3rem 0}svg text{font:12px system-ui,sans-serif;fill:var(--text)}
svg .soft{fill:var(--soft)}svg line{stroke:var(--rule)}svg .zero{stroke:var(--soft)}
.candidate{fill:var(--candidate)}.champion{fill:var(--champion)}.popularity{fill:var(--popularity)}
.bias_only{fill:var(--bias_only)}
svg .good{stroke:var(--good);fill:var(--good)}svg .bad{stroke:var(--bad);fill:var(--bad)}
svg .open{stroke:var(--soft);fill:var(--soft)}
.user{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:0 1.5rem;
border-bottom:1px solid var(--rule);padding:.5rem 0}.user h3{grid-column:1/-1;font-size:1rem;margin:.2rem 0}
.user ul,.user ol{margin:.2rem 0;padding-left:1.3rem}.hit{color:var(--good);font-weight:600}
"""


def page(facts: Facts) -> str:
    """The whole page of an evaluation.json."""
    run_id = str(facts["run_id"])
    parts = [
        f"<h1>Run {_text(run_id)}</h1>",
        f"<p class=soft>model {_text(facts['model_id'])}, against "
        f"{_text(facts['champion_model_id'] or 'no champion: it is the first')}</p>",
        VERDICT,
        _leaks(facts["leaks"]),
        *_data(facts),
        *_models(facts.get("algorithms", {})),
        *_left_out(facts.get("left_out", {})),
        TRIALS,
        *_differences(facts["intervals"]),
        *_metrics(facts["metrics"]),
        *_slices(facts["slices"]),
        *_examples(facts["examples"]),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Usher: run {_text(run_id)}</title><style>{_STYLE}</style>{''.join(parts)}</html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], numbers: int) -> str:
    """A table whose last `numbers` columns are numbers. Every cell is escaped."""
    first = len(head) - numbers

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(
            f"<{tag}{' class=n' if place >= first else ''}>{_text(cell)}</{tag}>" for place, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _leaks(leaks: Sequence[str]) -> str:
    found = "".join(f"<li>{_text(leak)}</li>" for leak in leaks)
    return f"<p class=bad>The leak guard found:</p><ul class=bad>{found}</ul>" if leaks else ""


def _data(facts: Facts) -> list[str]:
    window, prepared = facts["window"], facts["prepared"]
    rows = [
        ["trained until", facts["trained_until"]],
        ["users judged: they liked, bought or clicked something later", f"{window['users']:,}"],
        ["of them new since the split", f"{window['new_users']:,}"],
        ["rows in the window to be predicted", f"{window['later_rows']:,}"],
        ["of them liked, bought or clicked", f"{window['liked_rows']:,}"],
        ["of them ratings", f"{window.get('rated_rows', window['later_rows']):,}"],
    ]
    rows += [[f"rows: {name}", f"{count:,}"] for name, count in dict(prepared.get("rows", {})).items()]
    rows += [[f"rows by kind: {name}", f"{count:,}"] for name, count in dict(prepared.get("kinds", {})).items()]
    rows += [[f"snapshot of {name}", value] for name, value in dict(prepared.get("snapshots", {})).items()]
    return [
        "<h2>Data</h2><p class=soft>Split by time: models know nothing after the split; of each user's later rows "
        "the first half is told at request time, the rest is predicted.</p>",
        table(["what", "value"], rows, 1),
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
    return ["<h2>Models</h2>", table(["algorithm", "hyperparameters", "as it was trained"], rows, 0)] if rows else []


def _left_out(left_out: Mapping[str, str]) -> list[str]:
    return [f"<p>Left out: {_text(name)}: {_text(reason)}.</p>" for name, reason in sorted(left_out.items())]


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
    chart = [(model, model, metrics[model]["ndcg@10"]) for model in models if metrics[model].get("ndcg@10") is not None]
    return [
        "<h2>Metrics</h2><p class=soft>The whole catalogue is ranked; nothing is sampled. NDCG@10:</p>",
        bars(chart),
        table(["metric", "what it says", *(model.replace("_", " ") for model in models)], rows, len(models)),
    ]


def _slices(slices: Mapping[str, Mapping[str, Mapping[str, Facts]]]) -> list[str]:
    models = [name for name in _ORDER if name in slices]
    out = ["<h2>Slices</h2><p class=soft>Where an average may hide a harm.</p>"]
    for kind, metric, size in (("users", "ndcg@10", "users"), ("items", "recall@20", "rows")):
        names = list(dict.fromkeys(name for model in models for name in slices[model][kind]))
        rows = []
        for name in names:
            found = [slices[model][kind].get(name) for model in models]
            count = next((one[size] for one in found if one), 0)
            rows.append([name, f"{count:,}", *(_number(one[metric]) if one else "" for one in found)])
        out.append(table([f"{kind}: {metric}", size, *models], rows, len(models) + 1))
    return out


def _examples(examples: Sequence[Facts]) -> list[str]:
    if not examples:
        return []
    out = ["<h2>Examples</h2><p class=soft>Users drawn at random. Bold: they then liked it.</p>"]
    for one in examples:
        shown = "".join(f"<li{' class=hit' if i['hit'] else ''}>{_text(i['title'])}</li>" for i in one["shown"])
        before, later = (
            "".join(f"<li>{_text(title)}</li>" for title in one[k]) for k in ("liked_before", "liked_later")
        )
        out.append(
            f"<div class=user><h3>{_text(one['user_id'])} "
            f"<span class=soft>NDCG@10 {_number(one['ndcg@10'])}</span></h3>"
            f"<div>liked<ul>{before}</ul></div><div>the candidate shows<ol>{shown}</ol></div>"
            f"<div>then liked<ul>{later}</ul></div></div>"
        )
    return out


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _text(value: Any) -> str:
    return html.escape(str(value))
