"""The colours of pages and charts, in the light and the dark theme, as CSS variables."""

#: ink, soft: text. paper: background. rule: lines of tables and grids. good, bad: verdicts.
#: champion, challenger: their lines, bars and dots. band: an interval.
LIGHT = {
    "ink": "#1c2430",
    "soft": "#5b6675",
    "paper": "#fbfbf9",
    "rule": "#dfe2e6",
    "good": "#2f7d4f",
    "bad": "#b3261e",
    "champion": "#2563a8",
    "challenger": "#c2571a",
    "band": "#2563a822",
}
DARK = {
    "ink": "#e6e9ee",
    "soft": "#98a3b3",
    "paper": "#14181f",
    "rule": "#2c3440",
    "good": "#6fc28f",
    "bad": "#f2857d",
    "champion": "#6ea8e6",
    "challenger": "#ef9a5b",
    "band": "#6ea8e633",
}


def _variables(colors: dict[str, str]) -> str:
    return ";".join(f"--{name}:{value}" for name, value in colors.items())


STYLE = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}"
    f"@media(prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
)
