"""Both reports in a headless browser: narrow and wide, whole, and without any network.

Skipped where there is neither Chromium nor Chrome (Debian: ``apt-get install chromium``).
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from recgym_agents import compare
from recgym_agents.commands import report as report_command
from recgym_agents.runs.html_report import Section, html_text, sortable

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
WORLD = {"n_items": 20, "n_states": 3, "slate_size": 2, "horizon": 5, "observe": "state"}
FRAME = """<!doctype html><body style="margin:0"><p id="found"></p>
<iframe src="page.html" style="border:0;width:{width}px;height:900px"></iframe>
<script>onmessage = event => {{ found.textContent = event.data }}</script>"""
GUARD = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
    style-src 'unsafe-inline'; script-src 'unsafe-inline'"><script>const fetched = [];
    addEventListener("securitypolicyviolation", event => fetched.push(event.blockedURI))</script>"""
"""Refuses whatever is not in the page itself, and notes it."""
PROBE = """<script>onload = () => parent.postMessage(JSON.stringify({
    inner: innerWidth,
    page: document.documentElement.scrollWidth,
    widest: Math.max(...[...document.querySelectorAll("p,pre,figure,h1,h2")]
        .map(one => one.getBoundingClientRect().right)),
    letters: Math.min(...[...document.querySelectorAll("td,p,pre,figcaption")]
        .map(one => parseFloat(getComputedStyle(one).fontSize))),
    images: [...document.images].map(one => one.complete ? one.naturalWidth : 0),
    fetched: fetched,
}), "*")</script>"""
"""Tells the page around it, whose frame is as wide as a window would be, how it is shown."""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report of a comparison and that of its runs."""
    out = tmp_path_factory.mktemp("compare")
    found = compare(
        ["cascading-dqn", "reinforce"],
        "SlateMDP-v0",
        steps=256,
        seeds=[0, 1],
        out=out,
        env_args=WORLD,
        episodes=50,
        reports=2,
        validation_episodes=20,
        progress=False,
    )
    runs = tuple(out / name / "0" for name in ("random", "cascading-dqn"))
    report_command.main(runs, out / "runs.html", episodes=50)
    return {
        "compare": found.save_html(out / "compare.html").read_text(),
        "report": (out / "runs.html").read_text(),
    }


SORTED = """<script>onload = () => {
    const rows = () => [...document.querySelectorAll("tbody tr")].filter(row => !row.hidden)
        .map(row => row.cells[1].textContent);
    const [name, reward] = document.querySelectorAll("th"), found = [rows()];
    for (const head of [reward, reward, name, name]) { head.click(); found.push(rows()); }
    const input = document.querySelector("input");
    input.value = "A  1";
    input.dispatchEvent(new Event("input"));
    parent.postMessage(JSON.stringify({ rows: [...found, rows()], fetched: fetched }), "*");
}</script>"""
"""Tells the second column as it is, by clicks on the headings, and by words."""


def shown(page: str, width: int, folder: Path, probe: str = PROBE) -> dict[str, Any]:
    """Loads a page in a frame of a width, and returns what a probe tells."""
    guarded = page.replace("<head>", "<head>" + GUARD).replace("</body>", probe + "</body>")
    (folder / "page.html").write_text(guarded)
    (folder / "frame.html").write_text(FRAME.format(width=width))
    assert BROWSER is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000"]
    flags += [f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000"]
    address = (folder / "frame.html").as_uri()
    command = [BROWSER, *flags, "--dump-dom", address]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search('<p id="found">(.*?)</p>', run.stdout)
    assert found, run.stdout[-2000:] + run.stderr[-2000:]
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("name", ["compare", "report"])
def test_a_report_fits_its_window_and_fetches_nothing(
    name: str, width: int, pages: dict[str, str], tmp_path: Path
) -> None:
    told = shown(pages[name], width, tmp_path)
    assert told["inner"] == width
    assert told["page"] <= width
    assert told["widest"] <= width
    assert told["letters"] >= 13
    assert told["images"]
    assert all(size > 0 for size in told["images"])
    assert told["fetched"] == []


def test_a_table_is_sorted_by_its_headings_and_filtered_by_words(tmp_path: Path) -> None:
    cells = [("a", "900.5 ± 1.0"), ("c", "–"), ("b", "1,200 ± 3.0"), ("a", "-2.00")]
    page = html_text("T", [Section("S", "", (sortable(["name", "reward"], cells, ""),))])
    a, c, b, low = (value for _, value in cells)
    told = shown(page, 1200, tmp_path, SORTED)
    assert told["rows"] == [
        [a, c, b, low],
        [b, a, low, c],  # what is no number comes last
        [low, a, b, c],
        [c, b, low, a],
        [low, a, b, c],
        [a],
    ]
    assert told["fetched"] == []


def test_a_page_that_does_not_fit_is_noticed(tmp_path: Path) -> None:
    parts = '<p>x</p><div style="width:500px">y</div><img src="nowhere.png">'
    wide = f"<!doctype html><head></head><body>{parts}</body>"
    told = shown(wide, 400, tmp_path)
    assert told["page"] > 400
    assert told["images"] == [0]
    assert told["fetched"] == ["file"]
