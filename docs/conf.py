"""Settings of the documentation site, which ``make site`` builds with Sphinx from the whole tree.

Pages are the Markdown files as they stand, so that they read the same on a Git host. The sidebar
is made of the lists of links in docs/index.md, and the API reference of the docstrings.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "agents")]
SHELVES = ROOT / "docs" / "index.md"
NESTED = {
    "docs/environments": "environments/*",
    "docs/agents": "agents/*",
    "docs/results/README": "*",
}
"""Pages in the sidebar below another one."""
API = {"Reference": ["docs/api/recgym/recgym", "docs/api/recgym_agents/recgym_agents"]}
"""Shelf -> its pages that are no files of the repository."""

project = "RecGym"
author = "The RecGym authors"
root_doc = "README"
include_patterns = ["*.md", "docs/**"]
exclude_patterns = [
    *(".*", "agents", "build", "data", "dist", "recgym", "runs", "scripts", "tests"),
    "docs/api/*/modules.rst",
]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc"]
html_theme = "furo"
html_title = "RecGym"
html_additional_pages = {"index": "home.html"}
templates_path = ["templates"]
myst_heading_anchors = 3
suppress_warnings = ["ref.python"]
"""Two modules may have something of one name: a link by that name leads to the first."""

apidoc_modules = [
    {
        "path": f"../{path}",
        "destination": f"docs/api/{Path(path).name}",
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
    for path in ("recgym", "agents/recgym_agents")
]
autodoc_default_options = {"ignore-module-all": True}
"""What a package takes in from its modules is described where it is defined."""
toc_object_entries = False
autodoc_mock_imports = ["tianshou"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def toctree(caption: str, pages: list[str], pattern: bool = False) -> str:
    """Returns a hidden table of contents in MyST: an entry of the sidebar."""
    options = [":hidden:", *([f":caption: {caption}"] if caption else []), *[":glob:"] * pattern]
    return "\n".join(["", "```{toctree}", *options, "", *pages, "```", ""])


def shelves(index: str) -> str:
    """Returns the tables of contents of the lists of links under the headings of docs/index.md."""
    tables = [toctree("", ["docs/index"])]
    for section in index.split("\n## ")[1:]:
        shelf, _, text = section.partition("\n")
        links = re.findall(r"^- \[[^]]*\]\(([^)#]+)\.md\)", text, re.MULTILINE)
        pages = [posixpath.normpath(f"docs/{link}") for link in links]
        tables.append(toctree(shelf, pages + API.get(shelf, [])))
    return "".join(tables)


def add_toctrees(app: Sphinx, name: str, source: list[str]) -> None:
    """Adds a page's share of the sidebar to its text."""
    if name == root_doc:
        source[0] += shelves(SHELVES.read_text(encoding="utf-8"))
    elif name in NESTED:
        source[0] += toctree("", [NESTED[name]], pattern=True)


def show_commands(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Makes a literal block of the commands that a module's docstring has as examples."""
    if what == "module":
        lines[:] = ["Examples::" if line == "Examples:" else line for line in lines]
        if "Examples::" in lines:
            lines.insert(lines.index("Examples::") + 1, "")


def setup(app: Sphinx) -> None:
    """Connects the above to Sphinx."""
    app.connect("source-read", add_toctrees)
    app.connect("autodoc-process-docstring", show_commands, priority=400)  # before napoleon
