"""Self-contained HTML pages: style (colours: colors.py), document, tables; foreign text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from cli.formatting import charts, colors

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:760px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .4rem}.verdict{font-size:1.15rem;margin:.4rem 0 1.5rem}
.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;margin:.4rem 0}
th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--rule);vertical-align:top;
overflow-wrap:break-word}
td.n,th.n{text-align:right}td.t{white-space:nowrap}
.user{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:0 1.5rem;
border-bottom:1px solid var(--rule);padding:.5rem 0}.user h3{grid-column:1/-1;font-size:1rem;margin:.2rem 0}
@media(max-width:560px){table{display:block;overflow-x:auto;font-size:.8rem}th,td{padding-right:.3rem}}
.user ul,.user ol{margin:.2rem 0;padding-left:1.3rem}.hit{color:var(--good);font-weight:600}
"""


def document(title: str, body: str) -> str:
    """A whole page. body: HTML with escaped text. The content security policy forbids loading anything."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{text(title)}</title><style>{colors.STYLE}{_STYLE}{charts.STYLE}</style>{body}</html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], numbers: Sequence[int] = ()) -> str:
    """A table; numbers: the columns that hold numbers, from 0. Every cell is escaped."""
    body = "".join(f"<tr>{_cells('td', row, numbers)}</tr>" for row in rows)
    return f"<table><tr>{_cells('th', head, numbers)}</tr>{body}</table>"


def pairs(rows: Sequence[tuple[str, Any]]) -> str:
    """A table of names and values."""
    return (
        "<table>"
        + "".join(f"<tr><th>{text(name)}</th><td>{text(value)}</td></tr>" for name, value in rows)
        + "</table>"
    )


def text(value: Any) -> str:
    """`value` as escaped text."""
    return html.escape(str(value))


def _cells(tag: str, row: Sequence[Any], numbers: Sequence[int]) -> str:
    return "".join(
        f"<{tag}{' class=n' if place in numbers else ''}>{text(cell)}</{tag}>" for place, cell in enumerate(row)
    )
