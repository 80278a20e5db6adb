"""A self-contained HTML page: tables, text and figures in one file that needs no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from recgym.files import write_text

_STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #1d1d1d; background: #fff }
body { max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; overflow-wrap: break-word }
h1 { font-size: 1.5rem; line-height: 1.25 }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc }
.scroll { overflow-x: auto } figure { margin: 1.2rem 0 }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600 }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd }
th { vertical-align: bottom; font-weight: 600 } td { white-space: nowrap }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff }
.facts td { white-space: normal; text-align: left }
.sortable th { cursor: pointer } [aria-sort=ascending]::after { content: " \\25b2" }
[aria-sort=descending]::after { content: " \\25bc" } input { font: inherit }
.best { font-weight: 700; background: #e3f0e6 }
.said { border-left: .25rem solid #0072b2; padding-left: .8rem }
figcaption { color: #444; font-size: .92rem; margin-top: .3rem }
pre { background: #f4f4f4; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere }
pre { font-size: .85rem; line-height: 1.45 } pre span { display: block; margin-bottom: .5rem }
pre span { padding-left: 1.5rem; text-indent: -1.5rem }
img { width: 100%; max-width: 34rem; height: auto }
@media (max-width: 30rem) { th, td { padding: .3rem .45rem } table { font-size: .87rem } }
"""
_SORT = """
const table = document.querySelector("table.sortable"), body = table.tBodies[0];
const value = cell => {
  const number = parseFloat(cell.textContent.replaceAll(",", ""));
  return isNaN(number) ? [1, cell.textContent] : [0, number];
};
const before = (a, b) => a[0] - b[0] || (a[1] > b[1] ? 1 : a[1] < b[1] ? -1 : 0);
[...table.tHead.rows[0].cells].forEach((head, column) => {
  const sort = () => {
    const up = head.getAttribute("aria-sort") === "descending";
    const rows = [...body.rows].sort((a, b) => {
      const [one, other] = [a, b].map(row => value(row.cells[column]));
      return one[0] === other[0] && !up ? -before(one, other) : before(one, other);
    });
    [...table.tHead.rows[0].cells].forEach(one => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows);
  };
  head.tabIndex = 0;
  head.onclick = sort;
  head.onkeydown = event => { if (event.key === "Enter") sort(); };
});
document.querySelector("input[type=search]").oninput = event => {
  const words = event.target.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const row of body.rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(word => text.includes(word));
  }
};
"""


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph, and HTML made by the functions of this module."""

    heading: str
    text: str
    parts: tuple[str, ...] = ()


def write_html(path: Path, title: str, sections: Iterable[Section]) -> None:
    """Writes the sections as one HTML file."""
    write_text(path, html_text(title, sections))


def html_text(title: str, sections: Iterable[Section]) -> str:
    """Returns the sections as the text of an HTML file."""
    body = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        body.append(f"<h2>{html.escape(section.heading)}</h2>")
        body.append(f"<p>{html.escape(section.text)}</p>")
        body.extend(section.parts)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'
    )


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    meaning: str,
    best: Set[tuple[int, int]] = frozenset(),
) -> str:
    """Returns an HTML table that scrolls within its box; every text is escaped.

    Args:
        caption: what it is called; may be "".
        header: names of the columns.
        rows: their cells.
        meaning: a sentence below it that says what it means.
        best: cells (row, column) that are marked.
    """
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
    lines = []
    for row, cells in enumerate(rows):
        marks = [' class="best"' if (row, column) in best else "" for column in range(len(cells))]
        pairs = zip(marks, cells, strict=True)
        lines.append("".join(f"<td{mark}>{html.escape(cell)}</td>" for mark, cell in pairs))
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    inner = f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return _explained(f'<div class="scroll" tabindex="0">{inner}</div>', meaning)


def sortable(header: Sequence[str], rows: Iterable[Sequence[str]], meaning: str) -> str:
    """Returns a table whose rows are sorted by a click on a heading, and filtered by words.

    Numbers are sorted by what they begin with, and come before texts. Without scripts it is the
    table as it is.
    """
    inner = table("", header, rows, meaning).replace("<table>", '<table class="sortable">', 1)
    label = "rows with all of these words:"
    return f'<p><label>{label} <input type="search"></label></p>{inner}<script>{_SORT}</script>'


def facts(caption: str, values: Iterable[Sequence[str]], meaning: str) -> str:
    """Returns names and what they are as an HTML table of two columns, whose texts wrap."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in values
    )
    title = f"<caption>{html.escape(caption)}</caption>"
    return _explained(f'<table class="facts">{title}<tbody>{rows}</tbody></table>', meaning)


def said(text: str, link: tuple[str, str] | None = None) -> str:
    """Returns a paragraph that stands out: what the numbers say.

    Args:
        text: the paragraph.
        link: where more is told, and what that is called.
    """
    more = ""
    if link is not None:
        more = f' <a href="{html.escape(link[0])}">{html.escape(link[1])}</a>'
    return f'<p class="said">{html.escape(text)}{more}</p>'


def commands(lines: Iterable[str]) -> str:
    """Returns commands as preformatted text that wraps."""
    spans = "\n".join(f"<span>{html.escape(line)}</span>" for line in lines)
    return f"<pre>{spans}</pre>"


def image(figure: Figure, description: str, meaning: str) -> str:
    """Returns a figure as an inline SVG image, with a sentence below it that says what it means."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "recgym"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    data = base64.b64encode(buffer.getvalue()).decode()
    source = f'<img alt="{html.escape(description)}" src="data:image/svg+xml;base64,{data}">'
    return _explained(source, meaning)


def _explained(content: str, meaning: str) -> str:
    return f"<figure>{content}<figcaption>{html.escape(meaning)}</figcaption></figure>"
