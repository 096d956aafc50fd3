"""Charts of an experiment over time, from its decisions and strata; also of a simulated one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cli.experiments.presentation import counted
from cli.experiments.records import Experiment, Item, mapping, moment_of, number
from cli.formatting.charts import Bars, Chart, Line
from usher.experiments.stats.presets import Preset
from usher.store.experiments import ROLES

_TEN = math.log(10)
_STYLES = {"champion": "a", "challenger": "b"}
#: Evidence above ten to this power, or below ten to minus this power, is drawn at the edge.
_POWERS = 5.0


def charts(experiment: Experiment, preset: Preset | None) -> list[Chart]:
    """All charts that the stored items have values for."""
    course = Course(experiment)
    drawn = [
        course.weights(),
        course.enrolments(),
        course.rates(),
        course.evidence(preset),
        course.scores(),
        course.lift(),
        course.guardrails(preset),
    ]
    return [chart for chart in drawn if chart is not None]


class Course:
    """Decisions and strata of an experiment, by hour of its preset's calendar."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        timed = [(experiment.hours(moment_of(item)), item) for item in experiment.decisions]
        self.decisions = [(hours, item) for hours, item in timed if math.isfinite(hours) and hours >= 0]
        spans = [self._span(item) for item in experiment.strata]
        self.strata = [
            (*span, item)
            for span, item in zip(spans, experiment.strata, strict=True)
            if all(map(math.isfinite, span)) and 0 <= span[0] < span[1]
        ]
        # The start of a stratum is stored in whole seconds, its end is not: the next one may start before this end.
        begins = [*(opened for opened, _, _ in self.strata[1:]), math.inf]
        self.strata = [
            (opened, min(closed, following) if following > opened else closed, item)
            for (opened, closed, item), following in zip(self.strata, begins, strict=False)
        ]
        ends = [hours for hours, _ in self.decisions] + [closed for _, closed, _ in self.strata]
        self.x_max = max([*ends, 1 / 60])

    def _span(self, item: Item) -> tuple[float, float]:
        hours = self.experiment.hours
        return hours(number(item, "opened_at")), hours(number(item, "closed_at"))

    def _numbers(self, name: str) -> list[float]:
        return [number(mapping(item.get("numbers")), name) for _, item in self.decisions]

    def _line(self, label: str, name: str, style: str, scale: float = 1.0) -> Line:
        """A number of the decisions over time, without the decisions that lack it."""
        points = [
            (hours, value / scale)
            for (hours, _), value in zip(self.decisions, self._numbers(name), strict=True)
            if math.isfinite(value)
        ]
        return Line(label, [x for x, _ in points], [y for _, y in points], style)

    def weights(self) -> Chart | None:
        """The challenger's share under each version of the router and after each decision."""
        epochs = self.experiment.epochs or self.experiment.strata
        points = [(self.experiment.hours(number(item, "opened_at")), self.experiment.share(item)) for item in epochs]
        points += [(hours, self.experiment.share(item)) for hours, item in self.decisions]
        points = sorted(((x, y) for x, y in points if math.isfinite(y) and x >= 0), key=lambda point: point[0])
        if not points:
            return None
        begins = mapping(self.decisions[0][1].get("weights_before")) if self.decisions else {}
        first = number(begins, "challenger")
        points.insert(0, (0.0, points[0][1] if math.isnan(first) else first))
        line = Line("challenger", [x for x, _ in points], [y for _, y in points], "b", steps=True)
        return Chart("The challenger's share of new users", self.x_max, 0.0, 1.0, [line], percent=True)

    def enrolments(self) -> Chart | None:
        """Users of each stratum by role, side by side; the darker part converted."""
        if not self.strata:
            return None
        most = max(number(mapping(item.get(role)), "n") for _, _, item in self.strata for role in ROLES)
        if not most > 0:
            return None
        bars = []
        for place, role in enumerate(ROLES):
            sides = [self._side(opened, closed, place) for opened, closed, _ in self.strata]
            for label, kind, pale in ((f"{role}: enrolled", 0, " pale"), (f"{role}: converted", 1, "")):
                heights = [_zero(counted(item, role)[kind]) for _, _, item in self.strata]
                style = f"{_STYLES[role]}{pale}"
                bars.append(Bars(label, [a for a, _ in sides], [b for _, b in sides], heights, style))
        note = "One pair per stratum: the users enrolled under one version of the router, each counted once."
        return Chart("Users by stratum", self.x_max, 0.0, most * 1.05, [], bars=bars, note=note)

    @staticmethod
    def _side(opened: float, closed: float, place: int) -> tuple[float, float]:
        half = (closed - opened) / 2
        return opened + place * half, opened + (place + 1) * half

    def rates(self) -> Chart | None:
        """The conversion rate of all strata so far, by role; a single stratum has too few users."""
        lines = []
        for role in ROLES:
            users = conversions = 0.0
            x, y = [], []
            for _, closed, item in self.strata:
                n, c = (_zero(value) for value in counted(item, role))
                users, conversions = users + n, conversions + c
                if users > 0:
                    x.append(closed)
                    y.append(conversions / users)
            lines.append(Line(role, x, y, _STYLES[role]))
        top = max((value for line in lines for value in line.y), default=0.0)
        if top <= 0:
            return None
        return Chart(
            "Conversion rate so far, not adjusted for drift", self.x_max, 0.0, min(top * 1.25, 1.0), lines, percent=True
        )

    def evidence(self, preset: Preset | None) -> Chart | None:
        """The e-values for "better" and "worse", with the limits at which they decide."""
        lines = [
            self._line("better", "log_e_promote", "a", _TEN),
            self._line("worse", "log_e_harm", "b", _TEN),
        ]
        limits = _limits(
            preset, (("enough to promote at any time", "alpha_anytime"), ("enough to retire", "alpha_harm"))
        )
        note = "With equal models, at most one experiment in 500 ever reaches an e-value of 500."
        return self._powers("Evidence: powers of ten of the e-values", lines, limits, note)

    def scores(self) -> Chart | None:
        """The score against the bound of each look."""
        score = self._line("score z", "z", "a")
        bounds = self._line("bound of a look", "bound", "b")
        bounds = Line(bounds.label, bounds.x, bounds.y, "b", dots=True)
        if not score.x:
            return None
        reach = [*score.y, *bounds.y]
        low, high = min(0.0, *reach), max(3.0, *reach)
        return Chart(
            "The score at the looks: promoted when it reaches the bound",
            self.x_max,
            low - 0.5,
            high + 0.5,
            [score, bounds],
        )

    def lift(self, truth: Sequence[float] = ()) -> Chart | None:
        """The estimated lift and its confidence sequence. truth: a simulated experiment's true lift by decision."""
        shown = [
            (hours, *(number(mapping(item.get("numbers")), name) for name in ("lift_low", "lift", "lift_high")))
            for hours, item in self.decisions
        ]
        shown = [row for row in shown if math.isfinite(row[2])]
        if not shown:
            return None
        last = [abs(end) for end in shown[-1][1:] if math.isfinite(end)]
        reach = min(max(0.1, 1.3 * max(last), *(1.6 * abs(lift) for lift in truth)), 2.0)
        lines = [Line("estimate", [row[0] for row in shown], [row[2] for row in shown], "a")]
        if truth:
            lines.append(Line("truth", [hours for hours, _ in self.decisions], truth, "true"))
        band = [row[1] for row in shown], [row[3] for row in shown]
        title = "The lift as estimated, and its 95 % confidence sequence"
        return Chart(title, self.x_max, -reach, reach, lines, percent=True, band=band)

    def guardrails(self, preset: Preset | None) -> Chart | None:
        """The e-values of the variants' faults and of the sample ratio, with their limits."""
        lines = [
            self._line("challenger's faults", "log_e_guardrail", "b", _TEN),
            self._line("champion's faults", "log_e_champion", "a", _TEN),
            self._line("sample ratio", "log_e_sample_ratio", "c", _TEN),
        ]
        limits = _limits(
            preset, (("faults: roll back", "alpha_guardrail"), ("sample ratio: freeze", "alpha_sample_ratio"))
        )
        return self._powers("Guardrails: powers of ten of the e-values", lines, limits, "")

    def _powers(
        self, title: str, lines: Sequence[Line], limits: Sequence[tuple[str, float]], note: str
    ) -> Chart | None:
        lines = [line for line in lines if line.x]
        if not lines:
            return None
        high = max([*(limit for _, limit in limits), *(value for line in lines for value in line.y)], default=1.0)
        low = min(value for line in lines for value in line.y)
        top, bottom = min(max(high * 1.15, 1.0), _POWERS), max(min(low * 1.15, -0.5), -_POWERS)
        return Chart(title, self.x_max, bottom, top, lines, limits=limits, note=note)


def _limits(preset: Preset | None, named: Sequence[tuple[str, str]]) -> list[tuple[str, float]]:
    if preset is None:
        return []
    return [(label, -math.log10(float(getattr(preset, alpha)))) for label, alpha in named]


def _zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
