"""A self-contained HTML page: tables, text and figures in one file that needs no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from recgym.files import write_text

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222 }
body { max-width: 60em; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ddd }
table { border-collapse: collapse; margin: 1em 0 } caption { text-align: left; color: #555 }
th, td { padding: .3em .8em; text-align: right; border-bottom: 1px solid #e5e5e5 }
th:first-child, td:first-child { text-align: left } tr:hover td { background: #f6f8fc }
pre { background: #f5f5f5; padding: .8em; overflow-x: auto; font-size: .85em }
img { max-width: 100% }
"""


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph, and HTML made by the functions of this module."""

    heading: str
    text: str
    parts: tuple[str, ...] = ()


def write_html(path: Path, title: str, sections: Iterable[Section]) -> None:
    """Writes the sections as one HTML file."""
    body = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        body.append(f"<h2>{html.escape(section.heading)}</h2>")
        body.append(f"<p>{html.escape(section.text)}</p>")
        body.extend(section.parts)
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    text = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>'
    write_text(path, text + "\n")


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns an HTML table; every text is escaped."""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f"<table><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def commands(lines: Iterable[str]) -> str:
    """Returns commands as preformatted text."""
    return f"<pre>{html.escape(chr(10).join(lines))}</pre>"


def image(figure: Figure, description: str) -> str:
    """Returns a figure as an inline SVG image."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "recgym"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(description)}" src="data:image/svg+xml;base64,{data}">'
